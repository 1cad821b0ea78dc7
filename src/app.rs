//! Edge: composition of the parts: what is opened, in which order, and how it ends.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::serve::{
    CertificateFolder, CertificateStore, Check, ClientCheck, ConnectionLimits, Drain, Listen, PolicyFolder, Probes,
    serve, tls_config,
};
use crate::telemetry::Metrics;
use crate::webhook::{ReviewLimits, Webhook, WebhookHandler};

/// The parts that `serve` can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Answers /mutate and /validate.
    Webhook,
}

/// What `serve` was told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What to run.
    pub parts: Vec<Part>,
    /// Folder of the policy files.
    pub policies: PathBuf,
    /// Folder of the serving certificate.
    pub certificates: PathBuf,
    /// Where the API server calls.
    pub listen: SocketAddr,
    /// Where probes and metrics are answered.
    pub probes: SocketAddr,
    /// Authorities of client certificates.
    pub client_authorities: Option<PathBuf>,
    /// Common name of client certificates.
    pub client_name: Option<String>,
    /// What callers may take.
    pub connections: ConnectionLimits,
    /// What reviews may take.
    pub reviews: ReviewLimits,
}

/// A running server.
pub struct Running {
    /// Where the webhook listens.
    pub webhook: SocketAddr,
    /// Where the probes listen.
    pub probes: SocketAddr,
    /// The switch that ends it.
    pub drain: Drain,
    serving: JoinHandle<()>,
}

/// Serves until told to stop.
///
/// # Errors
/// It cannot start: policies, certificates or addresses cannot be used.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(async {
        let running = start(settings, crate::rules::judge).await?;
        let drain = running.drain.clone();
        tokio::select! {
            signals = drain.on_signals() => signals.context("cannot listen for signals"),
            () = running.ended() => Ok(()),
        }
    })
}

/// Starts serving; [`Running::ended`] waits for the end.
///
/// # Errors
/// It cannot start: policies, certificates or addresses cannot be used.
pub async fn start(settings: &Settings, judge: crate::webhook::Judge) -> anyhow::Result<Running> {
    ensure!(settings.parts.contains(&Part::Webhook), "there is nothing to run without the part `webhook`");
    // The first of all: rustls panics where two providers could be meant.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (metrics, drain, store) = (Arc::new(Metrics::new()), Drain::default(), Arc::new(CertificateStore::default()));

    let mut policies = PolicyFolder::new(&settings.policies);
    let first = policies.look().context("no policies")??;
    metrics.policies_valid.set(1);
    let webhook = Arc::new(Webhook::judged_by(first, judge));

    let mut certificates = CertificateFolder::new(&settings.certificates);
    take_certificate(&mut certificates, &store, &metrics);
    let tls = tls_config(store.clone(), client_check(settings)?.as_ref())?;

    let handler = WebhookHandler::new(webhook.clone(), metrics.clone(), settings.reviews.clone());
    let calls = Listen {
        listener: bind(settings.listen).await?,
        tls: Some(TlsAcceptor::from(Arc::new(tls))),
        handler: Arc::new(handler),
        limits: settings.connections.clone(),
        drain: drain.clone(),
    };
    let probes = Listen {
        listener: bind(settings.probes).await?,
        tls: None,
        handler: Arc::new(Probes { checks: checks(&store), drain: drain.clone(), metrics: metrics.clone() }),
        limits: ConnectionLimits { connections: 64, ..settings.connections.clone() },
        // Probes are answered to the very end; what is never begun never ends.
        drain: Drain::default(),
    };
    let (calls_at, probes_at) = (calls.listener.local_addr()?, probes.listener.local_addr()?);
    tracing::info!(webhook = %calls_at, probes = %probes_at, "serving");
    let look = async move {
        loop {
            tokio::time::sleep(LOOK).await;
            take_certificate(&mut certificates, &store, &metrics);
            take_policies(&mut policies, &webhook, &metrics);
        }
    };
    let serving = tokio::spawn(async move {
        tokio::select! {
            () = serve(calls) => {}
            () = serve(probes) => {}
            () = look => {}
        }
    });
    Ok(Running { webhook: calls_at, probes: probes_at, drain, serving })
}

impl Running {
    /// Waits until the drain is over.
    pub async fn ended(self) {
        if let Err(problem) = self.serving.await {
            tracing::error!(%problem, "serving ended by itself");
        }
    }
}

fn take_certificate(folder: &mut CertificateFolder, store: &CertificateStore, metrics: &Metrics) {
    if let Some(certificate) = folder.look(store, Timestamp::now()) {
        metrics.certificate_expiry.set(certificate.not_after.as_second());
    }
}

fn take_policies(folder: &mut PolicyFolder, webhook: &Webhook, metrics: &Metrics) {
    match folder.look() {
        None => {}
        Some(Ok(policies)) => {
            webhook.replace(policies);
            metrics.policies_valid.set(1);
            tracing::info!("changed policies in force");
        }
        Some(Err(problem)) => {
            metrics.policies_valid.set(0);
            tracing::error!(%problem, "changed policies not taken; the old ones stay in force");
        }
    }
}

/// What readiness asks for besides the policies, without which nothing starts.
fn checks(store: &Arc<CertificateStore>) -> Vec<Check> {
    let store = Arc::clone(store);
    vec![Check { name: "certificate", missing: Box::new(move |now| store.missing(now)) }]
}

fn client_check(settings: &Settings) -> anyhow::Result<Option<ClientCheck>> {
    let Some(file) = &settings.client_authorities else { return Ok(None) };
    let authorities =
        std::fs::read(file).with_context(|| format!("cannot read client authorities {}", file.display()))?;
    Ok(Some(ClientCheck { authorities, name: settings.client_name.clone() }))
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// How often certificate and policies are compared with what is in force.
const LOOK: Duration = Duration::from_secs(1);
