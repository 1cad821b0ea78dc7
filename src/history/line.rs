//! Edge: a connection to a receiver of syslog, over TLS, and whether somebody is still there.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::archive::ArchiveProblem;
use crate::policy::SyslogSettings;

/// Why the journal is not sent any more.
#[derive(Debug, thiserror::Error)]
pub enum FeedProblem {
    /// The file of the authority.
    #[error("cannot read the authority's certificates {path}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It can be read and is not what it should be.
    #[error("{path} has no certificates in PEM: {reason}")]
    NoCertificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Setup(String),
    /// Nobody is there, or not whom the authority's certificate names.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// The connection broke.
    #[error("the receiver takes nothing more")]
    Broken(#[source] io::Error),
    /// The receiver has closed the connection.
    #[error("the receiver has hung up")]
    HungUp,
    /// Too slow.
    #[error("the receiver takes nothing in time")]
    Late,
    /// The journal cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveProblem),
    /// Another is to send it, or to another, or nobody any more.
    #[error("it is not to be sent from here any more")]
    NotWanted,
}

/// A connection.
pub(super) struct Line {
    stream: TlsStream<TcpStream>,
}

impl Line {
    /// Connects, and makes sure who is there.
    pub(super) async fn open(settings: &SyslogSettings) -> Result<Self, FeedProblem> {
        let (host, port) = settings.host_and_port();
        let config = config(settings)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|cause| FeedProblem::Setup(cause.to_string()))?;
        let connecting = async {
            let stream = TcpStream::connect((host, port)).await?;
            TlsConnector::from(Arc::new(config)).connect(name, stream).await
        };
        let stream = timeout(CONNECT, connecting).await.map_err(|_| FeedProblem::Late)?;
        Ok(Line { stream: stream.map_err(FeedProblem::Connect)? })
    }

    /// Sends all of this.
    pub(super) async fn send(&mut self, frames: &str) -> Result<(), FeedProblem> {
        let sending = async {
            self.stream.write_all(frames.as_bytes()).await?;
            self.stream.flush().await
        };
        timeout(SEND, sending).await.map_err(|_| FeedProblem::Late)?.map_err(FeedProblem::Broken)
    }

    /// Says goodbye, so that the receiver knows that nothing was cut off; whether it hears that, nobody waits long to know.
    pub(super) async fn close(&mut self) {
        // The connection ends anyway.
        let _ = timeout(GOODBYE, self.stream.shutdown()).await;
    }

    /// Waits so long, and less where the receiver hangs up. What it says is left unread: syslog has no answers.
    pub(super) async fn wait(&mut self, time: Duration) -> Result<(), FeedProblem> {
        let mut answer = [0; 512];
        let listening = async {
            loop {
                match self.stream.read(&mut answer).await {
                    Ok(0) => return FeedProblem::HungUp,
                    Ok(_) => {}
                    Err(problem) => return FeedProblem::Broken(problem),
                }
            }
        };
        timeout(time, listening).await.map_or(Ok(()), Err)
    }
}

fn config(settings: &SyslogSettings) -> Result<ClientConfig, FeedProblem> {
    let path = &settings.authority_file;
    let text = std::fs::read(path).map_err(|source| FeedProblem::Authority { path: path.clone(), source })?;
    let unusable = |reason: String| FeedProblem::NoCertificates { path: path.clone(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|cause| unusable(cause.to_string()))?;
        roots.add(certificate).map_err(|cause| unusable(cause.to_string()))?;
    }
    if roots.is_empty() {
        return Err(unusable("there is none in it".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|cause| FeedProblem::Setup(cause.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

const CONNECT: Duration = Duration::from_secs(10);
/// For a few entries: a receiver that takes longer stands still.
const SEND: Duration = Duration::from_secs(30);
const GOODBYE: Duration = Duration::from_secs(1);
