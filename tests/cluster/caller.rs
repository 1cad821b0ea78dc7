//! A user of the test cluster: calls the API server with plain JSON and gets back what it stored or said.

use http::{Method, Request};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;

/// One identity with its connection.
#[derive(Clone)]
pub(crate) struct Caller {
    client: Client,
    headers: Vec<(&'static str, String)>,
}

/// What the API server said instead of yes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// The answer to a call.
pub(crate) type Outcome = Result<Value, Refusal>;

/// How a PATCH is to be read.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PatchKind {
    /// RFC 6902.
    Json,
    /// RFC 7396.
    Merge,
    /// Kubernetes' own, by the lists' keys.
    Strategic,
    /// Server-side apply, forced, by the field manager `test`.
    Apply,
}

impl Caller {
    /// A caller for a kubeconfig's text. Must be called within the runtime that will do the calls.
    pub(crate) async fn new(kubeconfig: &str) -> Caller {
        let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        Caller { client: Client::try_from(config).unwrap(), headers: Vec::new() }
    }

    /// The same connection as another user. Admission sees that user, as if it had called itself.
    pub(crate) fn acting_as(&self, name: &str, groups: &[&str]) -> Caller {
        let mut headers = vec![("Impersonate-User", name.to_owned())];
        headers.extend(groups.iter().map(|&group| ("Impersonate-Group", group.to_owned())));
        Caller { client: self.client.clone(), headers }
    }

    /// The connection, for watches.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Any request with a JSON body or none.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Outcome {
        self.send(method, path, "application/json", body).await
    }

    /// The same, with the answer's status code and its body whatever that is.
    pub(crate) async fn answer(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = self.request(method, path, "application/json", body).map(Body::from);
        let answer = self.client.send(request).await.unwrap();
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect_bytes().await.unwrap();
        (code, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Reads an object or a list.
    pub(crate) async fn get(&self, path: &str) -> Outcome {
        self.call(Method::GET, path, None).await
    }

    /// Creates an object in a collection, or posts to a subresource.
    pub(crate) async fn create(&self, path: &str, object: &Value) -> Outcome {
        self.call(Method::POST, path, Some(object)).await
    }

    /// Patches an object.
    pub(crate) async fn patch(&self, path: &str, kind: PatchKind, patch: &Value) -> Outcome {
        let (content, path) = match kind {
            PatchKind::Json => ("application/json-patch+json", path.to_owned()),
            PatchKind::Merge => ("application/merge-patch+json", path.to_owned()),
            PatchKind::Strategic => ("application/strategic-merge-patch+json", path.to_owned()),
            PatchKind::Apply => ("application/apply-patch+yaml", format!("{path}?fieldManager=test&force=true")),
        };
        self.send(Method::PATCH, &path, content, Some(patch)).await
    }

    /// Deletes an object or a collection; options may name the grace and the uid.
    pub(crate) async fn delete(&self, path: &str, options: Option<&Value>) -> Outcome {
        self.call(Method::DELETE, path, options).await
    }

    async fn send(&self, method: Method, path: &str, content: &str, body: Option<&Value>) -> Outcome {
        match self.client.request_text(self.request(method, path, content, body)).await {
            // A few subresources answer with plain text.
            Ok(text) => Ok(serde_json::from_str(&text).unwrap_or(Value::String(text))),
            Err(kube::Error::Api(status)) => {
                Err(Refusal { code: status.code, reason: status.reason, message: status.message })
            }
            Err(problem) => Err(Refusal { code: 0, reason: "NoAnswer".to_owned(), message: format!("{problem:?}") }),
        }
    }

    fn request(&self, method: Method, path: &str, content: &str, body: Option<&Value>) -> Request<Vec<u8>> {
        let text = body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder().method(method).uri(path).header("Content-Type", content);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(text.into_bytes()).unwrap()
    }
}
