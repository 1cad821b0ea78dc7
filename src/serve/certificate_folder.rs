//! Edge: the folder that holds the serving certificate, compared by content so that no kind of swap is missed.
//!
//! A kubelet replaces a mounted Secret by moving a symlink, which a watch of the files does not
//! see, or sees once. Reading two small files every second is cheaper than being wrong.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Certificate;

/// The certificate in force; handshakes take it, connections that stand keep theirs.
#[derive(Debug, Default)]
pub struct CertificateStore {
    current: ArcSwapOption<Certificate>,
}

impl CertificateStore {
    /// The certificate in force, if there has ever been one.
    pub fn current(&self) -> Option<Arc<Certificate>> {
        self.current.load_full()
    }

    /// Puts a certificate in force that came from no folder.
    pub fn take(&self, certificate: Certificate) {
        self.current.store(Some(Arc::new(certificate)));
    }

    /// What keeps this certificate from being served at `now`.
    pub fn missing(&self, now: Timestamp) -> Option<String> {
        match self.current.load().as_deref() {
            None => Some("no certificate has been loaded".to_owned()),
            Some(certificate) if !certificate.is_good(now) => {
                Some(format!("the certificate expired at {}", certificate.not_after))
            }
            Some(_) => None,
        }
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load().as_ref().map(|certificate| Arc::clone(&certificate.key))
    }
}

/// A folder with `tls.crt` and `tls.key`, looked at again and again.
#[derive(Debug)]
pub struct CertificateFolder {
    folder: PathBuf,
    seen: Option<Contents>,
    authorities: Option<Vec<u8>>,
    trouble: Trouble,
}

/// What kept the last look from taking a certificate.
#[derive(Debug, Default, PartialEq, Eq)]
enum Trouble {
    #[default]
    None,
    /// Seen once: perhaps half of a change, which the next look finds whole.
    New(String),
    /// Seen twice and said.
    Told(String),
}

#[derive(Debug, PartialEq, Eq)]
struct Contents {
    chain: Vec<u8>,
    key: Vec<u8>,
}

impl CertificateFolder {
    /// A folder that has not been looked at.
    pub fn new(folder: &Path) -> Self {
        CertificateFolder { folder: folder.to_owned(), seen: None, authorities: None, trouble: Trouble::None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Looks once; puts a changed pair in force if it can be served, and otherwise keeps the old one, loudly.
    /// Returns the certificate that newly came into force.
    pub fn look(&mut self, store: &CertificateStore, now: Timestamp) -> Option<Arc<Certificate>> {
        let contents = match self.read() {
            Ok(contents) => contents,
            Err(problem) => {
                self.trouble_with(format!("cannot read it: {problem}"));
                return None;
            }
        };
        if self.seen.as_ref() == Some(&contents) {
            self.trouble = Trouble::None;
            return None;
        }
        match Certificate::parse(&contents.chain, &contents.key, now) {
            Ok(certificate) => {
                let certificate = Arc::new(certificate);
                store.current.store(Some(Arc::clone(&certificate)));
                self.seen = Some(contents);
                self.trouble = Trouble::None;
                tracing::info!(not_after = %certificate.not_after, "certificate in force");
                Some(certificate)
            }
            // What was read is not remembered: it may be half of a change, or become good with time.
            Err(problem) => {
                self.trouble_with(problem.to_string());
                None
            }
        }
    }

    /// The text of `ca.crt` beside the certificate, where it has changed since the last look; empty without one.
    pub fn look_at_authorities(&mut self) -> Option<Vec<u8>> {
        let text = fs::read(self.folder.join("ca.crt")).unwrap_or_default();
        if self.authorities.as_ref() == Some(&text) {
            return None;
        }
        self.authorities = Some(text.clone());
        Some(text)
    }

    fn read(&self) -> io::Result<Contents> {
        let chain = fs::read(self.folder.join("tls.crt"))?;
        let key = fs::read(self.folder.join("tls.key"))?;
        Ok(Contents { chain, key })
    }

    /// Says each problem once, when it is seen a second time.
    fn trouble_with(&mut self, problem: String) {
        self.trouble = match std::mem::take(&mut self.trouble) {
            Trouble::New(known) if known == problem => {
                let folder = self.folder.display();
                tracing::error!(%folder, %problem, "certificate not taken; one that is in force stays so, and without one nobody is answered");
                Trouble::Told(problem)
            }
            Trouble::Told(known) if known == problem => Trouble::Told(problem),
            _ => Trouble::New(problem),
        };
    }
}
