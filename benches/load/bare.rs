//! The servers to compare with: TLS, HTTP/1.1, and next to nothing behind.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a bare server does with a body that it has read.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    Constant,
    Value,
}

impl Work {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Work::Constant => "serve-constant",
            Work::Value => "serve-value",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Work::Constant, Work::Value].into_iter().find(|work| work.word() == word)
    }
}

/// Serves for ever, with the certificate in the folder; says on standard error where.
pub(crate) fn serve(work: Work, folder: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let chain = CertificateDer::pem_file_iter(folder.join("tls.crt")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(folder.join("tls.key")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        tracing_subscriber::fmt().json().flatten_event(true).with_writer(std::io::stderr).init();
        tracing::info!(webhook = %listener.local_addr().unwrap(), "serving");
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(move |request| answer(work, request));
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

async fn answer(work: Work, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    if let Work::Value = work {
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        std::hint::black_box(&value);
    }
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER)));
    let kind = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    Ok(response)
}

const ANSWER: &[u8] = br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"fe41c091-1c0a-4478-883f-7b2caa2739e6","allowed":true}}"#;
