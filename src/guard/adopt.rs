//! What the guard tells of pods: gates that stay closed, and pods that it found running without a policy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::lift::{Refusal, summary};
use super::plan::Identity;
use crate::cluster::Event;
use crate::facts::{Facts, Gate};
use crate::model::Reference;

/// How a pod that ran before its policy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adopted {
    /// It has its policy now, and would have been let in.
    Conforming,
    /// It has its policy now, and would have been refused.
    NotConforming,
}

/// Pods that were adopted since this process leads, by uid; clones share one list.
#[derive(Debug, Clone, Default)]
pub(super) struct Adoptions(Arc<Mutex<BTreeMap<String, Adopted>>>);

impl Adoptions {
    pub(super) fn note(&self, uid: &str, adopted: Adopted) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), adopted);
    }

    /// How many pods there are in each state; forgets those that are gone.
    pub(super) fn count(&self, facts: &Facts) -> [(&'static str, i64); 4] {
        let (mut held, mut open, mut conforming, mut not_conforming) = (0, 0, 0, 0);
        let mut adopted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = BTreeMap::new();
        for pod in facts.pods.values() {
            let known = adopted.remove_entry(&pod.uid);
            match (pod.gate, known.as_ref().map(|(_, adopted)| *adopted)) {
                (Gate::Held, _) => held += 1,
                (Gate::Open, None) => open += 1,
                (Gate::Open, Some(Adopted::Conforming)) => conforming += 1,
                (Gate::Open, Some(Adopted::NotConforming)) => not_conforming += 1,
            }
            left.extend(known);
        }
        *adopted = left;
        [("held", held), ("open", open), ("adopted", conforming), ("not_conforming", not_conforming)]
    }
}

/// The Event of a gate that stays closed.
pub(super) fn held(identity: &Identity, pod: Reference, refusal: &Refusal, now: Timestamp) -> Event {
    let note = format!("Flamewarden keeps the gate closed: {}", summary(refusal));
    of(identity, pod, ("GateHeld", "LiftGate"), note, now)
}

/// The Event of a pod that was found running without a policy, and has one from now on.
pub(super) fn adopted(identity: &Identity, pod: Reference, refusal: Option<&Refusal>, now: Timestamp) -> Event {
    const NOW: &str = "It started before Flamewarden guarded it and is isolated from now on";
    match refusal {
        None => of(identity, pod, ("Adopted", "Isolate"), format!("{NOW}."), now),
        Some(refusal) => {
            let note = format!("{NOW}, but would be refused: {}", summary(refusal));
            of(identity, pod, ("NotConforming", "Isolate"), note, now)
        }
    }
}

fn of(
    identity: &Identity,
    about: Reference,
    (reason, action): (&'static str, &'static str),
    note: String,
    now: Timestamp,
) -> Event {
    Event { namespace: identity.namespace.clone(), about, reason, action, note, key: now.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Place, PodFact};

    #[test]
    fn pods_are_counted_by_how_they_came_under_guard() {
        let pod = |name: &str, gate: Gate| {
            let place = Place { namespace: "flame".to_owned(), name: name.to_owned() };
            let app = "analysis-a".to_owned();
            let fact =
                PodFact { uid: name.to_owned(), app, gate, bound: false, deleting: false, grace: 1, created: None };
            (place, fact)
        };
        let pods = [pod("a", Gate::Held), pod("b", Gate::Open), pod("c", Gate::Open), pod("d", Gate::Open)];
        let adoptions = Adoptions::default();
        for (uid, adopted) in [("c", Adopted::Conforming), ("d", Adopted::NotConforming), ("gone", Adopted::Conforming)]
        {
            adoptions.note(uid, adopted);
        }
        let facts = Facts { pods: pods.into(), ..Facts::default() };
        assert_eq!(adoptions.count(&facts), [("held", 1), ("open", 1), ("adopted", 1), ("not_conforming", 1)]);
        assert_eq!(adoptions.0.lock().unwrap().len(), 2, "what is gone is forgotten");
    }
}
