//! Edge: composition of the parts: what is opened, in which order, and how it ends.

mod api;
mod archive;
mod auditing;
mod canary;
mod controller;
mod pages;
mod parts;
mod scanner;
mod scans;
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use clap::ValueEnum;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub use archive::{ArchivePlace, existing_archive};
pub use auditing::Installed;
pub use controller::{CertificateSource, ControllerSettings};
use parts::all_ended;
pub use scanner::ScanTools;
use webhook::Calls;

use crate::facts::ScanMemory;
use crate::policy::PolicySet;
use crate::serve::{ConnectionLimits, Drain, Listen, PolicyFolder, Probes, serve};
use crate::telemetry::Metrics;
use crate::webhook::{InForce, Judge, ReviewLimits};

/// The parts that `serve` can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Answers /mutate and /validate.
    Webhook,
    /// Makes policies, lifts gates, keeps certificate and configurations.
    Controller,
}

/// What `serve` was told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What to run.
    pub parts: Vec<Part>,
    /// Folder of the policy files.
    pub policies: PathBuf,
    /// Folder of the serving certificate; the webhook needs it.
    pub certificates: Option<PathBuf>,
    /// Where the API server calls.
    pub listen: SocketAddr,
    /// Where probes and metrics are answered.
    pub probes: SocketAddr,
    /// Where the REST API is answered, by the controller and where the policies have one.
    pub api: SocketAddr,
    /// Where pages are shown, by the controller and where the policies have some.
    pub pages: SocketAddr,
    /// Authorities of client certificates.
    pub client_authorities: Option<PathBuf>,
    /// Common name of client certificates.
    pub client_name: Option<String>,
    /// How often certificate and policies are compared with what is in force.
    pub look: Duration,
    /// What callers may take.
    pub connections: ConnectionLimits,
    /// What reviews may take.
    pub reviews: ReviewLimits,
    /// For the controller.
    pub controller: ControllerSettings,
}

/// A running server.
pub struct Running {
    /// Where the webhook listens; nowhere without that part.
    pub webhook: Option<SocketAddr>,
    /// Where the probes listen.
    pub probes: SocketAddr,
    /// The switch that ends it.
    pub drain: Drain,
    serving: JoinHandle<anyhow::Result<()>>,
}

/// Serves until told to stop.
///
/// # Errors
/// It cannot start: policies, certificates or addresses cannot be used. A part failed, and the others were ended.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(async {
        let running = start(settings, crate::rules::judge).await?;
        let drain = running.drain.clone();
        tokio::select! {
            signals = drain.on_signals() => signals.context("cannot listen for signals"),
            ended = running.ended() => ended,
        }
    })
}

/// Starts serving; [`Running::ended`] waits for the end.
///
/// # Errors
/// It cannot start: policies, certificates or addresses cannot be used.
pub async fn start(settings: &Settings, judge: Judge) -> anyhow::Result<Running> {
    // The first of all: rustls panics where two providers could be meant.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (metrics, drain) = (Arc::new(Metrics::new()), Drain::default());
    let mut folder = PolicyFolder::new(&settings.policies);
    let policies = Policies::first(&mut folder)?;
    metrics.policies_valid.set(1);
    let shared =
        Shared { policies: policies.clone(), scans: Arc::default(), metrics: metrics.clone(), drain: drain.clone() };

    let (mut checks, mut tasks) = (Vec::new(), JoinSet::new());
    let following = scans::follow(settings, &shared).await;
    checks.push(following.check);
    tasks.spawn(following.running);
    let mut webhook = None;
    if settings.parts.contains(&Part::Webhook) {
        let calls = Calls::prepare(settings, &shared, judge).await?;
        webhook = Some(calls.address()?);
        checks.push(calls.check());
        let running = calls.run(metrics.clone());
        tasks.spawn(async move {
            running.await;
            Ok(())
        });
    }
    if settings.parts.contains(&Part::Controller) {
        let archive = archive::archive(&settings.controller.archive)?;
        let controller = controller::start(&settings.controller, &shared, archive.clone()).await?;
        checks.push(controller.check);
        tasks.spawn(controller.running);
        if let Some(shown) = pages::start(settings, &shared, archive.clone()).await? {
            tracing::info!(pages = %shown.address, "pages are shown");
            tasks.spawn(async move {
                shown.running.await;
                Ok(())
            });
        }
        if let Some(rest) = api::start(settings, &policies, &metrics, archive, &drain).await? {
            tracing::info!(rest = %rest.address, "the REST API is answered");
            tasks.spawn(async move {
                rest.running.await;
                Ok(())
            });
        }
    }
    let probes = probes(settings, Probes { checks, drain: drain.clone(), metrics: metrics.clone() }).await?;
    let probes_at = probes.listener.local_addr()?;
    tracing::info!(webhook = webhook.map(|at| at.to_string()), probes = %probes_at, "serving");
    let (look, ending) = (settings.look, drain.clone());
    let serving = tokio::spawn(async move {
        tokio::select! {
            // The parts end by themselves when the drain has begun; probes are answered until then.
            ended = all_ended(tasks, &ending) => ended,
            () = serve(probes) => Err(anyhow!("probes are not answered any more")),
            () = look_at_policies(folder, policies, metrics, look) => Err(anyhow!("policies are not looked at any more")),
        }
    });
    Ok(Running { webhook, probes: probes_at, drain, serving })
}

/// What all parts have.
struct Shared {
    policies: Policies,
    /// What is known of the scans of images.
    scans: Arc<ScanMemory>,
    metrics: Arc<Metrics>,
    drain: Drain,
}

/// The policies in force, as the parts want them: each is swapped whole, one right after the other.
#[derive(Clone)]
struct Policies {
    set: Arc<ArcSwap<PolicySet>>,
    with_rules: Arc<ArcSwap<InForce>>,
}

impl Policies {
    /// The first policies, without which nothing starts.
    fn first(folder: &mut PolicyFolder) -> anyhow::Result<Self> {
        let set = Arc::new(folder.look().context("no policies")??);
        let in_force = InForce::new(set.clone())?;
        Ok(Policies { set: Arc::new(ArcSwap::new(set)), with_rules: Arc::new(ArcSwap::from_pointee(in_force)) })
    }

    fn replace(&self, set: PolicySet) -> anyhow::Result<()> {
        let set = Arc::new(set);
        self.with_rules.store(Arc::new(InForce::new(set.clone())?));
        self.set.store(set);
        Ok(())
    }
}

async fn probes(settings: &Settings, probes: Probes) -> anyhow::Result<Listen<Probes>> {
    Ok(Listen {
        listener: bind(settings.probes).await?,
        tls: None,
        handler: Arc::new(probes),
        limits: settings.connections.of_probes(),
        // Probes are answered to the very end; what is never begun never ends.
        drain: Drain::default(),
    })
}

async fn look_at_policies(mut folder: PolicyFolder, policies: Policies, metrics: Arc<Metrics>, look: Duration) {
    loop {
        tokio::time::sleep(look).await;
        take_policies(&mut folder, &policies, &metrics);
    }
}

impl Running {
    /// Waits until the drain is over.
    ///
    /// # Errors
    /// It was no drain that ended it: a part failed.
    pub async fn ended(self) -> anyhow::Result<()> {
        self.serving.await.context("serving broke off")?
    }
}

fn take_policies(folder: &mut PolicyFolder, policies: &Policies, metrics: &Metrics) {
    let Some(changed) = folder.look() else { return };
    match changed.map_err(anyhow::Error::from).and_then(|set| policies.replace(set)) {
        Ok(()) => {
            metrics.policies_valid.set(1);
            tracing::info!("changed policies in force");
        }
        Err(problem) => {
            metrics.policies_valid.set(0);
            tracing::error!(problem = %format!("{problem:#}"), "changed policies not taken; the old ones stay in force");
        }
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}
