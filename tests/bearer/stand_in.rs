//! A server that stands in for Keycloak: answers as the test says, and knows what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use flamewarden::remote::Address;
use tokio::net::TcpListener;
use tokio::sync::{RwLock, RwLockWriteGuard, watch};
use tokio::task::JoinHandle;

/// One question that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With its query, and with the host where one was named to a proxy.
    pub(crate) path: String,
    pub(crate) bearer: Option<String>,
    pub(crate) body: String,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) location: Option<String>,
}

/// A running server; it ends with the test.
pub(crate) struct StandIn {
    pub(crate) address: Address,
    inner: Arc<Inner>,
    asked: watch::Receiver<Vec<Asked>>,
    server: JoinHandle<()>,
}

type Answering = Box<dyn FnMut(&Asked) -> Reply + Send>;

struct Inner {
    answer: Mutex<Answering>,
    asked: watch::Sender<Vec<Asked>>,
    /// Whoever holds it for writing keeps all answers back.
    gate: RwLock<()>,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Reply { status, body: Vec::new(), location: None }
    }

    pub(crate) fn body(body: impl Into<Vec<u8>>) -> Self {
        Reply { body: body.into(), ..Reply::status(200) }
    }
}

impl StandIn {
    pub(crate) async fn start(answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        StandIn::on(listener, &address, answer)
    }

    /// The same on any listener.
    pub(crate) fn on<L>(listener: L, address: &str, answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self
    where
        L: axum::serve::Listener,
        L::Addr: std::fmt::Debug,
    {
        let (sender, asked) = watch::channel(Vec::new());
        let inner = Arc::new(Inner { answer: Mutex::new(Box::new(answer)), asked: sender, gate: RwLock::default() });
        let router = Router::new().fallback(handle).with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        StandIn { address: Address::parse(address).unwrap(), inner, asked, server }
    }

    /// Answers otherwise from now on.
    pub(crate) fn answer(&self, answer: impl FnMut(&Asked) -> Reply + Send + 'static) {
        *self.inner.answer.lock().unwrap() = Box::new(answer);
    }

    /// The same answer to everything.
    pub(crate) fn always(&self, reply: Reply) {
        self.answer(move |_| reply.clone());
    }

    /// Everything that was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// How often it was asked.
    pub(crate) fn times(&self) -> usize {
        self.asked.borrow().len()
    }

    /// Waits until it was asked so often.
    pub(crate) async fn until_asked(&self, times: usize) {
        self.asked.clone().wait_for(|asked| asked.len() >= times).await.unwrap();
    }

    /// Keeps answers back until the guard is dropped.
    pub(crate) async fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.inner.gate.write().await
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn handle(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        bearer: head.headers.get("authorization").map(|value| value.to_str().unwrap().replace("Bearer ", "")),
        body: String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap(),
    };
    inner.asked.send_modify(|all| all.push(asked.clone()));
    let _open = inner.gate.read().await;
    let reply = (inner.answer.lock().unwrap())(&asked);
    let mut response = Response::builder().status(reply.status);
    if let Some(location) = reply.location {
        response = response.header("location", location);
    }
    response.body(reply.body.into()).unwrap()
}
