//! A webhook that lets everything through and keeps the reviews that it was asked about.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures::StreamExt;
use http::Response;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::pki::Authority;

/// The webhook. Dropping it ends it.
pub(crate) struct Recorder {
    reviews: Reviews,
    client_config: Value,
    task: JoinHandle<()>,
}

type Reviews = Arc<Mutex<Vec<Value>>>;

impl Recorder {
    /// Begins to listen.
    pub(crate) async fn start() -> Recorder {
        let authority = Authority::new("recorder");
        let leaf = authority.serving(&["127.0.0.1"]);
        let certificates = CertificateDer::pem_slice_iter(leaf.certificate.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let client_config = json!({"url": url, "caBundle": STANDARD.encode(&authority.certificate)});
        let reviews = Reviews::default();
        let task = tokio::spawn(listen(listener, acceptor, Arc::clone(&reviews)));
        Recorder { reviews, client_config, task }
    }

    /// How the API server reaches it.
    pub(crate) fn client_config(&self) -> Value {
        self.client_config.clone()
    }

    /// The reviews so far, in the order in which they came.
    pub(crate) fn reviews(&self) -> Vec<Value> {
        self.reviews.lock().unwrap().clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, acceptor: TlsAcceptor, reviews: Reviews) {
    let streams = futures::stream::unfold(listener, async |listener| {
        let (stream, _) = listener.accept().await.unwrap();
        Some((stream, listener))
    });
    streams.for_each_concurrent(None, |stream| serve(stream, acceptor.clone(), Arc::clone(&reviews))).await;
}

/// A connection that breaks is the API server's to open again.
async fn serve(stream: TcpStream, acceptor: TlsAcceptor, reviews: Reviews) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let answer = service_fn(|request: http::Request<Incoming>| {
        let reviews = Arc::clone(&reviews);
        async move {
            let bytes = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let review: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let answer = json!({
                "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                "response": {"uid": review["request"]["uid"], "allowed": true},
            });
            reviews.lock().unwrap().push(review);
            let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
            response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
            Ok::<_, Infallible>(response)
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}
