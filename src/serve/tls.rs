//! The TLS side of a listener: versions, protocols, and that callers may, or must, show a certificate.

use std::sync::Arc;

use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::{Error, ServerConfig};

use super::Peers;

/// TLS 1.3 and 1.2 with HTTP/1.1 only.
///
/// # Errors
/// rustls refuses the combination.
pub fn tls_config(resolver: Arc<dyn ResolvesServerCert>, peers: Arc<Peers>) -> Result<ServerConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(peers)
        .with_cert_resolver(resolver);
    // The API server speaks HTTP/1.1 to Services, and all of HTTP/2's ways to exhaust a server stay out.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session would outlive a replaced certificate, and long-lived connections gain nothing by it.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
