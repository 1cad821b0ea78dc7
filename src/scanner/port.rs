//! Edge: the port where workers bring what they found: each of one digest, once, and with a nonce of its own.

mod desk;
mod reception;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use desk::{Awaiting, Desk};
use reception::Reception;

use super::brought::Holder;
use super::problem::unmade;
use super::{Bound, Brought, PortOrder, ScanProblem};
use crate::model::Digest;
use crate::serve::{
    Bundle, Certificate, CertificateProblem, CertificateStore, ConnectionLimits, Drain, IssueProblem, Listen, Peers,
    PeersProblem, Renewal, plan_renewal, renewed, serve, tls_config,
};

/// The port, to those who await something there.
pub struct Port {
    desk: Arc<Desk>,
    at: SocketAddr,
    holder: Holder,
    /// Kept in memory alone: nonces are no more lasting, and so nobody else can ever pass for this port.
    bundle: Mutex<Bundle>,
    store: Arc<CertificateStore>,
}

/// Why there is no port.
#[derive(Debug, thiserror::Error)]
pub enum PortProblem {
    /// No certificate could be made.
    #[error(transparent)]
    Issue(#[from] IssueProblem),
    /// What was made cannot be served.
    #[error(transparent)]
    Certificate(#[from] CertificateProblem),
    /// TLS cannot be set up.
    #[error(transparent)]
    Peers(#[from] PeersProblem),
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The system has no random numbers, or no such folder.
    #[error("cannot set up the port: {0}")]
    System(#[from] io::Error),
}

/// One awaited scan: what its worker is told, and the end of it.
pub(super) struct Expected {
    pub(super) order: PortOrder,
    awaiting: Awaiting,
    patience: Duration,
}

impl Port {
    /// A port on this listener, to whoever calls `at`; it is answered by what comes with it.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn open(
        listener: TcpListener,
        at: SocketAddr,
        drain: Drain,
    ) -> Result<(Self, impl Future<Output = ()> + Send), PortProblem> {
        let (desk, store) = (Arc::new(Desk::default()), Arc::new(CertificateStore::default()));
        let holder = Holder::default();
        let port =
            Port { desk: desk.clone(), at, holder: holder.clone(), bundle: Mutex::default(), store: store.clone() };
        port.certificate(Timestamp::now())?;
        let tls = tls_config(store, Arc::new(Peers::new(None)?))?;
        let listen = Listen {
            listener,
            tls: Some(TlsAcceptor::from(Arc::new(tls))),
            handler: Arc::new(Reception::new(desk, holder.clone())),
            limits: limits(),
            drain,
        };
        Ok((port, serve(listen)))
    }

    /// Awaits a scan for so long.
    pub(super) fn expect(&self, digest: Digest, patience: Duration) -> Result<Expected, ScanProblem> {
        let authority = self.certificate(Timestamp::now()).map_err(unmade)?;
        let mut nonce = [0; 32];
        rand::fill(&mut nonce).map_err(|_| unmade("the system has no random numbers"))?;
        let awaiting = self.desk.wait_for(digest, nonce, Instant::now() + patience);
        let awaiting = awaiting.ok_or_else(|| unmade("it is being made already"))?;
        let order = PortOrder {
            at: self.at,
            name: NAME.to_owned(),
            authority,
            digest: digest.to_string(),
            nonce: URL_SAFE_NO_PAD.encode(nonce),
        };
        Ok(Expected { order, awaiting, patience })
    }

    /// Who gives the right to hold what was brought.
    pub(super) fn holder(&self) -> Holder {
        self.holder.clone()
    }

    /// Looks after the certificate, and says by which authority it is known.
    fn certificate(&self, now: Timestamp) -> Result<String, PortProblem> {
        let mut bundle = self.bundle.lock().unwrap_or_else(PoisonError::into_inner);
        let names: BTreeSet<String> = [NAME.to_owned()].into();
        let renewal = plan_renewal(now, &bundle, &names);
        if renewal != Renewal::Nothing {
            *bundle = renewed(&bundle, renewal, &names, now)?;
        }
        if let Some(leaf) = bundle.leaf.as_ref().filter(|_| renewal != Renewal::Nothing) {
            self.store.take(Certificate::parse(leaf.certificate.as_bytes(), leaf.key.as_bytes(), now)?);
        }
        Ok(bundle.trusted())
    }
}

impl Expected {
    /// Waits for what is brought.
    pub(super) async fn brought(&mut self) -> Result<Brought, ScanProblem> {
        match timeout(self.patience, &mut self.awaiting.ended).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => Err(ScanProblem::Unmade("nobody awaits it any more".to_owned())),
            Err(_) => Err(ScanProblem::Exceeded(Bound::Time)),
        }
    }
}

/// A worker connects once, for two requests.
fn limits() -> ConnectionLimits {
    ConnectionLimits {
        connections: 256,
        connections_per_address: 16,
        header: Duration::from_secs(5),
        idle: Duration::from_secs(10),
        linger: Duration::ZERO,
        drain: Duration::from_secs(5),
        ..ConnectionLimits::default()
    }
}

/// The name in the port's certificate. No name leads to the one replica that knows a nonce, so workers are told its
/// address, and this name says only that it is the port.
const NAME: &str = "flamewarden-scans";
