//! What the guard tells of pods: gates that stay closed, and pods that it found running without a policy.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::lift::{Refusal, summary};
use super::plan::Identity;
use crate::cluster::Event;
use crate::facts::{Adopted, Facts, Gate};
use crate::model::Reference;

/// Pods from before the installation as the annotation of their policy has them. A word that is unknown says nothing.
pub(super) fn read(annotation: &str) -> BTreeMap<String, Adopted> {
    let entry = |entry: &str| {
        let (uid, word) = entry.split_once('=')?;
        let known = WORDS.iter().find(|(_, known)| *known == word);
        Some((uid.to_owned(), known.map_or(Adopted::Unjudged, |(adopted, _)| *adopted)))
    };
    annotation.split(',').filter_map(entry).collect()
}

/// The annotation that says so.
pub(super) fn written(adopted: &BTreeMap<String, Adopted>) -> String {
    let word = |adopted: &Adopted| WORDS.iter().find(|(known, _)| known == adopted).map_or("", |(_, word)| word);
    let entries: Vec<String> = adopted.iter().map(|(uid, adopted)| format!("{uid}={}", word(adopted))).collect();
    entries.join(",")
}

const WORDS: [(Adopted, &str); 3] =
    [(Adopted::Unjudged, "unjudged"), (Adopted::Conforming, "conforming"), (Adopted::NotConforming, "not-conforming")];

/// How many pods there are in each state.
pub(super) fn count(facts: &Facts) -> [(&'static str, i64); 4] {
    let adopted: BTreeMap<&String, Adopted> =
        facts.policies.values().flat_map(|policy| &policy.adopted).map(|(uid, adopted)| (uid, *adopted)).collect();
    let (mut held, mut open, mut conforming, mut not_conforming) = (0, 0, 0, 0);
    for pod in facts.pods.values() {
        match (pod.gate, adopted.get(&pod.uid)) {
            (Gate::Held, _) => held += 1,
            (Gate::Open, None) => open += 1,
            (Gate::Open, Some(Adopted::Conforming)) => conforming += 1,
            (Gate::Open, Some(Adopted::NotConforming | Adopted::Unjudged)) => not_conforming += 1,
        }
    }
    [("held", held), ("open", open), ("adopted", conforming), ("not_conforming", not_conforming)]
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
    use crate::facts::{Place, PodFact, PolicyFact, PolicyState};

    fn place(name: &str) -> Place {
        Place { namespace: "flame".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn pods_are_counted_by_how_they_came_under_guard() {
        let pod = |name: &str, gate: Gate| {
            let app = "analysis-a".to_owned();
            let fact =
                PodFact { uid: name.to_owned(), app, gate, bound: false, deleting: false, grace: 1, created: None };
            (place(name), fact)
        };
        let pods = [pod("a", Gate::Held), pod("b", Gate::Open), pod("c", Gate::Open), pod("d", Gate::Open)];
        let adopted = read("c=conforming,d=not-conforming,gone=conforming");
        let policy =
            PolicyFact { uid: "p".to_owned(), app: "analysis-a".to_owned(), state: PolicyState::Intact, adopted };
        let facts = Facts { pods: pods.into(), policies: [(place("p"), policy)].into() };
        assert_eq!(count(&facts), [("held", 1), ("open", 1), ("adopted", 1), ("not_conforming", 1)]);
    }

    #[test]
    fn an_annotation_says_what_was_written_and_what_is_unknown_is_judged_anew() {
        let text = "a=conforming,b=not-conforming,c=unjudged";
        assert_eq!(written(&read(text)), text);
        assert_eq!(
            read("a=fine,b,=,"),
            [("a".to_owned(), Adopted::Unjudged), (String::new(), Adopted::Unjudged)].into()
        );
    }
}
