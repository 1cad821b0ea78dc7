//! Edge: composition of the controller: election, guard, registration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Shared;
use super::archive::ArchivePlace;
use super::auditing::{self, Installed};
use super::canary;
use super::scanner::{self, Beside, ScanTools};
use crate::archive::Archive;
use crate::cluster::{Cluster, Leadership, LeaseTiming, Recorder, campaign, resign};
use crate::decisions::{DecisionReader, DecisionSettings};
use crate::facts::Place;
use crate::guard::{Endings, Guard, GuardSettings};
use crate::history::{History, HistorySettings};
use crate::install::CONTROLLER;
use crate::orchestrator::{Orchestration, OrchestratorSettings, OutsideFiles};
use crate::registration::Registration;
use crate::serve::{Bundle, Check, Drain};

/// What the controller was told.
#[derive(Debug, Clone)]
pub struct ControllerSettings {
    /// How to reach the API server; as a pod does where there is none.
    pub kubeconfig: Option<PathBuf>,
    /// Flamewarden's own namespace.
    pub namespace: String,
    /// The name under which this replica takes part in the election; its host's name as a rule.
    pub identity: String,
    /// Timing of the election.
    pub timing: LeaseTiming,
    /// Where the webhook's replicas are; where its Service says, if nothing is said here.
    pub webhook_addresses: Vec<SocketAddr>,
    /// Folder of the policy files, as they are to stand in the cluster.
    pub policies: PathBuf,
    /// What `manifests` was told.
    pub installed: Installed,
    /// Whether the webhook's certificate is ours to make; not where cert-manager or files bring it.
    pub certificates: CertificateSource,
    /// What reaching Keycloak and the Hub takes.
    pub files: OutsideFiles,
    /// Where the archive is.
    pub archive: ArchivePlace,
    /// What scanning images takes.
    pub scans: ScanTools,
}

/// Who makes the webhook's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CertificateSource {
    /// Flamewarden's controller, with an authority of its own.
    Own,
    /// cert-manager, by what `manifests` prints for it.
    CertManager,
    /// Somebody else, or files.
    Other,
}

/// A running controller: its task, and what readiness asks of it.
pub(super) struct Controller {
    pub(super) running: BoxFuture<'static, anyhow::Result<()>>,
    pub(super) check: Check,
}

/// Starts the controller; it ends when the drain begins.
pub(super) async fn start(
    settings: &ControllerSettings,
    shared: &Shared,
    archive: Option<Arc<Archive>>,
) -> anyhow::Result<Controller> {
    let (policies, drain) = (shared.policies.set.clone(), shared.drain.clone());
    // The election itself writes without being elected.
    let elector = Cluster::connect(settings.kubeconfig.as_deref(), CONTROLLER)
        .await
        .context("the controller needs an API server")?;
    let leadership = Leadership::default();
    let cluster = elector.clone().led_by(leadership.clone());
    let lease = Place { namespace: settings.namespace.clone(), name: CONTROLLER.to_owned() };
    let (stop, stopped) = watch::channel(false);
    let (synced, knows) = watch::channel(false);

    let mut loops = JoinSet::new();
    // Each has a share of its own: whoever is refused often must not silence what is told of gates.
    let recorder = || Arc::new(Recorder::new(cluster.clone(), &settings.identity));
    let guard = GuardSettings {
        cluster: cluster.clone(),
        leadership: leadership.clone(),
        namespace: settings.namespace.clone(),
        policies: policies.clone(),
        scans: shared.scans.clone(),
        recorder: recorder(),
        metrics: shared.metrics.clone(),
    };
    loops.spawn(orchestration(settings, &guard, archive.clone()).run(stopped.clone()));
    register(&mut loops, settings, &guard, (recorder(), archive.clone()), &stopped);
    keep_history(&mut loops, settings, &guard, archive.as_ref(), &stopped);
    auditing::audit(&mut loops, settings, &guard, (recorder(), archive.clone()), &stopped);
    canary::canary(&mut loops, settings, &guard, &stopped);
    let beside =
        Beside { guard: &guard, recorder: recorder(), archive, drain: &drain, stopped: &stopped, loops: &mut loops };
    scanner::scan(settings, beside).await?;
    loops.spawn(Guard::new(guard).run(stopped.clone(), synced));
    let endings = Endings { cluster: cluster.clone(), leadership: leadership.clone(), policies: policies.clone() };
    loops.spawn(endings.run(stopped.clone()));
    let (me, timing) = (settings.identity.clone(), settings.timing);
    let running = Box::pin(async move {
        let election = campaign(elector.clone(), lease.clone(), me.clone(), timing, leadership.clone());
        let done = lead(election, &mut loops, &drain).await;
        let _ = stop.send(true);
        while loops.join_next().await.is_some() {}
        if let Err(problem) = resign(&elector, &lease, &me, &leadership).await {
            tracing::warn!(%problem, "lease not given back; it runs out by itself");
        }
        done
    });
    Ok(Controller { running, check: watches(knows) })
}

/// The orchestrator, with what the guard has too.
fn orchestration(settings: &ControllerSettings, guard: &GuardSettings, archive: Option<Arc<Archive>>) -> Orchestration {
    Orchestration::new(OrchestratorSettings {
        cluster: guard.cluster.clone(),
        leadership: guard.leadership.clone(),
        policies: guard.policies.clone(),
        scans: guard.scans.clone(),
        metrics: guard.metrics.clone(),
        files: settings.files.clone(),
        archive,
    })
}

/// What makes the webhook known to the API server and hears its decisions, with what the guard has too.
fn register(
    loops: &mut JoinSet<()>,
    settings: &ControllerSettings,
    guard: &GuardSettings,
    (recorder, archive): (Arc<Recorder>, Option<Arc<Archive>>),
    stopped: &watch::Receiver<bool>,
) {
    // Without an authority of our own there is nothing that a webhook would know the controller by.
    if settings.certificates != CertificateSource::Own {
        return;
    }
    let (bundle, known) = watch::channel(Bundle::default());
    let decisions = DecisionSettings {
        cluster: guard.cluster.clone(),
        leadership: guard.leadership.clone(),
        namespace: settings.namespace.clone(),
        addresses: settings.webhook_addresses.clone(),
        bundle: known,
        recorder,
        archive,
        metrics: guard.metrics.clone(),
    };
    loops.spawn(DecisionReader::new(decisions).run(stopped.clone()));
    let registration = Registration {
        cluster: guard.cluster.clone(),
        leadership: guard.leadership.clone(),
        namespace: settings.namespace.clone(),
        bundle,
        policies: guard.policies.clone(),
        metrics: guard.metrics.clone(),
    };
    loops.spawn(registration.run(stopped.clone()));
}

/// What looks after the journal, where there is an archive.
fn keep_history(
    loops: &mut JoinSet<()>,
    settings: &ControllerSettings,
    guard: &GuardSettings,
    archive: Option<&Arc<Archive>>,
    stopped: &watch::Receiver<bool>,
) {
    let Some(archive) = archive.cloned() else {
        if guard.policies.load().auditor.syslog.is_some() {
            tracing::warn!(
                "the policies name a receiver of syslog, and there is no archive: no journal is kept or sent"
            );
        }
        return;
    };
    let history = HistorySettings {
        archive,
        leadership: guard.leadership.clone(),
        policies: guard.policies.clone(),
        metrics: guard.metrics.clone(),
        host: settings.identity.clone(),
    };
    loops.spawn(History::new(history).run(stopped.clone()));
}

/// Not ready before every guarded namespace was seen whole.
fn watches(knows: watch::Receiver<bool>) -> Check {
    let missing = move || (!*knows.borrow()).then(|| "not every guarded namespace was seen yet".to_owned());
    Check { name: "watches", missing: Box::new(move |_| missing()) }
}

/// Takes part in the election until the drain begins. Whoever can no longer do a leader's whole work gives the lease
/// away: renewed for ever, it would keep another from doing it.
async fn lead(election: impl Future<Output = ()>, loops: &mut JoinSet<()>, drain: &Drain) -> anyhow::Result<()> {
    tokio::select! {
        () = drain.begun() => Ok(()),
        ended = loops.join_next() => match ended {
            Some(Err(problem)) => Err(problem).context("a loop of the controller broke off"),
            Some(Ok(())) | None => Err(anyhow!("a loop of the controller ended by itself")),
        },
        () = election => Err(anyhow!("the election ended by itself")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_loop_that_breaks_off_ends_the_election_and_is_a_failure() {
        let forever = std::future::pending::<()>;
        let table: [(&str, fn(), &str); 2] = [
            ("breaks off", || panic!("the guard has a fault"), "a loop of the controller broke off"),
            ("ends", || (), "a loop of the controller ended by itself"),
        ];
        for (what, one, want) in table {
            let mut loops = JoinSet::new();
            loops.spawn(async move { one() });
            loops.spawn(forever());
            let led = lead(forever(), &mut loops, &Drain::default()).await;
            assert_eq!(led.map_err(|problem| problem.to_string()), Err(want.to_owned()), "{what}");
        }
        let (drain, mut loops) = (Drain::default(), JoinSet::new());
        loops.spawn(forever());
        drain.begin();
        assert!(lead(forever(), &mut loops, &drain).await.is_ok(), "a drain is no failure");
    }
}
