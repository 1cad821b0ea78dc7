//! Edge: the guard's loop. Changes come in, the plan says what is next, steps are carried out side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::act::{Actor, Outcome};
use super::adopt;
use super::observe::{Observer, WATCHED};
use super::plan::{Identity, Memory, Step, plan};
use crate::cluster::{self, Change, Cluster, Kind, Leadership, Recorder};
use crate::policy::PolicySet;
use crate::telemetry::{Metrics, StateLabels};

/// What the guard works with.
pub struct GuardSettings {
    /// Its connection.
    pub cluster: Cluster,
    /// Whether it may write.
    pub leadership: Leadership,
    /// The policies in force.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// What writes Events.
    pub recorder: Arc<Recorder>,
    /// Where pods are counted.
    pub metrics: Arc<Metrics>,
}

/// The guard of all guarded namespaces.
pub struct Guard {
    settings: GuardSettings,
    watched: BTreeSet<String>,
    observer: Observer,
    memory: Memory,
    rests: BTreeMap<Identity, Rest>,
    room: Arc<Semaphore>,
}

/// How long an analysis is left alone after a step, unless something about it changes.
#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    failures: u32,
}

type Steps = JoinSet<(Identity, Outcome)>;

impl Guard {
    /// A guard that knows nothing yet.
    pub fn new(settings: GuardSettings) -> Self {
        Guard {
            settings,
            watched: BTreeSet::new(),
            observer: Observer::default(),
            memory: Memory::default(),
            rests: BTreeMap::new(),
            room: Arc::new(Semaphore::new(SIDE_BY_SIDE)),
        }
    }

    /// Guards until `stop` says so; steps under way are brought to their end. `synced` is told when every
    /// guarded namespace was seen whole once.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>, synced: watch::Sender<bool>) {
        let (sender, mut changes) = mpsc::channel(BACKLOG);
        let mut watches = JoinSet::new();
        let mut steps = Steps::new();
        loop {
            self.watch(&sender, &mut watches);
            let next = self.start(&mut steps);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(change) = changes.recv() => {
                    self.take_in(change);
                    while let Ok(change) = changes.try_recv() {
                        self.take_in(change);
                    }
                    let all = self.knows_all();
                    synced.send_if_modified(|synced| std::mem::replace(synced, all) != all);
                }
                Some(done) = steps.join_next() => match done {
                    Ok((identity, outcome)) => self.finish(identity, outcome),
                    Err(problem) => warn!(%problem, "a step of the guard broke off"),
                },
                () = tokio::time::sleep_until(next) => {}
            }
        }
        drop(watches);
        while steps.join_next().await.is_some() {}
    }

    /// Watches every kind in every guarded namespace that is not watched yet: changed policies may guard more.
    /// One that is guarded no longer stays watched, so that what is left there comes to its end.
    fn watch(&mut self, sender: &mpsc::Sender<(Kind, String, Change)>, watches: &mut JoinSet<()>) {
        let policies = self.settings.policies.load();
        for namespace in &policies.installation.namespaces {
            if !self.watched.insert(namespace.name.clone()) {
                continue;
            }
            for kind in WATCHED {
                let selector = match kind {
                    Kind::Pod => format!("component={}", policies.analysis.guards.component),
                    _ => String::new(),
                };
                let (cluster, namespace) = (self.settings.cluster.clone(), namespace.name.clone());
                let sender = sender.clone();
                watches.spawn(async move { cluster::watch(cluster, kind, namespace, &selector, sender).await });
            }
        }
    }

    fn knows_all(&self) -> bool {
        let policies = self.settings.policies.load();
        policies.installation.namespaces.iter().all(|namespace| self.observer.knows(&namespace.name))
    }

    /// Starts every step that is due; gives the moment at which to look again at the latest.
    fn start(&mut self, steps: &mut Steps) -> Instant {
        let (now, moment) = (Instant::now(), Timestamp::now());
        for (state, count) in adopt::count(self.observer.facts()) {
            self.settings.metrics.guard_pods.get_or_create(&StateLabels { state }).set(count);
        }
        let mut next = now + LOOK_AGAIN;
        if !self.settings.leadership.holds() {
            return now + LOOK_FOR_LEADERSHIP;
        }
        let policies = self.settings.policies.load_full();
        let grace = policies.analysis.security.grace_maximum;
        for (identity, step) in plan(self.observer.facts(), &mut self.memory, grace, moment) {
            if self.observer.is_busy(&identity) || !self.observer.knows(&identity.namespace) {
                continue;
            }
            if let Some(rest) = self.rests.get(&identity).filter(|rest| now < rest.until) {
                next = next.min(rest.until);
                continue;
            }
            if let Step::Wait { until } = step {
                let left = Duration::try_from(until.duration_since(moment)).unwrap_or_default();
                next = next.min(now + left);
                continue;
            }
            debug!(namespace = identity.namespace, app = identity.app, ?step, "guard acts");
            self.observer.begins(&identity);
            let actor = Actor::new(&self.settings, policies.clone(), self.observer.facts(), &identity);
            let room = self.room.clone();
            steps.spawn(async move {
                let _place = room.acquire_owned().await;
                // An analysis whose step broke off would count as busy for ever.
                let outcome = AssertUnwindSafe(actor.act(&identity, step)).catch_unwind().await;
                (identity, outcome.unwrap_or(Outcome::Failed))
            });
        }
        next
    }

    fn take_in(&mut self, (kind, namespace, change): (Kind, String, Change)) {
        let policies = self.settings.policies.load();
        match self.observer.observe(kind, &namespace, change, &policies) {
            Some(identity) => drop(self.rests.remove(&identity)),
            // Somebody else's policy changed: gates that it kept closed may open now.
            None if kind == Kind::NetworkPolicy => {
                self.rests.retain(|identity, _| identity.namespace != namespace);
            }
            None => {}
        }
    }

    fn finish(&mut self, identity: Identity, outcome: Outcome) {
        let (stored, rest) = match outcome {
            Outcome::Stored(place, object) => (Some((place, object)), None),
            Outcome::Settling => (None, Some(Rest { until: Instant::now() + SETTLE, failures: 0 })),
            Outcome::Failed => {
                let failures = self.rests.get(&identity).map_or(0, |rest| rest.failures);
                let wait = (FIRST_RETRY * 2u32.saturating_pow(failures.min(8))).min(LAST_RETRY);
                (None, Some(Rest { until: Instant::now() + wait, failures: failures.saturating_add(1) }))
            }
        };
        self.observer.ended(&identity, stored, &self.settings.policies.load());
        match rest {
            Some(rest) => drop(self.rests.insert(identity, rest)),
            None => drop(self.rests.remove(&identity)),
        }
    }
}

const SIDE_BY_SIDE: usize = 16;
const BACKLOG: usize = 1024;
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const LOOK_FOR_LEADERSHIP: Duration = Duration::from_millis(200);
/// How long the effect of a step may take to be seen before the step is done once more.
const SETTLE: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(30);
