//! Orchestrators of a test's own in the namespace `CRASH`, which a test ends when it likes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use flamewarden::archive::Archive;
use flamewarden::cluster::{Cluster, Leadership, LeaseTiming, campaign};
use flamewarden::facts::Place;
use flamewarden::orchestrator::{Orchestration, OrchestratorSettings, OutsideFiles};
use flamewarden::policy::PolicySet;
use flamewarden::telemetry::Metrics;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::faulty::Faulty;
use crate::flamewarden::{CONTROLLER, CRASH, MADE, policy_files};
use crate::node::Node;
use crate::scanned::remembered;

/// One orchestrator at a time works in the namespace, as one leads.
pub(crate) static TURN: Mutex<()> = Mutex::const_new(());

/// An orchestrator in this process, which ends as a killed one does: between two instructions.
pub(crate) struct Instance {
    pub(crate) way: Faulty,
    pub(crate) metrics: Arc<Metrics>,
    leadership: Leadership,
    /// The election, which never ends, and the orchestrator.
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// What it has besides the way to the API server.
type Files = (OutsideFiles, Option<Arc<Archive>>);

impl Instance {
    /// One that dies after so many writes, or never.
    pub(crate) async fn start(node: &Node, dies_after: Option<usize>) -> Instance {
        Self::with(node, dies_after, "", None).await
    }

    /// One with this section in its Orchestrator document, and the file with Keycloak's secret.
    pub(crate) async fn with(
        node: &Node,
        dies_after: Option<usize>,
        section: &str,
        keycloak_secret: Option<PathBuf>,
    ) -> Instance {
        let way = way(node).await;
        if let Some(writes) = dies_after {
            way.dies_after(writes);
        }
        Self::alone(way, section, (OutsideFiles { keycloak_secret, ..OutsideFiles::default() }, None)).await
    }

    /// One with this section and an archive at this URL, which dies after so many writes, or never.
    pub(crate) async fn archiving(node: &Node, dies_after: Option<usize>, section: &str, url: &str) -> Instance {
        let way = way(node).await;
        if let Some(writes) = dies_after {
            way.dies_after(writes);
        }
        let archive = Some(Arc::new(Archive::at(url).unwrap()));
        Self::alone(way, section, (OutsideFiles::default(), archive)).await
    }

    /// One with these files.
    pub(crate) async fn with_files(node: &Node, section: &str, files: OutsideFiles) -> Instance {
        Self::alone(way(node).await, section, (files, None)).await
    }

    async fn alone(way: Faulty, section: &str, files: Files) -> Instance {
        // Each has a lease of its own: to wait for that of a dead one is another test's.
        let lease = format!("crash-{}", uuid(&way));
        Self::begin(way, (&lease, "me", LeaseTiming::default()), section, files).await
    }

    /// One that leads while it holds this lease under this name.
    pub(crate) async fn contending(
        way: Faulty,
        candidate: (&str, &str, LeaseTiming),
        section: &str,
        keycloak_secret: Option<PathBuf>,
    ) -> Instance {
        let files = OutsideFiles { keycloak_secret, ..OutsideFiles::default() };
        Self::begin(way, candidate, section, (files, None)).await
    }

    async fn begin(
        way: Faulty,
        (lease, identity, timing): (&str, &str, LeaseTiming),
        section: &str,
        (files, archive): Files,
    ) -> Instance {
        let (leadership, mut tasks) = (Leadership::default(), JoinSet::new());
        let cluster = connected(&way, "flamewarden-controller").await;
        let lease = Place { namespace: "flamewarden-system".to_owned(), name: lease.to_owned() };
        tasks.spawn(campaign(cluster.clone(), lease, identity.to_owned(), timing, leadership.clone()));
        let ((stop, stopped), metrics) = (watch::channel(false), Arc::new(Metrics::new()));
        let policies = policies(section);
        let settings = OrchestratorSettings {
            cluster: cluster.led_by(leadership.clone()),
            leadership: leadership.clone(),
            scans: Arc::new(remembered(&policies)),
            policies: Arc::new(ArcSwap::from_pointee(policies)),
            metrics: metrics.clone(),
            files,
            archive,
        };
        tasks.spawn(Orchestration::new(settings).run(stopped));
        Instance { way, metrics, leadership, tasks, stop }
    }

    /// Waits for its death, in any case ends it: with nothing left to write it would live on.
    pub(crate) async fn died(self) -> bool {
        tokio::time::timeout(Duration::from_secs(6), self.way.dead()).await.is_ok()
    }

    /// Ends it as SIGTERM does, and waits for the end.
    pub(crate) async fn stopped(mut self) {
        self.stop.send(true).unwrap();
        self.tasks.join_next().await.unwrap().unwrap();
    }

    /// Whether it holds its lease.
    pub(crate) fn leads(&self) -> bool {
        self.leadership.holds()
    }

    /// How often it has written so far, its lease aside.
    pub(crate) fn writes(&self) -> usize {
        self.way.writes().iter().filter(|write| !write.what.contains("/leases")).count()
    }
}

/// A way to the API server as the controller.
pub(crate) async fn way(node: &Node) -> Faulty {
    Faulty::open(&node.guarded.cluster.plane.caller(CONTROLLER, Some("system:masters")).await).await
}

/// A connection by that way, which writes under this name.
pub(crate) async fn connected(way: &Faulty, manager: &'static str) -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    Cluster::connect(Some(&way.kubeconfig(folder.path())), manager).await.unwrap()
}

/// A name that no other instance has: its port.
fn uuid(way: &Faulty) -> String {
    way.address().replace([':', '.'], "-")
}

fn policies(section: &str) -> PolicySet {
    let mut files = policy_files(&[]);
    for (_, text) in files.iter_mut().filter(|(name, _)| name == "orchestrator.yaml") {
        *text = text.replace(MADE, CRASH) + section;
    }
    // So that the guard keeps policies for seconds only, not for a minute.
    for (_, text) in &mut files {
        *text = text.replace("graceMaximum: 30", "graceMaximum: 1");
    }
    PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap()
}
