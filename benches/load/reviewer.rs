//! The API server's part: kept-alive connections, calls one after another or at a rate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, interval};
use tokio_rustls::TlsConnector;

use crate::child::Folder;

/// Whom to call, and where.
pub(crate) struct Reviewer {
    tls: TlsConnector,
    address: SocketAddr,
    path: &'static str,
}

type Connection = SendRequest<Full<Bytes>>;

impl Reviewer {
    pub(crate) fn new(folder: &Folder, address: SocketAddr, path: &'static str) -> Self {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(folder.folder.path().join("ca.crt")).unwrap();
        roots.add(authority).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Reviewer { tls: TlsConnector::from(Arc::new(config)), address, path }
    }

    /// That many calls on a few connections, each as soon as the one before is answered.
    pub(crate) async fn steadily(&self, review: &str, count: usize) {
        let review = Bytes::from(review.to_owned());
        let calls = (0..CONNECTIONS).map(|_| async {
            let mut connection = self.connect().await;
            for _ in 0..count / CONNECTIONS {
                call(&mut connection, self.path, review.clone()).await;
            }
        });
        futures::future::join_all(calls).await;
    }

    /// Calls at a rate, whatever became of those before; how long each took from its due time, in order of length.
    pub(crate) async fn at_a_rate(&self, review: &str, rate: u32, lasting: Duration) -> Vec<Duration> {
        let review = Bytes::from(review.to_owned());
        let resting: Arc<Mutex<Vec<Connection>>> = Arc::default();
        for _ in 0..POOL {
            let connection = self.connect().await;
            resting.lock().await.push(connection);
        }
        let mut due = interval(Duration::from_secs(1) / rate);
        let (begun, mut calls) = (Instant::now(), tokio::task::JoinSet::new());
        while begun.elapsed() < lasting {
            let due = due.tick().await;
            let (resting, review, path) = (Arc::clone(&resting), review.clone(), self.path);
            calls.spawn(async move {
                let mut connection = taken(&resting).await;
                call(&mut connection, path, review).await;
                resting.lock().await.push(connection);
                due.elapsed()
            });
        }
        let mut times = calls.join_all().await;
        times.sort();
        times
    }

    async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = self.tls.connect(name, stream).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

/// A connection that rests, as soon as one does.
async fn taken(resting: &Mutex<Vec<Connection>>) -> Connection {
    loop {
        if let Some(connection) = resting.lock().await.pop() {
            return connection;
        }
        tokio::task::yield_now().await;
    }
}

async fn call(connection: &mut Connection, path: &str, review: Bytes) {
    let request = Request::post(format!("{path}?timeout=5s")).header("host", "x");
    let request = request.header("content-type", "application/json").body(Full::new(review)).unwrap();
    connection.ready().await.unwrap();
    let response = connection.send_request(request).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let allowed = text.windows(ALLOWED.len()).any(|part| part == ALLOWED);
    assert!(allowed, "{}", String::from_utf8_lossy(&text));
}

const ALLOWED: &[u8] = br#""allowed":true"#;
const CONNECTIONS: usize = 4;
const POOL: usize = 16;
