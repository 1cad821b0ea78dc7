//! A stand-in for the API server: answers as a test says, and remembers what it was asked.

use std::future::pending;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use flamewarden::serve::{ConnectionLimits, Drain, Handler, Listen, serve};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Status and body for a method and path with query; none to let the caller wait.
pub(crate) type Answers = Box<dyn Fn(&str) -> Option<(u16, Value)> + Send + Sync>;

/// A running one; it ends with the test.
pub(crate) struct ApiServer {
    folder: TempDir,
    known: Arc<Known>,
    _serving: JoinSet<()>,
}

struct Known {
    answers: Answers,
    asked: Mutex<Vec<String>>,
}

impl ApiServer {
    pub(crate) async fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known = Arc::new(Known { answers, asked: Mutex::default() });
        let (limits, drain) = (ConnectionLimits::default(), Drain::default());
        let mut serving = JoinSet::new();
        serving.spawn(serve(Listen { listener, tls: None, handler: known.clone(), limits, drain }));
        let folder = TempDir::new().unwrap();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        });
        std::fs::write(folder.path().join("kubeconfig"), config.to_string()).unwrap();
        ApiServer { folder, known, _serving: serving }
    }

    /// Knows one object and no other.
    pub(crate) async fn with(path: &'static str, object: Value) -> Self {
        let answers = move |asked: &str| {
            let found = asked == format!("GET {path}");
            Some(if found { (200, object.clone()) } else { (404, refusal(404)) })
        };
        ApiServer::start(Box::new(answers)).await
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// All that was asked so far: methods and paths with queries. What scans say is asked for from the start, whatever
    /// reviews bring.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.known.asked.lock().unwrap().clone();
        asked.into_iter().filter(|asked| !asked.starts_with(SCANS)).collect()
    }
}

impl Handler for Known {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let asked = format!("{} {}", request.method(), request.uri());
        self.asked.lock().unwrap().push(asked.clone());
        let Some((status, body)) = (self.answers)(&asked) else { return pending().await };
        let response = Response::builder().status(status).header("content-type", "application/json");
        response.body(Full::new(body.to_string().into())).unwrap()
    }
}

/// What the API server says where it does not do what it was asked.
pub(crate) fn refusal(code: u16) -> Value {
    let reason = if code == 404 { "NotFound" } else { "InternalError" };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": "no"})
}

const SCANS: &str = "GET /apis/flamewarden.dev/v1alpha1/imagescans?";
