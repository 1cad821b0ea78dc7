//! The gateway of an analysis and the analysis behind it: whoever listens at the address of a Service is the Service.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::future::pending;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::node::Node;

/// What an analysis does when it is asked how it is.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    /// It says this.
    Says(&'static str),
    /// Its gateway says that it does not answer.
    Silent,
    /// It takes the question and never answers.
    Slow,
}

/// A stand-in; dropping it closes its port.
pub(crate) struct Gateway {
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

struct Inner {
    manner: Mutex<Manner>,
    asked: AtomicUsize,
    /// Every body that was posted, with the path.
    posted: Mutex<Vec<(String, Value)>>,
}

impl Gateway {
    /// The gateway of a run, at the address that the API server gave to its Service.
    pub(crate) async fn of(node: &Node, app: &str, manner: Manner) -> Gateway {
        let path = node.at("services", &format!("nginx-{app}"));
        let address = |service: &Value| service["spec"]["clusterIP"].as_str().map(str::to_owned);
        let address = node.guarded.cluster.read(&path, address).await;
        let listener = TcpListener::bind((address.as_str(), 80)).await.unwrap();
        let inner =
            Arc::new(Inner { manner: Mutex::new(manner), asked: AtomicUsize::new(0), posted: Mutex::default() });
        let router = Router::new()
            .route("/analysis/healthz", get(health))
            .route("/analysis/{call}", post(take))
            .with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Gateway { inner, task }
    }

    /// From now on.
    pub(crate) fn does(&self, manner: Manner) {
        *self.inner.manner.lock().unwrap() = manner;
    }

    /// How often it was asked how the analysis is.
    pub(crate) fn asked(&self) -> usize {
        self.inner.asked.load(Ordering::Relaxed)
    }

    /// What was posted there so far.
    pub(crate) fn posted(&self, call: &str) -> Vec<Value> {
        let posted = self.inner.posted.lock().unwrap();
        posted.iter().filter(|(to, _)| to == call).map(|(_, body)| body.clone()).collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn health(State(inner): State<Arc<Inner>>) -> Response {
    inner.asked.fetch_add(1, Ordering::Relaxed);
    let manner = inner.manner.lock().unwrap().clone();
    match manner {
        Manner::Says(status) => json!({"status": status, "token_remaining_time": 3600}).to_string().into_response(),
        Manner::Silent => StatusCode::BAD_GATEWAY.into_response(),
        Manner::Slow => pending().await,
    }
}

async fn take(State(inner): State<Arc<Inner>>, Path(call): Path<String>, body: String) -> StatusCode {
    inner.posted.lock().unwrap().push((call, serde_json::from_str(&body).unwrap()));
    StatusCode::OK
}
