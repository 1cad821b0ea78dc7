//! Edge: one connection to one webhook replica, each end known to the other by our own authority.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::install::WEBHOOK;
use crate::model::{CONTROLLER_NAME, DECISIONS_PATH, Decisions};
use crate::serve::{Bundle, IssueProblem, client_certificate};

/// A connection on which decisions are asked for, one question after the other.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: JoinHandle<()>,
    host: String,
}

/// Why no decisions came.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchProblem {
    #[error("there is no authority of our own to be known by")]
    NoAuthority,
    #[error(transparent)]
    Issue(#[from] IssueProblem),
    #[error("cannot use our own certificates: {0}")]
    Certificates(String),
    #[error("cannot connect: {0}")]
    Connect(#[from] io::Error),
    #[error("cannot ask: {0}")]
    Ask(String),
    #[error("answered with status {0}")]
    Status(u16),
    #[error("no answer in time")]
    Late,
    #[error("another controller leads")]
    NotLeading,
}

impl Connection {
    /// Connects with a certificate made for it.
    pub(super) async fn open(address: SocketAddr, bundle: &Bundle, namespace: &str) -> Result<Self, FetchProblem> {
        let config = config(bundle)?;
        let host = format!("{WEBHOOK}.{namespace}.svc");
        let name = ServerName::try_from(host.clone()).map_err(|cause| FetchProblem::Certificates(cause.to_string()))?;
        let connecting = async {
            let stream = TcpStream::connect(address).await?;
            TlsConnector::from(Arc::new(config)).connect(name, stream).await
        };
        let stream = timeout(CONNECT, connecting).await.map_err(|_| FetchProblem::Late)??;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(ask)?;
        let driver = tokio::spawn(async move {
            // Whoever asks is told by the sender that the connection has ended.
            let _ = connection.await;
        });
        Ok(Connection { sender, driver, host })
    }

    /// Confirms what was taken in, and waits for what follows.
    pub(super) async fn fetch(&mut self, run: &str, after: u64) -> Result<Decisions, FetchProblem> {
        let path = format!("{DECISIONS_PATH}?run={run}&after={after}");
        let request = Request::get(path).header("host", &self.host).body(Empty::new());
        let request = request.map_err(|cause| FetchProblem::Ask(cause.to_string()))?;
        let asking = async {
            self.sender.ready().await.map_err(ask)?;
            let (head, body) = self.sender.send_request(request).await.map_err(ask)?.into_parts();
            if head.status != hyper::StatusCode::OK {
                return Err(FetchProblem::Status(head.status.as_u16()));
            }
            let body = Limited::new(body, BODY).collect().await;
            let body = body.map_err(|cause| FetchProblem::Ask(cause.to_string()))?.to_bytes();
            let told: Decisions =
                serde_json::from_slice(&body).map_err(|cause| FetchProblem::Ask(cause.to_string()))?;
            // It goes into the next question's path.
            let plain = told.run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            if plain { Ok(told) } else { Err(FetchProblem::Ask("the run has no name".to_owned())) }
        };
        timeout(ANSWER, asking).await.map_err(|_| FetchProblem::Late)?
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn config(bundle: &Bundle) -> Result<ClientConfig, FetchProblem> {
    let authority = bundle.authority.as_ref().ok_or(FetchProblem::NoAuthority)?;
    let made = client_certificate(authority, CONTROLLER_NAME, Timestamp::now())?;
    let problem = |cause: &dyn std::fmt::Display| FetchProblem::Certificates(cause.to_string());
    let mut roots = RootCertStore::empty();
    for trusted in CertificateDer::pem_slice_iter(bundle.trusted().as_bytes()) {
        roots.add(trusted.map_err(|cause| problem(&cause))?).map_err(|cause| problem(&cause))?;
    }
    let certificate = CertificateDer::from_pem_slice(made.certificate.as_bytes()).map_err(|cause| problem(&cause))?;
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).map_err(|cause| problem(&cause))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|cause| problem(&cause))?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key);
    config.map_err(|cause| problem(&cause))
}

fn ask(cause: hyper::Error) -> FetchProblem {
    FetchProblem::Ask(cause.to_string())
}

const CONNECT: Duration = Duration::from_secs(5);
/// Longer than a replica holds a question.
const ANSWER: Duration = Duration::from_secs(30);
const BODY: usize = 4 * 1024 * 1024;
