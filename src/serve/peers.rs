//! Who may ask what over TLS: the API server for reviews, the controller for decisions, each by its own authority.
//!
//! Two authorities, two rights: the one that signs the API server's certificate must not be able to make a
//! controller, and ours no API server. So the handshake only proves who holds which key, and every right is
//! asked for where it is used.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::issue::AUTHORITY_NAME;
use crate::model::CONTROLLER_NAME;

/// Which client certificates the API server has.
#[derive(Debug, Clone)]
pub struct ClientCheck {
    /// Authorities, PEM.
    pub authorities: Vec<u8>,
    /// The common name that a client must have; any where none is given.
    pub name: Option<String>,
}

/// Where a connection comes from; every request's extensions have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub IpAddr);

/// What the other end of a connection showed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Peer(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    may_review: OnceLock<bool>,
}

/// The authorities and names by which peers are told apart.
#[derive(Debug)]
pub struct Peers {
    provider: Arc<CryptoProvider>,
    api: Option<Known>,
    own: ArcSwapOption<Known>,
}

/// The file of client authorities holds no usable certificate.
#[derive(Debug, thiserror::Error)]
#[error("client authorities: {0}")]
pub struct PeersProblem(String);

/// Chains to some authorities, and one common name.
#[derive(Debug)]
struct Known {
    chain: Arc<dyn ClientCertVerifier>,
    name: Option<String>,
}

impl Peer {
    /// A peer that showed this chain, leaf first; an empty one where it showed nothing.
    pub fn showing(chain: &[CertificateDer<'_>]) -> Self {
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        Peer(Arc::new(Shown { chain, may_review: OnceLock::new() }))
    }
}

impl Peers {
    /// Peers of which only the API server is known, if there is a check for it.
    ///
    /// # Errors
    /// The check's authorities cannot be used.
    pub fn new(check: Option<&ClientCheck>) -> Result<Self, PeersProblem> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let api = check.map(|check| {
            let roots = certificates(&check.authorities)?;
            Known::new(roots, check.name.clone(), &provider)
        });
        Ok(Peers { api: api.transpose()?, provider, own: ArcSwapOption::empty() })
    }

    /// Takes our own authorities from a `ca.crt`; what others wrote there, such as cert-manager, is not ours, and
    /// whoever they sign for is no controller.
    pub fn take_own(&self, authorities: &[u8]) {
        let ours = certificates(authorities).unwrap_or_default().into_iter().filter(|authority| {
            let names = common_names(authority);
            names.iter().any(|name| name.starts_with(AUTHORITY_NAME))
        });
        let known = Known::new(ours.collect(), Some(CONTROLLER_NAME.to_owned()), &self.provider);
        self.own.store(known.ok().map(Arc::new));
    }

    /// Whether it is checked who asks for reviews.
    pub fn checks_reviews(&self) -> bool {
        self.api.is_some()
    }

    /// Whether this peer may ask for reviews: anybody, unless the API server's certificate is to be checked.
    pub fn may_review(&self, peer: &Peer) -> bool {
        let Some(api) = &self.api else { return true };
        *peer.0.may_review.get_or_init(|| api.is(&peer.0.chain, UnixTime::now()))
    }

    /// Whether this peer is the controller, now: its certificate and our authorities change while connections last.
    pub fn is_controller(&self, peer: &Peer) -> bool {
        self.own.load().as_ref().is_some_and(|own| own.is(&peer.0.chain, UnixTime::now()))
    }
}

impl Known {
    fn new(
        authorities: Vec<CertificateDer<'static>>,
        name: Option<String>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, PeersProblem> {
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority).map_err(|problem| PeersProblem(problem.to_string()))?;
        }
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
        Ok(Known { chain: chain.map_err(|problem| PeersProblem(problem.to_string()))?, name })
    }

    fn is(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> bool {
        let Some((leaf, intermediates)) = chain.split_first() else { return false };
        let named = self.name.as_ref().is_none_or(|name| common_names(leaf) == [name.as_str()]);
        named && self.chain.verify_client_cert(leaf, intermediates, now).is_ok()
    }
}

impl ClientCertVerifier for Peers {
    fn client_auth_mandatory(&self) -> bool {
        self.api.is_some()
    }

    /// No hints: an API server sends the certificate that it was given, whatever is asked for.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(leaf).chain(intermediates).cloned().collect();
        // Where nobody's certificate is checked, a strange one gives no right and does no harm.
        let known = match &self.api {
            None => true,
            Some(api) => api.is(&chain, now) || self.own.load().as_ref().is_some_and(|own| own.is(&chain, now)),
        };
        if known {
            Ok(ClientCertVerified::assertion())
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
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PeersProblem> {
    let certificates = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    certificates.map_err(|problem| PeersProblem(problem.to_string()))
}

/// Every common name of a certificate's subject; one that cannot be read has none.
fn common_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let names = certificate.subject().iter_common_name();
    names.map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

    use super::*;
    use crate::serve::{Authority, client_certificate};

    #[test]
    fn only_an_authority_of_our_own_making_makes_a_controller() {
        for (subject, want) in [("flamewarden authority 1", true), ("cluster issuer", false)] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, subject);
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            let certificate = params.self_signed(&key).unwrap().pem();
            let authority = Authority::parse(&certificate, &key.serialize_pem()).unwrap();
            let made = client_certificate(&authority, CONTROLLER_NAME, jiff::Timestamp::now()).unwrap();
            let peer = Peer::showing(&certificates(made.certificate.as_bytes()).unwrap());
            let peers = Peers::new(None).unwrap();
            assert!(!peers.is_controller(&peer), "there is no authority yet");
            peers.take_own(certificate.as_bytes());
            assert_eq!(peers.is_controller(&peer), want, "{subject}");
        }
    }
}
