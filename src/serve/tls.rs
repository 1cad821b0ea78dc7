//! The TLS side of a listener: versions, protocols, and whether callers must show a certificate.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Which client certificates are accepted.
#[derive(Debug, Clone)]
pub struct ClientCheck {
    /// Authorities, PEM.
    pub authorities: Vec<u8>,
    /// The common name that a client must have; any where none is given.
    pub name: Option<String>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsProblem {
    /// The file of client authorities holds no usable certificate.
    #[error("client authorities: {0}")]
    Authorities(String),
    /// rustls refuses the combination.
    #[error("cannot set up TLS: {0}")]
    Config(#[from] Error),
}

/// TLS 1.3 and 1.2 with HTTP/1.1 only.
///
/// # Errors
/// The client authorities cannot be used.
pub fn tls_config(
    resolver: Arc<dyn ResolvesServerCert>,
    client: Option<&ClientCheck>,
) -> Result<ServerConfig, TlsProblem> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let builder = match client {
        None => builder.with_no_client_auth(),
        Some(check) => builder.with_client_cert_verifier(verifier(check, provider)?),
    };
    let mut config = builder.with_cert_resolver(resolver);
    // The API server speaks HTTP/1.1 to Services, and all of HTTP/2's ways to exhaust a server stay out.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session would outlive a replaced certificate, and long-lived connections gain nothing by it.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn verifier(
    check: &ClientCheck,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsProblem> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&check.authorities) {
        let certificate = certificate.map_err(|problem| TlsProblem::Authorities(problem.to_string()))?;
        roots.add(certificate).map_err(|problem| TlsProblem::Authorities(problem.to_string()))?;
    }
    let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|problem| TlsProblem::Authorities(problem.to_string()))?;
    Ok(match &check.name {
        None => chain,
        Some(name) => Arc::new(NamedClient { chain, name: name.clone() }),
    })
}

/// A verified chain, and one common name.
#[derive(Debug)]
struct NamedClient {
    chain: Arc<dyn ClientCertVerifier>,
    name: String,
}

impl ClientCertVerifier for NamedClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(leaf, intermediates, now)?;
        if common_names(leaf) == [self.name.as_str()] {
            Ok(verified)
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// Every common name of a certificate's subject; one that cannot be read has none.
fn common_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let names = certificate.subject().iter_common_name();
    names.map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
}
