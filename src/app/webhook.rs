//! Edge: composition of the webhook: listener, certificate, decisions.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use tokio_rustls::TlsAcceptor;

use super::{Settings, Shared, bind};
use crate::cluster::Cluster;
use crate::install::WEBHOOK;
use crate::rules::{Limits, Workers};
use crate::serve::{
    CertificateFolder, CertificateStore, Check, ClientCheck, Listen, Peers, Renewal, own_names, renew_folder, serve,
    tls_config,
};
use crate::telemetry::Metrics;
use crate::webhook::{ClusterTargets, DecisionQueue, DecisionStream, Judge, Targets, Webhook, WebhookHandler};

/// The webhook's listener with its certificate, ready to run.
pub(super) struct Calls {
    listen: Listen<WebhookHandler>,
    folder: CertificateFolder,
    peers: Arc<Peers>,
    store: Arc<CertificateStore>,
    look: Duration,
}

impl Calls {
    pub(super) async fn prepare(settings: &Settings, shared: &Shared, judge: Judge) -> anyhow::Result<Self> {
        let Shared { metrics, drain, .. } = shared;
        let folder = settings.certificates.as_ref().context("the part `webhook` needs --certificates")?;
        let (mut folder, store) = (CertificateFolder::new(folder), Arc::new(CertificateStore::default()));
        let peers = Arc::new(Peers::new(client_check(settings)?.as_ref())?);
        take_certificate(&mut folder, &store, &peers, metrics);
        let tls = tls_config(store.clone(), peers.clone())?;
        let decisions = DecisionStream {
            queue: DecisionQueue::new(run_id(), DECISIONS),
            peers: peers.clone(),
            drain: drain.clone(),
            metrics: metrics.clone(),
        };
        let webhook = Arc::new(webhook_of(settings, shared, judge).await);
        let handler = WebhookHandler::new(webhook, decisions, metrics.clone(), settings.reviews.clone());
        let listen = Listen {
            listener: bind(settings.listen).await?,
            tls: Some(TlsAcceptor::from(Arc::new(tls))),
            handler: Arc::new(handler),
            limits: settings.connections.clone(),
            drain: drain.clone(),
        };
        Ok(Calls { listen, folder, peers, store, look: settings.look })
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listen.listener.local_addr()
    }

    pub(super) fn check(&self) -> Check {
        let store = Arc::clone(&self.store);
        Check { name: "certificate", missing: Box::new(move |now| store.missing(now)) }
    }

    /// Answers until the drain is over; a changed certificate is taken meanwhile.
    pub(super) async fn run(mut self, metrics: Arc<Metrics>) {
        let look = async {
            let mut renewed = Instant::now();
            loop {
                tokio::time::sleep(self.look).await;
                take_certificate(&mut self.folder, &self.store, &self.peers, &metrics);
                if renewed.elapsed() >= RENEW {
                    renewed = Instant::now();
                    renew(self.folder.path());
                }
            }
        };
        tokio::select! {
            () = serve(self.listen) => {}
            () = look => {}
        }
    }
}

async fn webhook_of(settings: &Settings, shared: &Shared, judge: Judge) -> Webhook {
    let cluster = Cluster::connect(settings.controller.kubeconfig.as_deref(), WEBHOOK).await;
    let targets = match cluster {
        Ok(cluster) => Some(Box::new(ClusterTargets::new(cluster)) as Box<dyn Targets>),
        Err(problem) => {
            tracing::warn!(%problem, "no API server to ask; whatever names an object without bringing it is refused");
            None
        }
    };
    let workers = Workers::start(Limits::default());
    let (in_force, scans) = (shared.policies.with_rules.clone(), shared.scans.clone());
    Webhook { in_force, judge, targets, scans, workers }
}

/// Renews a certificate that `flamewarden certs` made; one that came from elsewhere has no authority's key with it.
fn renew(folder: &Path) {
    let Some(names) = own_names(folder) else { return };
    match renew_folder(folder, &names, Timestamp::now()) {
        Ok(Renewal::Nothing) => {}
        Ok(done) => tracing::info!(?done, "certificates renewed"),
        Err(problem) => tracing::error!(%problem, "certificates not renewed"),
    }
}

fn take_certificate(folder: &mut CertificateFolder, store: &CertificateStore, peers: &Peers, metrics: &Metrics) {
    if let Some(authorities) = folder.look_at_authorities() {
        peers.take_own(&authorities);
    }
    if let Some(certificate) = folder.look(store, Timestamp::now()) {
        metrics.certificate_expiry.set(certificate.not_after.as_second());
    }
}

fn client_check(settings: &Settings) -> anyhow::Result<Option<ClientCheck>> {
    let Some(file) = &settings.client_authorities else { return Ok(None) };
    let authorities =
        std::fs::read(file).with_context(|| format!("cannot read client authorities {}", file.display()))?;
    Ok(Some(ClientCheck { authorities, name: settings.client_name.clone() }))
}

/// What no other run of any replica is called.
fn run_id() -> String {
    let now = Timestamp::now();
    format!("{}-{}", now.as_nanosecond(), std::process::id())
}

/// How often our own certificates are looked at for renewal: a few times in what a renewal waits for.
const RENEW: Duration = Duration::from_secs(15 * 60);
/// Decisions that a replica holds for the controller: about two megabytes. A quarter of the places is for what is admitted.
const DECISIONS: usize = 4096;
