//! Edge: composition of the scanner: by whom scans are made, and with what.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bind;
use super::controller::ControllerSettings;
use crate::archive::Archive;
use crate::cluster::Recorder;
use crate::guard::GuardSettings;
use crate::orchestrator::{self, OutsideFiles};
use crate::remote::Ways;
use crate::scanner::{Child, ChildSettings, HubSource, Jobs, JobsSettings, Port, Runner, ScannerSettings, Scanning};
use crate::serve::Drain;

/// What scanning images takes.
#[derive(Debug, Clone)]
pub struct ScanTools {
    /// Grype, or its name on the search path.
    pub grype: PathBuf,
    /// The folder of its databases; without it nothing is scanned here.
    pub databases: Option<PathBuf>,
    /// Where images are unpacked.
    pub folder: PathBuf,
    /// Where Jobs bring what they found.
    pub port: SocketAddr,
    /// By which address they reach it, if it is not that.
    pub address: Option<IpAddr>,
}

/// What the scanner shares with the rest of the controller.
pub(super) struct Beside<'a> {
    pub(super) guard: &'a GuardSettings,
    pub(super) recorder: Arc<Recorder>,
    pub(super) archive: Option<Arc<Archive>>,
    pub(super) drain: &'a Drain,
    pub(super) stopped: &'a watch::Receiver<bool>,
    pub(super) loops: &'a mut JoinSet<()>,
}

/// Starts the scanner; there is none where nobody asks for verdicts and there is nothing to scan with.
pub(super) async fn scan(settings: &ControllerSettings, beside: Beside<'_>) -> anyhow::Result<()> {
    let policies = beside.guard.policies.load_full();
    let by_jobs = policies.scanner.as_ref().is_some_and(|scanner| scanner.worker.is_some());
    let runner = match settings.scans.databases.clone() {
        _ if by_jobs => Runner::Jobs(jobs(settings, &beside).await.map(|(jobs, answering)| {
            let mut stopped = beside.stopped.clone();
            beside.loops.spawn(async move {
                tokio::select! {
                    () = answering => {}
                    _ = stopped.wait_for(|stop| *stop) => {}
                }
            });
            jobs
        })?),
        Some(databases) => Runner::Child(child(&settings.scans, databases, beside.guard)?),
        None => {
            ensure!(
                policies.scanner.is_none(),
                "the policies ask for verdicts on images, and there is nothing to scan with: have Jobs scan (section \
                 `worker` of the document of kind Scanner), or start the controller with --grype-database"
            );
            return Ok(());
        }
    };
    let guard = beside.guard;
    let scanning = Scanning::new(ScannerSettings {
        cluster: guard.cluster.clone(),
        leadership: guard.leadership.clone(),
        policies: guard.policies.clone(),
        scans: guard.scans.clone(),
        recorder: beside.recorder,
        runner: Arc::new(runner),
        archive: beside.archive,
        ways: Ways::plain(REGISTRY),
        hub: hub(settings.files.clone()),
        metrics: guard.metrics.clone(),
    });
    beside.loops.spawn(scanning.run(beside.stopped.clone()));
    Ok(())
}

/// The Hub that the orchestrator tells of analyses is the one that has built them.
fn hub(files: OutsideFiles) -> HubSource {
    Arc::new(move |policies| orchestrator::hub(policies, &files))
}

fn child(tools: &ScanTools, databases: PathBuf, guard: &GuardSettings) -> anyhow::Result<Child> {
    let handed_on = |name: &&str| Some(((*name).to_owned(), std::env::var(name).ok()?));
    let child = ChildSettings {
        program: std::env::current_exe().context("cannot tell which program this is")?,
        grype: tools.grype.clone(),
        databases,
        environment: HANDED_ON.iter().filter_map(handed_on).collect(),
        folder: tools.folder.clone(),
        policies: guard.policies.clone(),
    };
    Child::new(child).with_context(|| format!("--scan-folder {}", tools.folder.display()))
}

/// Jobs, and the answering of the port where they bring what they found.
async fn jobs(
    settings: &ControllerSettings,
    beside: &Beside<'_>,
) -> anyhow::Result<(Jobs, impl Future<Output = ()> + Send + use<>)> {
    let listener = bind(settings.scans.port).await?;
    let mut at = listener.local_addr()?;
    at.set_ip(settings.scans.address.unwrap_or(at.ip()));
    ensure!(!at.ip().is_unspecified(), "--scans: by which address workers reach it must stand in the variable POD_IP");
    let (port, answering) = Port::open(listener, at, beside.drain.clone())?;
    let jobs = Jobs::new(JobsSettings {
        cluster: beside.guard.cluster.clone(),
        namespace: settings.namespace.clone(),
        port: Arc::new(port),
        policies: beside.guard.policies.clone(),
    });
    Ok((jobs, answering))
}

/// Where programs are, and where the machine's authorities are.
const HANDED_ON: [&str; 3] = ["PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"];
/// For one answer of a registry.
const REGISTRY: Duration = Duration::from_secs(15);
