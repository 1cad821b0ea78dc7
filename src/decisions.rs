//! Edge: the leading controller fetches every webhook replica's decisions, keeps them in the journal and tells of them by
//! Events.

mod budget;
mod fetch;
mod keep;
mod replicas;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use crate::archive::Archive;
use crate::cluster::{Cluster, ClusterProblem, Kind, Leadership, Recorder};
use crate::install::WEBHOOK;
use crate::model::{Backoff, Decisions};
use crate::serve::Bundle;
use crate::telemetry::{Metrics, ReasonLabels};
use fetch::{Connection, FetchProblem};
use keep::Keeping;
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
    /// What keeps the journal.
    pub archive: Option<Arc<Archive>>,
    /// Where losses are counted.
    pub metrics: Arc<Metrics>,
}

/// Reads the decisions of all replicas, each for itself, so that none waits for another.
pub struct DecisionReader {
    reading: Arc<Reading>,
    wanted: watch::Sender<BTreeSet<SocketAddr>>,
    followed: BTreeMap<SocketAddr, Followed>,
}

/// What all replicas are read with.
struct Reading {
    settings: DecisionSettings,
    keeping: Keeping,
    gone: Gone,
}

/// Runs that ended unread and are counted.
#[derive(Default)]
struct Gone(Mutex<BTreeSet<String>>);

impl Gone {
    fn is_new(&self, run: &str) -> bool {
        let mut gone = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = gone.insert(run.to_owned());
        while gone.len() > RUNS {
            gone.pop_first();
        }
        new
    }
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
        let keeping = Keeping::new(settings.archive.clone(), settings.metrics.clone());
        let reading = Arc::new(Reading { settings, keeping, gone: Gone::default() });
        DecisionReader { reading, wanted: watch::Sender::default(), followed: BTreeMap::new() }
    }

    /// Reads while this process leads, until `stop` says so.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let wait = if self.reading.settings.leadership.holds() {
                match self.reading.settings.replicas().await {
                    Ok(replicas) => self.follow(replicas),
                    Err(problem) => warn!(%problem, "the webhook's addresses are unknown; those known stay"),
                }
                self.reading.keeping.settle().await;
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
                let follow = follow(Arc::clone(&self.reading), *address, self.wanted.subscribe());
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

impl Reading {
    /// A run of a replica has ended, and nobody knows what it still had. It counts once, however often its address comes
    /// and goes.
    fn gone(&self, run: &str) {
        if !self.gone.is_new(run) {
            return;
        }
        self.settings.lost(GONE, 1);
        // Another controller that knows of it writes it down as well, and under the same name it is there once.
        self.keeping.lost(format!("{GONE}/{run}"), GONE, 1);
    }
}

/// Follows one replica until it is neither wanted nor there.
async fn follow(reading: Arc<Reading>, address: SocketAddr, wanted: watch::Receiver<BTreeSet<SocketAddr>>) {
    let mut seen = Seen::default();
    let mut failures = 0u32;
    loop {
        let had = seen.clone();
        let ended = read(&reading, address, &mut seen).await;
        failures = if seen == had { failures.saturating_add(1) } else { 0 };
        debug!(%address, problem = %ended, "not read from this replica; it is tried again");
        if !wanted.borrow().contains(&address) {
            if let Some(run) = seen.unread() {
                reading.gone(run);
            }
            info!(%address, "replica not followed any more");
            return;
        }
        tokio::time::sleep(BACKOFF.after(failures)).await;
    }
}

/// Reads on one connection until it fails.
async fn read(reading: &Reading, address: SocketAddr, seen: &mut Seen) -> FetchProblem {
    let settings = &reading.settings;
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
        let (pushed_out, gone) = seen.meet(&decisions);
        settings.lost("pushed_out", pushed_out);
        if let Some(run) = gone {
            reading.gone(&run);
        }
        // Whoever leads now fetches them again, since they are not confirmed.
        if !settings.leadership.holds() {
            return FetchProblem::NotLeading;
        }
        if !decisions.decisions.is_empty() {
            reading.keeping.keep(&decisions).await;
        }
        for decision in &decisions.decisions {
            match teller.tell(decision, &decisions.run).await {
                Written::Stored(reason) => drop(settings.metrics.events.get_or_create(&ReasonLabels { reason }).inc()),
                Written::Suppressed => drop(settings.metrics.events_suppressed.inc()),
                Written::Nothing => {}
                Written::Failed => settings.lost("not_written", 1),
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
    /// What these decisions say is lost, which is told at once and never again, whether or not they are taken: how many
    /// were pushed out of the queue that an Event could have come of, and a run that ended unread.
    fn meet(&mut self, decisions: &Decisions) -> (u64, Option<String>) {
        let mut gone = None;
        if self.run != decisions.run {
            gone = self.unread().map(str::to_owned);
            *self = Seen { run: decisions.run.clone(), ..Seen::default() };
        }
        let lost = decisions.lost.saturating_sub(decisions.lost_admitted);
        let pushed_out = lost.saturating_sub(self.lost);
        self.lost = lost;
        (pushed_out, gone)
    }

    fn take(&mut self, decisions: &Decisions) {
        self.after = decisions.next;
        self.complete = decisions.ending && decisions.decisions.is_empty();
    }

    /// The run, where it would end unread.
    fn unread(&self) -> Option<&str> {
        (!self.complete && !self.run.is_empty()).then_some(self.run.as_str())
    }
}

/// Of a replica that ended unread.
const GONE: &str = "replica_gone";
/// More than end unread while anybody remembers them.
const RUNS: usize = 1000;
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
            lost_admitted: 0,
            ending,
        };
        let mut seen = Seen::default();
        for (decisions, taken, pushed_out, gone) in [
            (told("a", 3, 0, false), true, 0, None),
            (told("a", 9, 4, false), true, 4, None),
            (told("a", 9, 4, false), true, 0, None),
            // Of which no Event could have come.
            (Decisions { lost_admitted: 3, ..told("a", 9, 7, false) }, true, 0, None),
            // Another leads, and then this one again: what is not taken is fetched again.
            (told("b", 1, 2, false), false, 2, Some("a")),
            (told("b", 1, 2, false), false, 0, None),
            (told("b", 1, 2, false), true, 0, None),
            (told("b", 1, 2, true), true, 0, None),
            (told("c", 0, 0, false), true, 0, None),
        ] {
            let met = seen.meet(&decisions);
            assert_eq!((met.0, met.1.as_deref()), (pushed_out, gone), "{decisions:?}");
            let before = seen.after;
            if taken {
                seen.take(&decisions);
            }
            assert_eq!(seen.after, if taken { decisions.next } else { before });
        }
    }

    #[test]
    fn a_run_is_gone_once_however_often_its_address_goes() {
        let gone = Gone::default();
        assert_eq!(["2-a", "3-b", "2-a", "2-a", "3-b"].map(|run| gone.is_new(run)), [true, true, false, false, false]);
        assert!((0..2 * RUNS).all(|number| gone.is_new(&format!("4-{number:04}"))));
        assert_eq!(gone.0.lock().unwrap().len(), RUNS);
    }
}
