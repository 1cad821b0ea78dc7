//! A caller: connections over TLS or plain, and what came back.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What a caller trusts, shows and speaks.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) config: ClientConfig,
}

/// A kept-alive connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// The certificate that the server showed.
    pub(crate) shown: Vec<u8>,
    /// What was agreed on.
    pub(crate) protocol: Option<Vec<u8>>,
}

/// A response, read whole.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Caller {
    /// Trusts the authority in a folder.
    pub(crate) fn trusting(folder: &Path) -> Self {
        let config = builder(rustls::ALL_VERSIONS).with_root_certificates(roots(folder)).with_no_client_auth();
        Caller { config }
    }

    /// Trusts the authority in a folder and shows a certificate.
    pub(crate) fn showing(folder: &Path, chain: &str, key: &str) -> Self {
        let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = builder(rustls::ALL_VERSIONS).with_root_certificates(roots(folder));
        Caller { config: config.with_client_auth_cert(chain, key).unwrap() }
    }

    /// The same with these protocols in ALPN.
    pub(crate) fn speaking(mut self, protocols: &[&str]) -> Self {
        self.config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    /// A connection on which nothing has been said.
    pub(crate) async fn open(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(self.config.clone())).connect(name, stream).await
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> std::io::Result<Connection> {
        let stream = self.open(address).await?;
        let tls = stream.get_ref().1;
        let shown = tls.peer_certificates().unwrap()[0].to_vec();
        let protocol = tls.alpn_protocol().map(<[u8]>::to_vec);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok(Connection { sender, shown, protocol })
    }
}

impl Connection {
    pub(crate) async fn plain(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Connection { sender, shown: Vec::new(), protocol: None }
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await?.to_bytes().to_vec()).unwrap();
        Ok(Response { status: head.status.as_u16(), headers: head.headers, text })
    }

    /// Posts a review as the API server does.
    pub(crate) async fn post(&mut self, path: &str, review: impl Into<Bytes>) -> hyper::Result<Response> {
        let request = Request::post(path).header("host", "x").header("content-type", "application/json");
        self.send(request.body(Full::new(review.into())).unwrap()).await
    }

    pub(crate) async fn fetch(&mut self, path: &str) -> Response {
        self.try_fetch(path).await.unwrap()
    }

    pub(crate) async fn try_fetch(&mut self, path: &str) -> hyper::Result<Response> {
        self.send(Request::get(path).header("host", "x").body(Full::default()).unwrap()).await
    }

    /// Whether the server has closed it.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|problem| panic!("{problem}: {self:?}"))
    }

    /// Uid, decision and code of the answer in it.
    pub(crate) fn answer(&self) -> (String, bool, Option<i64>) {
        let response = &self.json()["response"];
        let uid = response["uid"].as_str().unwrap().to_owned();
        (uid, response["allowed"].as_bool().unwrap(), response["status"]["code"].as_i64())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

fn builder(
    versions: &[&'static SupportedProtocolVersion],
) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(versions).unwrap()
}

fn roots(folder: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(folder.join("ca.crt")).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}
