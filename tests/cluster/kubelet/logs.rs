//! What containers have written: kept as tests say, and told to the API server as a kubelet tells it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Orders;
use crate::pki::Leaf;

/// What containers have written, if it is not the usual line: by namespace and container, in whatever pod that is.
pub(super) type Texts = Mutex<HashMap<(String, String), String>>;

/// Where the kubelet listens, and its answering, for ever.
pub(super) async fn listen(leaf: &Leaf, orders: Arc<Orders>) -> (u16, impl Future<Output = ()> + use<>) {
    let certificates = CertificateDer::pem_slice_iter(leaf.certificate.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let streams = futures::stream::unfold(listener, async |listener| {
        let (stream, _) = listener.accept().await.unwrap();
        Some((stream, listener))
    });
    let each = move |stream| serve(stream, acceptor.clone(), Arc::clone(&orders));
    (port, streams.for_each_concurrent(None, each))
}

/// A connection that breaks is the API server's to open again.
async fn serve(stream: TcpStream, acceptor: TlsAcceptor, orders: Arc<Orders>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let answer = service_fn(|request: Request<Incoming>| {
        let (status, text) = tell(request.uri().path(), request.uri().query().unwrap_or_default(), &orders);
        async move {
            let mut response = Response::new(Full::new(Bytes::from(text)));
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

fn tell(path: &str, query: &str, orders: &Orders) -> (StatusCode, String) {
    let parts: Vec<&str> = path.split('/').collect();
    let ["", "containerLogs", namespace, pod, container] = parts[..] else {
        return (StatusCode::NOT_FOUND, "404 page not found".to_owned());
    };
    let key = (namespace.to_owned(), container.to_owned());
    let written = orders.texts.lock().unwrap().get(&key).cloned();
    let text = written.unwrap_or_else(|| format!("{container} writes a line\n"));
    let pods = orders.pods.lock().unwrap();
    let Some(known) = pods.get(&format!("{namespace}/{pod}")) else {
        return (StatusCode::NOT_FOUND, format!("pod \"{pod}\" not found"));
    };
    if !has_begun(known, container) {
        let why = format!("container \"{container}\" in pod \"{pod}\" is waiting to start: ContainerCreating");
        return (StatusCode::BAD_REQUEST, why);
    }
    (StatusCode::OK, cut(&text, query))
}

fn has_begun(pod: &Value, container: &str) -> bool {
    let mut statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    statuses.any(|status| status["name"] == *container && status["state"]["waiting"].is_null())
}

/// A kubelet goes back so many lines from the end, and from there tells no more than so many bytes.
fn cut(text: &str, query: &str) -> String {
    let number = |name: &str| {
        let mut all = query.split('&').filter_map(|one| one.split_once('='));
        all.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse::<usize>().ok())
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let first = number("tailLines").map_or(0, |last| lines.len().saturating_sub(last));
    let mut bytes = lines[first..].concat().into_bytes();
    bytes.truncate(number("limitBytes").unwrap_or(bytes.len()));
    String::from_utf8_lossy(&bytes).into_owned()
}
