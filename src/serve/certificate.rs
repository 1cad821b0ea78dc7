//! A serving certificate: chain and key that fit each other, and until when they are good.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A chain and its key, ready to be served.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// What rustls serves.
    pub key: Arc<CertifiedKey>,
    /// The first moment at which the leaf is good.
    pub not_before: Timestamp,
    /// The last moment at which the leaf is good.
    pub not_after: Timestamp,
}

/// Why a pair of files is no serving certificate.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CertificateProblem {
    /// The chain is empty or cannot be read.
    #[error("tls.crt holds no certificate that can be read: {0}")]
    Chain(String),
    /// The key cannot be read, or is none that can sign.
    #[error("tls.key holds no key that can be read: {0}")]
    Key(String),
    /// Certificate and key are of two pairs.
    #[error("tls.crt and tls.key do not belong together: {0}")]
    Pair(String),
    /// The leaf is not good at this moment.
    #[error("tls.crt is good from {not_before} to {not_after} only")]
    Time {
        /// First moment.
        not_before: Timestamp,
        /// Last moment.
        not_after: Timestamp,
    },
}

impl Certificate {
    /// Reads a chain (leaf first) and its key, PEM, and checks that they can be served at `now`.
    ///
    /// # Errors
    /// What makes the pair unusable.
    pub fn parse(chain: &[u8], key: &[u8], now: Timestamp) -> Result<Self, CertificateProblem> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|problem| CertificateProblem::Chain(problem.to_string()))?;
        let leaf = chain.first().ok_or_else(|| CertificateProblem::Chain("it is empty".to_owned()))?;
        let (not_before, not_after) = validity(leaf)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|problem| CertificateProblem::Key(problem.to_string()))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|problem| match problem {
            rustls::Error::InconsistentKeys(_) => CertificateProblem::Pair(problem.to_string()),
            problem => CertificateProblem::Key(problem.to_string()),
        })?;
        let certificate = Certificate { key: Arc::new(key), not_before, not_after };
        if certificate.is_good(now) { Ok(certificate) } else { Err(CertificateProblem::Time { not_before, not_after }) }
    }

    /// Whether it is good at that moment.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

fn validity(leaf: &CertificateDer<'_>) -> Result<(Timestamp, Timestamp), CertificateProblem> {
    let problem = |problem: String| CertificateProblem::Chain(problem);
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| problem(error.to_string()))?;
    let moment = |seconds| Timestamp::from_second(seconds).map_err(|error| problem(error.to_string()));
    let validity = leaf.validity();
    Ok((moment(validity.not_before.timestamp())?, moment(validity.not_after.timestamp())?))
}
