//! Edge: the guard's loop. Changes come in, the plan says what is next, steps are carried out side by side.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::act::{Actor, Outcome};
use super::observe::Observer;
use super::plan::{Identity, Memory, Step, plan};
use super::rest::Rests;
use super::room::Room;
use super::settings::GuardSettings;
use super::tell;
use super::watches::{Followed, News, Watches};
use crate::cluster::Kind;
use crate::policy::PolicySet;
use crate::telemetry::StateLabels;

/// The guard of all guarded namespaces.
pub struct Guard {
    settings: GuardSettings,
    /// The policies by which everything that is known was judged.
    policies: Arc<PolicySet>,
    watches: Watches,
    observer: Observer,
    memory: Memory,
    rests: Rests,
    room: Room,
}

type Steps = JoinSet<(Identity, Outcome)>;

impl Guard {
    /// A guard that knows nothing yet.
    pub fn new(settings: GuardSettings) -> Self {
        let policies = settings.policies.load_full();
        Guard {
            settings,
            watches: Watches::of(&policies.analysis.guards.component),
            policies,
            observer: Observer::default(),
            memory: Memory::default(),
            rests: Rests::default(),
            room: Room::default(),
        }
    }

    /// Guards until `stop` says so; steps under way are brought to their end. `synced` is told when every
    /// guarded namespace was seen whole once.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>, synced: watch::Sender<bool>) {
        let mut steps = Steps::new();
        self.watches.follow(&self.settings.cluster, &self.policies);
        loop {
            self.take_policies();
            let next = self.start(&mut steps);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                Some(news) = self.watches.next() => {
                    self.take_in(news);
                    while let Some(news) = self.watches.waiting() {
                        self.take_in(news);
                    }
                    // Once for all: what is lost later is a metric, no reason to be restarted or replaced.
                    let all = self.unseen() == 0;
                    synced.send_if_modified(|synced| !std::mem::replace(synced, *synced || all) && all);
                }
                Some(done) = steps.join_next() => match done {
                    Ok((identity, outcome)) => self.finish(&identity, outcome),
                    Err(problem) => warn!(%problem, "a step of the guard broke off"),
                },
                () = tokio::time::sleep_until(next.into()) => {}
            }
        }
        drop(self.watches);
        while steps.join_next().await.is_some() {}
    }

    /// What was judged by former policies is judged again: what they change is to be done at once.
    fn take_policies(&mut self) {
        let policies = self.settings.policies.load_full();
        if Arc::ptr_eq(&policies, &self.policies) {
            return;
        }
        self.policies = policies;
        if self.watches.follow(&self.settings.cluster, &self.policies) == Followed::Anew {
            self.observer.begins_anew();
        }
        self.observer.judge_again(&self.policies);
        self.room.keep(&self.policies);
        self.rests.stir(|_| true, now());
    }

    /// How many guarded namespaces were not seen whole, since the watches began.
    fn unseen(&self) -> usize {
        let namespaces = &self.policies.installation.namespaces;
        namespaces.iter().filter(|namespace| !self.observer.knows(&namespace.name)).count()
    }

    /// Starts every step that is due; gives the moment at which to look again at the latest.
    fn start(&mut self, steps: &mut Steps) -> Instant {
        let (now, moment) = (now(), Timestamp::now());
        for (state, count) in tell::count(self.observer.facts()) {
            self.settings.metrics.guard_pods.get_or_create(&StateLabels { state }).set(count);
        }
        self.settings.metrics.guard_namespaces_unseen.set(i64::try_from(self.unseen()).unwrap_or(i64::MAX));
        let mut next = now + LOOK_AGAIN;
        if !self.settings.leadership.holds() {
            return now + LOOK_FOR_LEADERSHIP;
        }
        self.rests.keep(self.observer.facts());
        let grace = self.policies.analysis.security.grace_maximum;
        for (identity, step) in plan(self.observer.facts(), &mut self.memory, grace, moment) {
            if self.observer.is_busy(&identity) || !self.observer.knows(&identity.namespace) {
                continue;
            }
            if let Some(until) = self.rests.until(&identity, now) {
                next = next.min(until);
                continue;
            }
            if let Step::Wait { until } = step {
                let left = Duration::try_from(until.duration_since(moment)).unwrap_or_default();
                next = next.min(now + left);
                continue;
            }
            debug!(namespace = identity.namespace, app = identity.app, ?step, "guard acts");
            self.observer.begins(&identity);
            self.rests.begins(&identity, now);
            let actor = Actor::new(&self.settings, self.policies.clone(), self.observer.facts(), &identity);
            let place = self.room.place(&identity.namespace, &step);
            steps.spawn(async move {
                let _taken = place.take().await;
                let outcome = to_its_end(actor.act(&identity, step)).await;
                (identity, outcome)
            });
        }
        next
    }

    fn take_in(&mut self, (kind, namespace, change): News) {
        match self.observer.observe(kind, &namespace, change, &self.policies) {
            Some(identity) => self.rests.stir(|about| *about == identity, now()),
            // Somebody else's policy changed: gates that it kept closed may open now.
            None if kind == Kind::NetworkPolicy => self.rests.stir(|about| about.namespace == namespace, now()),
            None => {}
        }
    }

    fn finish(&mut self, identity: &Identity, outcome: Outcome) {
        let stored = match outcome {
            Outcome::Stored(place, object) => {
                self.rests.done(identity);
                Some((place, object))
            }
            Outcome::Settling => {
                self.rests.settles(identity, now());
                None
            }
            Outcome::StillNeeded => {
                self.memory.still_there(identity, Timestamp::now());
                self.rests.failed(identity, now());
                None
            }
            Outcome::Failed => {
                self.rests.failed(identity, now());
                None
            }
        };
        self.observer.ended(identity, stored, &self.policies);
    }
}

/// A step that breaks off has failed: without any outcome its analysis would count as busy for ever.
async fn to_its_end(step: impl Future<Output = Outcome>) -> Outcome {
    AssertUnwindSafe(step).catch_unwind().await.unwrap_or(Outcome::Failed)
}

/// By the runtime's clock.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Changed policies are taken within this time, too.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_FOR_LEADERSHIP: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_that_breaks_off_has_failed() {
        let ends = |outcome: Outcome| matches!(outcome, Outcome::Failed);
        assert!(ends(to_its_end(async { panic!("as the test says") }).await));
        assert!(!ends(to_its_end(async { Outcome::Settling }).await));
    }
}
