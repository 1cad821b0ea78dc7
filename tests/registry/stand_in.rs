//! A server on a free port that answers as the test says, and knows what it was asked; and one that nobody may speak to.

use std::net::TcpListener as Quiet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::serve::Listener;
use flamewarden::model::{Digest, ImageRef};
use flamewarden::registry::{Credential, Reach, Registry, RegistryProblem, Resolved, Transport};
use flamewarden::remote::Ways;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::tls::Tls;

/// One question: path with query, and what was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// By what name.
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) shown: Option<String>,
    pub(crate) accept: String,
}

/// A running server; it ends with the test.
pub(crate) struct StandIn {
    pub(crate) host: String,
    inner: Arc<Inner>,
    server: JoinHandle<()>,
}

type Answering = Box<dyn Fn(&Asked) -> Response + Send + Sync>;

struct Inner {
    answer: Answering,
    asked: Mutex<Vec<Asked>>,
}

impl StandIn {
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        StandIn::at(listener, host, answer)
    }

    /// With a certificate, and who signed that.
    pub(crate) async fn with_tls(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> (StandIn, String) {
        let (tls, authority) = Tls::listen().await;
        let host = format!("localhost:{}", tls.listener.local_addr().unwrap().port());
        (StandIn::at(tls, host, answer), authority)
    }

    fn at<L>(listener: L, host: String, answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> StandIn
    where
        L: Listener,
        L::Addr: std::fmt::Debug,
    {
        let inner = Arc::new(Inner { answer: Box::new(answer), asked: Mutex::default() });
        let router = Router::new().fallback(handle).with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        StandIn { host, inner, server }
    }

    /// A registry that has manifests and blobs, by the ends of their paths.
    pub(crate) async fn holding(held: Vec<(String, Held)>) -> StandIn {
        StandIn::start(move |asked| {
            let found = held.iter().find(|(path, _)| asked.path.ends_with(path.as_str()));
            found.map_or_else(|| answer(404, &[], ""), |(_, held)| held.answer())
        })
        .await
    }

    /// Everything that was asked: path and what was shown.
    pub(crate) fn asked(&self) -> Vec<(String, Option<String>)> {
        self.inner.asked.lock().unwrap().iter().map(|asked| (asked.path.clone(), asked.shown.clone())).collect()
    }

    /// What the first question was to be answered with.
    pub(crate) fn accepted(&self) -> String {
        self.inner.asked.lock().unwrap()[0].accept.clone()
    }

    /// A client that reaches this server alone.
    pub(crate) fn client(&self) -> Registry {
        client(Reach { registries: vec![self.host.clone()], ..Reach::default() }, PATIENCE, PATIENCE)
    }

    /// What an image of this server stands for.
    pub(crate) async fn resolve(&self, rest: &str) -> Result<Resolved, RegistryProblem> {
        self.client().resolve(&ImageRef::parse(&format!("{}/{rest}", self.host)).unwrap(), None).await
    }

    /// A credential for this server.
    pub(crate) fn credential(&self) -> Credential {
        credential(&self.host)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What a registry holds.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) media_type: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Held {
    pub(crate) fn of(value: &Value) -> Held {
        let media_type = match value["mediaType"].as_str() {
            Some(MANIFEST) => MANIFEST,
            Some(INDEX) => INDEX,
            _ => "application/octet-stream",
        };
        Held { media_type, bytes: value.to_string().into_bytes() }
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    pub(crate) fn answer(&self) -> Response {
        answer(200, &[("content-type", self.media_type)], self.bytes.clone())
    }

    /// As manifests name it, with more.
    pub(crate) fn named(&self, more: &Value) -> Value {
        let mut named =
            json!({"mediaType": self.media_type, "digest": self.digest().to_string(), "size": self.bytes.len()});
        for (key, value) in more.as_object().unwrap() {
            named[key] = value.clone();
        }
        named
    }

    /// Under its digest.
    pub(crate) fn at(&self) -> (String, Held) {
        (self.digest().to_string(), self.clone())
    }
}

/// A configuration and the manifest of its image.
pub(crate) fn image(config: &Value) -> (Held, Held) {
    let config = Held::of(config);
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config.named(&json!({})), "layers": []});
    (config, Held::of(&manifest))
}

/// An index of such entries.
pub(crate) fn index(entries: &[Value]) -> Held {
    Held::of(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}))
}

pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let response = Response::builder().status(status);
    headers.iter().fold(response, |response, (name, value)| response.header(*name, *value)).body(body.into()).unwrap()
}

pub(crate) fn client(reach: Reach, each: Duration, whole: Duration) -> Registry {
    Registry::new(&Ways::plain(each), Transport::Plain, reach, whole).unwrap()
}

/// `robot` and `hunter2`, for that host.
pub(crate) fn credential(host: &str) -> Credential {
    let config = json!({"auths": {host: {"username": "robot", "password": "hunter2"}}}).to_string();
    let image = format!("{host}/a");
    Credential::from_dockerconfigjson(config.as_bytes(), &ImageRef::parse(&image).unwrap()).unwrap()
}

/// A port that listens, and at which nobody may appear.
pub(crate) struct Nobody {
    pub(crate) host: String,
    listener: Quiet,
}

impl Nobody {
    pub(crate) fn listen() -> Nobody {
        let listener = Quiet::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Nobody { host: listener.local_addr().unwrap().to_string(), listener }
    }

    /// Whether anybody has come.
    pub(crate) fn was_asked(&self) -> bool {
        self.listener.accept().is_ok()
    }
}

async fn handle(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let asked = Asked {
        host: header("host").unwrap_or_default(),
        path: request.uri().to_string(),
        shown: header("authorization"),
        accept: header("accept").unwrap_or_default(),
    };
    inner.asked.lock().unwrap().push(asked.clone());
    (inner.answer)(&asked)
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// `robot` and `hunter2` as they are shown.
pub(crate) const BASIC: &str = "Basic cm9ib3Q6aHVudGVyMg==";
const PATIENCE: Duration = Duration::from_secs(30);
