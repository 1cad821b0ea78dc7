//! Edge: makes scans by a child process with bounds, where no Jobs make them.
//!
//! The child is this program as `scan-worker`, which watches over Grype and ends whatever that started. It ends when
//! its standard input closes, and so with this process, however that ends.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child as Process, Command};
use tokio::sync::oneshot;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::brought::Holder;
use super::order::Tools;
use super::problem::unmade;
use super::workplace::Workplace;
use super::{Bounds, Brought, Deliver, Errand, Evidence, Order, ScanProblem};
use crate::policy::PolicySet;
use crate::registry::Scanned;
use crate::scan::{Census, read};

/// How child processes make scans.
#[derive(Debug, Clone)]
pub struct ChildSettings {
    /// This program.
    pub program: PathBuf,
    /// Grype, or its name on the search path.
    pub grype: PathBuf,
    /// The folder of Grype's databases.
    pub databases: PathBuf,
    /// Variables that Grype gets besides: where proxies and authorities are, and the search path.
    pub environment: Vec<(String, String)>,
    /// Where layers are unpacked; it is this user's alone, and emptied at the start.
    pub folder: PathBuf,
    /// The policies in force; they say what a scan may take.
    pub policies: Arc<ArcSwap<PolicySet>>,
}

/// Makes scans by child processes.
#[derive(Debug)]
pub struct Child {
    settings: ChildSettings,
    place: Workplace,
    holder: Holder,
}

impl Child {
    /// Makes the folder and empties it of what a killed process left there.
    ///
    /// # Errors
    /// The folder cannot be made, or may be somebody else's.
    pub fn new(settings: ChildSettings) -> io::Result<Self> {
        let place = Workplace::open(&settings.folder)?;
        Ok(Child { settings, place, holder: Holder::default() })
    }

    /// Who gives the right to hold what was brought.
    pub(super) fn holder(&self) -> Holder {
        self.holder.clone()
    }

    /// Since when the database is the one that it is, by the last change of its file: what brings a new one may give it
    /// the time of its making, but cannot choose this.
    pub(super) fn renewed(&self) -> Option<Timestamp> {
        let changed = |schema: &str| {
            let file = self.settings.databases.join(schema).join("vulnerability.db");
            Timestamp::from_second(fs::metadata(file).ok()?.ctime()).ok()
        };
        SCHEMAS.into_iter().filter_map(changed).max()
    }

    /// Makes one scan.
    pub(super) async fn run(&self, errand: &Errand) -> Result<Brought, ScanProblem> {
        let policies = self.settings.policies.load();
        let scanner = policies.scanner.as_ref().ok_or_else(|| unmade("no document of kind Scanner is in force"))?;
        let room = self.place.room().map_err(unmade)?;
        let ChildSettings { grype, databases, environment, .. } = self.settings.clone();
        let deliver = Deliver::Folder(room.path().to_owned());
        let order = Order::of(errand, Tools { grype, databases, environment }, Bounds::of(scanner), deliver);
        // On its own: also where nobody waits any more, the worker is ended and its folder emptied.
        let (waiting, left) = oneshot::channel();
        let made = tokio::spawn(make(self.settings.program.clone(), order, room, left)).await;
        drop::<oneshot::Sender<()>>(waiting);
        let room = made.map_err(broken)??;
        let hold = self.holder.take().await.ok_or_else(|| unmade("nothing is read any more"))?;
        // Also where nobody waits any more, the right is held until the reading has ended.
        let read = spawn_blocking(move || brought(&room).map(|evidence| Brought::new(evidence, hold)));
        read.await.map_err(broken)?
    }
}

/// Has the order carried out; what it brought is in the folder.
async fn make(
    program: PathBuf,
    order: Order,
    room: TempDir,
    left: oneshot::Receiver<()>,
) -> Result<TempDir, ScanProblem> {
    let mut command = Command::new(&program);
    command.args(["scan-worker", "run", "--order=-"]).env_clear().process_group(0).kill_on_drop(true);
    let mut worker = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(unmade)?;
    let (mut orders, mut lines) = (worker.stdin.take(), worker.stdout.take());
    if let Some(orders) = &mut orders {
        let text = serde_json::to_string(&order).map_err(unmade)?;
        orders.write_all(format!("{text}\n").as_bytes()).await.map_err(unmade)?;
    }
    let mut said = Vec::new();
    let ended = async {
        if let Some(lines) = lines.as_mut() {
            lines.take(LONGEST).read_to_end(&mut said).await?;
        }
        worker.wait().await
    };
    let status = tokio::select! {
        status = ended => Some(status.map_err(unmade)?),
        // It watches the time itself, and needs some to end what it started.
        () = sleep(order.bounds.patience() + GOODBYE) => None,
        _ = left => None,
    };
    let Some(status) = status else {
        drop(orders);
        end(&mut worker).await?;
        return Err(unmade("its worker was stopped"));
    };
    if !status.success() {
        return Err(ScanProblem::heard(status.code(), &String::from_utf8_lossy(&said)));
    }
    Ok(room)
}

/// Waits for a worker that was told to end, and makes it where it does not.
async fn end(worker: &mut Process) -> Result<ExitStatus, ScanProblem> {
    if let Ok(ended) = timeout(GOODBYE, worker.wait()).await {
        return ended.map_err(unmade);
    }
    let group = worker.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = group {
        kill_process_group(group, Signal::KILL).map_err(unmade)?;
    }
    worker.wait().await.map_err(unmade)
}

fn brought(room: &TempDir) -> Result<Evidence, ScanProblem> {
    let scanned = Scanned::at(room.path());
    let report = read(scanned.report().map_err(|problem| ScanProblem::evidence(&problem))?)
        .map_err(|problem| ScanProblem::evidence(&problem))?;
    let sbom = scanned.sbom().map_err(|problem| ScanProblem::evidence(&problem))?;
    let census = Census::read(sbom).map_err(|problem| ScanProblem::evidence(&format!("its SBOM: {problem}")))?;
    Ok(Evidence { report, census })
}

fn broken(problem: JoinError) -> ScanProblem {
    unmade(format!("it broke off: {problem}"))
}

/// How long a worker may take to end what it started.
const GOODBYE: Duration = Duration::from_secs(10);
const LONGEST: u64 = 4096;

/// Below the folder of Grype's databases, each version of their schema has its own.
const SCHEMAS: [&str; 2] = ["5", "6"];
