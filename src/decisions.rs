//! Edge: the leading controller fetches every webhook replica's decisions and tells of them by Events.

mod fetch;
mod replicas;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use crate::cluster::{Cluster, ClusterProblem, Kind, Leadership, Recorder};
use crate::install::WEBHOOK;
use crate::model::{Backoff, Decisions};
use crate::serve::Bundle;
use crate::telemetry::{Metrics, ReasonLabels};
use fetch::{Connection, FetchProblem};
use replicas::addresses;
use tell::{Teller, Written};

/// What the reading of decisions works with.
pub struct DecisionSettings {
    /// Its connection.
    pub cluster: Cluster,
    /// Whether it may write.
    pub leadership: Leadership,
    /// Flamewarden's own namespace.
    pub namespace: String,
    /// Where the replicas are; where the Service says, if nothing is said here.
    pub addresses: Vec<SocketAddr>,
    /// Our authority, as the registration has it.
    pub bundle: watch::Receiver<Bundle>,
    /// What writes Events.
    pub recorder: Arc<Recorder>,
    /// Where losses are counted.
    pub metrics: Arc<Metrics>,
}

/// Reads the decisions of all replicas, each for itself, so that none waits for another.
pub struct DecisionReader {
    settings: Arc<DecisionSettings>,
    wanted: watch::Sender<BTreeSet<SocketAddr>>,
    followed: BTreeMap<SocketAddr, Followed>,
}

/// A task that ends when it is no longer kept.
struct Followed(JoinHandle<()>);

impl Drop for Followed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl DecisionReader {
    /// A reader that follows nobody yet.
    pub fn new(settings: DecisionSettings) -> Self {
        DecisionReader { settings: Arc::new(settings), wanted: watch::Sender::default(), followed: BTreeMap::new() }
    }

    /// Reads while this process leads, until `stop` says so.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let wait = if self.settings.leadership.holds() {
                match self.settings.replicas().await {
                    Ok(replicas) => self.follow(replicas),
                    Err(problem) => warn!(%problem, "the webhook's addresses are unknown; those known stay"),
                }
                LOOK
            } else {
                self.followed.clear();
                NOT_LEADING
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn follow(&mut self, replicas: BTreeSet<SocketAddr>) {
        self.followed.retain(|_, followed| !followed.0.is_finished());
        for address in &replicas {
            self.followed.entry(*address).or_insert_with(|| {
                let follow = follow(Arc::clone(&self.settings), *address, self.wanted.subscribe());
                Followed(tokio::spawn(follow))
            });
        }
        self.wanted.send_replace(replicas);
    }
}

impl DecisionSettings {
    async fn replicas(&self) -> Result<BTreeSet<SocketAddr>, ClusterProblem> {
        if !self.addresses.is_empty() {
            return Ok(self.addresses.iter().copied().collect());
        }
        let labels = format!("kubernetes.io/service-name={WEBHOOK}");
        let slices = self.cluster.list(Kind::EndpointSlice, &self.namespace, &labels).await?;
        addresses(&slices).ok_or_else(|| ClusterProblem::Shape("the list of endpoint slices".to_owned()))
    }

    fn lost(&self, reason: &'static str, count: u64) {
        if count > 0 {
            self.metrics.decisions_lost.get_or_create(&ReasonLabels { reason }).inc_by(count);
            warn!(reason, count, "decisions lost");
        }
    }
}

/// Follows one replica until it is neither wanted nor there.
async fn follow(settings: Arc<DecisionSettings>, address: SocketAddr, wanted: watch::Receiver<BTreeSet<SocketAddr>>) {
    let mut seen = Seen::default();
    let mut failures = 0u32;
    loop {
        let had = seen.clone();
        let ended = read(&settings, address, &mut seen).await;
        failures = if seen == had { failures.saturating_add(1) } else { 0 };
        debug!(%address, problem = %ended, "not read from this replica; it is tried again");
        if !wanted.borrow().contains(&address) {
            settings.lost("replica_gone", u64::from(!seen.complete && !seen.run.is_empty()));
            info!(%address, "replica not followed any more");
            return;
        }
        tokio::time::sleep(BACKOFF.after(failures)).await;
    }
}

/// Reads on one connection until it fails.
async fn read(settings: &DecisionSettings, address: SocketAddr, seen: &mut Seen) -> FetchProblem {
    let bundle = settings.bundle.borrow().clone();
    let mut connection = match Connection::open(address, &bundle, &settings.namespace).await {
        Ok(connection) => connection,
        Err(problem) => return problem,
    };
    let teller = Teller { cluster: &settings.cluster, leadership: &settings.leadership, recorder: &settings.recorder };
    loop {
        let decisions = match connection.fetch(&seen.run, seen.after).await {
            Ok(decisions) => decisions,
            Err(problem) => return problem,
        };
        for (reason, count) in seen.losses(&decisions) {
            settings.lost(reason, count);
        }
        for decision in &decisions.decisions {
            match teller.tell(decision, &decisions.run).await {
                Written::Stored(reason) => drop(settings.metrics.events.get_or_create(&ReasonLabels { reason }).inc()),
                Written::Suppressed => drop(settings.metrics.events_suppressed.inc()),
                Written::Nothing => {}
                Written::Failed => settings.lost("not_written", 1),
                // Not confirmed: whoever leads now fetches it again.
                Written::NotLeading => return FetchProblem::NotLeading,
            }
        }
        seen.take(&decisions);
        if decisions.ending && decisions.decisions.is_empty() {
            // A replica on its way out answers at once; its last words are asked for now and then.
            tokio::time::sleep(FIRST_RETRY).await;
        }
    }
}

/// How far one replica was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    run: String,
    after: u64,
    lost: u64,
    /// Whether it said that nothing will follow, so that its end loses nothing.
    complete: bool,
}

impl Seen {
    /// What these decisions say is lost: what was pushed out of the queue, and a run that ended unread, of which
    /// nobody knows how much it had; it counts as one.
    fn losses(&self, decisions: &Decisions) -> [(&'static str, u64); 2] {
        let same = self.run == decisions.run;
        let pushed_out = decisions.lost.saturating_sub(if same { self.lost } else { 0 });
        let gone = !same && !self.run.is_empty() && !self.complete;
        [("pushed_out", pushed_out), ("replica_gone", u64::from(gone))]
    }

    fn take(&mut self, decisions: &Decisions) {
        let complete = decisions.ending && decisions.decisions.is_empty();
        *self = Seen { run: decisions.run.clone(), after: decisions.next, lost: decisions.lost, complete };
    }
}

/// How often the Service is asked for its replicas.
const LOOK: Duration = Duration::from_secs(5);
const NOT_LEADING: Duration = Duration::from_millis(200);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const BACKOFF: Backoff = Backoff::new(FIRST_RETRY, Duration::from_secs(10));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_once_and_a_goodbye_loses_nothing() {
        let told = |run: &str, next: u64, lost: u64, ending: bool| Decisions {
            run: run.to_owned(),
            decisions: Vec::new(),
            next,
            lost,
            ending,
        };
        let mut seen = Seen::default();
        for (decisions, pushed_out, gone) in [
            (told("a", 3, 0, false), 0, 0),
            (told("a", 9, 4, false), 4, 0),
            (told("a", 9, 4, false), 0, 0),
            (told("b", 1, 2, false), 2, 1),
            (told("b", 1, 2, true), 0, 0),
            (told("c", 0, 0, false), 0, 0),
        ] {
            assert_eq!(seen.losses(&decisions), [("pushed_out", pushed_out), ("replica_gone", gone)], "{decisions:?}");
            seen.take(&decisions);
        }
    }
}
