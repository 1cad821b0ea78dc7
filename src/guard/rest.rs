//! How long an analysis is left alone after a step, and that a step which fails again and again is tried ever less often.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::plan::Identity;
use crate::facts::Facts;
use crate::model::Backoff;

/// The analyses that were acted for lately.
#[derive(Debug, Default)]
pub(super) struct Rests(BTreeMap<Identity, Rest>);

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    /// Steps in a row that failed.
    failures: u32,
    /// Whether something changed since the last step began.
    news: bool,
}

impl Rests {
    /// Until when an analysis is left alone, if it is.
    pub(super) fn until(&self, identity: &Identity, now: Instant) -> Option<Instant> {
        self.0.get(identity).map(|rest| rest.until).filter(|until| now < *until)
    }

    /// A step begins: what changes from now on, it may not have seen.
    pub(super) fn begins(&mut self, identity: &Identity, now: Instant) {
        let rest = self.0.entry(identity.clone()).or_insert(Rest { until: now, failures: 0, news: false });
        rest.news = false;
    }

    /// A step succeeded, and its effect is known.
    pub(super) fn done(&mut self, identity: &Identity) {
        self.0.remove(identity);
    }

    /// A step succeeded, and its effect will be seen.
    pub(super) fn settles(&mut self, identity: &Identity, now: Instant) {
        self.rest(identity, now, SETTLE, 0);
    }

    /// A step failed.
    pub(super) fn failed(&mut self, identity: &Identity, now: Instant) {
        let failures = self.0.get(identity).map_or(0, |rest| rest.failures).saturating_add(1);
        self.rest(identity, now, BACKOFF.after(failures), failures);
    }

    fn rest(&mut self, identity: &Identity, now: Instant, pause: Duration, failures: u32) {
        let news = self.0.get(identity).is_some_and(|rest| rest.news);
        self.0.insert(identity.clone(), Rest { until: now + pause, failures, news: false });
        if news {
            self.stir(|about| about == identity, now);
        }
    }

    /// Something about these analyses changed. How often their steps failed stays known: pods that change again and
    /// again, without what is wrong being put right, are no reason to hurry.
    pub(super) fn stir(&mut self, about: impl Fn(&Identity) -> bool, now: Instant) {
        for (_, rest) in self.0.iter_mut().filter(|(identity, _)| about(identity)) {
            rest.until = rest.until.min(if rest.failures == 0 { now } else { now + FIRST_RETRY });
            rest.news = true;
        }
    }

    /// Forgets analyses of which nothing is left.
    pub(super) fn keep(&mut self, facts: &Facts) {
        let pods = facts.pods.iter().map(|(place, pod)| (&place.namespace, &pod.app));
        let policies = facts.policies.iter().map(|(place, policy)| (&place.namespace, &policy.app));
        let known: BTreeSet<(&String, &String)> = pods.chain(policies).collect();
        self.0.retain(|identity, _| known.contains(&(&identity.namespace, &identity.app)));
    }
}

/// How long the effect of a step may take to be seen before the step is done once more.
const SETTLE: Duration = Duration::from_secs(1);
const FIRST_RETRY: Duration = Duration::from_millis(250);
const BACKOFF: Backoff = Backoff::new(FIRST_RETRY, Duration::from_secs(30));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Gate, Place, PodFact};

    fn identity(app: &str) -> Identity {
        Identity { namespace: "flame".to_owned(), app: app.to_owned() }
    }

    fn left(rests: &Rests, app: &str, now: Instant) -> Option<u128> {
        rests.until(&identity(app), now).map(|until| until.duration_since(now).as_millis())
    }

    #[test]
    fn a_step_that_fails_again_and_again_is_tried_ever_less_often_whatever_changes_meanwhile() {
        let (now, a) = (Instant::now(), identity("a"));
        let mut rests = Rests::default();
        for wait in [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000] {
            rests.begins(&a, now);
            rests.failed(&a, now);
            assert_eq!(left(&rests, "a", now), Some(wait));
            rests.stir(|about| *about == a, now);
            assert_eq!(left(&rests, "a", now), Some(250), "news are looked at soon");
        }
        rests.begins(&a, now);
        rests.settles(&a, now);
        assert_eq!(left(&rests, "a", now), Some(1000));
        rests.stir(|about| *about == a, now);
        assert_eq!(left(&rests, "a", now), None, "its effect was seen");
        rests.begins(&a, now);
        rests.failed(&a, now);
        assert_eq!(left(&rests, "a", now), Some(250), "a success ends the row");
    }

    #[test]
    fn news_that_come_during_a_step_are_looked_at_after_it() {
        let (now, a) = (Instant::now(), identity("a"));
        let mut rests = Rests::default();
        for _ in 0..5 {
            rests.begins(&a, now);
            rests.failed(&a, now);
        }
        rests.begins(&a, now);
        rests.stir(|about| about.namespace == "flame", now);
        rests.failed(&a, now);
        assert_eq!(left(&rests, "a", now), Some(250));
    }

    #[test]
    fn nothing_is_kept_of_an_analysis_that_is_gone() {
        let now = Instant::now();
        let mut rests = Rests::default();
        for app in ["gone", "here"] {
            rests.begins(&identity(app), now);
            rests.failed(&identity(app), now);
        }
        let pod = PodFact {
            uid: "u".to_owned(),
            app: "here".to_owned(),
            gate: Gate::Held,
            bound: false,
            deleting: false,
            grace: 1,
            created: None,
        };
        let place = Place { namespace: "flame".to_owned(), name: "p".to_owned() };
        rests.keep(&Facts { pods: [(place, pod)].into(), ..Facts::default() });
        assert_eq!(["gone", "here"].map(|app| left(&rests, app, now)), [None, Some(250)]);
    }
}
