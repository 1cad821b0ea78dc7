//! What of a run is new, what stands otherwise than before, and what it does not have any more. Pure.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::number;
use crate::report::{Entry, Object, Report};

/// What stands of a finding so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// Stands for all that is told of it.
    pub(super) told: i64,
    pub(super) failing: bool,
    /// Since when it stands as it does.
    pub(super) since: i64,
    /// The run in which it failed first, since it was last fixed.
    pub(super) opened_run: i64,
    /// Whether the run before did not look at it.
    pub(super) hidden: bool,
}

/// What has become of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It fails and did not.
    Opened,
    /// It is still there, and fails no more.
    Eased,
    /// Neither.
    Same,
}

/// A finding that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Put {
    /// Where it stands in the report.
    pub(super) place: usize,
    pub(super) print: u128,
    pub(super) told: i64,
    pub(super) standing: Standing,
    pub(super) known: Option<Known>,
    pub(super) run: i64,
}

/// What is to be done, in the order of the report.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) put: Vec<Put>,
    /// Places of what fails newly, those included that a run which broke off has written already.
    pub(super) opened: Vec<usize>,
    /// How many fail no more and are still there.
    pub(super) eased: u64,
    /// What the run does not have.
    pub(super) gone: Vec<u128>,
}

/// Compares the findings of a run with what stands so far. Of several with one fingerprint one counts, and one that fails
/// before others.
pub(super) fn compare(findings: &[Entry], mut known: HashMap<u128, Known>, run: i64) -> Changes {
    let mut changes = Changes::default();
    for (print, place) in in_order(findings) {
        let Some(entry) = findings.get(place) else { continue };
        let before = known.remove(&print);
        let (fails, failed) = (entry.outcome.fails(), before.is_some_and(|known| known.failing));
        let standing = match (failed, fails) {
            (false, true) => Standing::Opened,
            (true, false) => Standing::Eased,
            _ => Standing::Same,
        };
        let begun = failed && fails && before.is_some_and(|known| known.opened_run == run);
        if standing == Standing::Opened || begun {
            changes.opened.push(place);
        }
        changes.eased += u64::from(standing == Standing::Eased);
        let told = told(entry);
        if standing != Standing::Same || before.is_none_or(|known| known.told != told || known.hidden) {
            changes.put.push(Put { place, print, told, standing, known: before, run });
        }
    }
    changes.gone = known.into_keys().collect();
    changes.gone.sort_unstable();
    changes
}

/// Each fingerprint with the place of the one that counts, by places.
fn in_order(findings: &[Entry]) -> Vec<(u128, usize)> {
    let mut places: HashMap<u128, usize> = HashMap::with_capacity(findings.len());
    for (place, entry) in findings.iter().enumerate() {
        let Some(print) = number(entry.fingerprint().as_str()) else { continue };
        match places.entry(print) {
            Slot::Vacant(slot) => drop(slot.insert(place)),
            Slot::Occupied(mut slot) => {
                let counts = findings.get(*slot.get()).is_some_and(|known| known.outcome.fails());
                if entry.outcome.fails() && !counts {
                    slot.insert(place);
                }
            }
        }
    }
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_unstable_by_key(|(_, place)| *place);
    places
}

/// A number for all that is told of a finding besides what its fingerprint says.
fn told(entry: &Entry) -> i64 {
    let remedy = entry.remedy_line();
    let parts = [entry.severity.word(), entry.outcome.words(), &entry.message, &remedy, &entry.object.api_version];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// What a run has looked at.
pub(super) enum Looked<'a> {
    /// At everything that there is.
    AtAll,
    /// At these, as far as it is known.
    At(HashSet<Named<'a>>),
}

/// What of an object stays the same in another run: group, kind, namespace, name.
pub(super) type Named<'a> = (&'a str, &'a str, &'a str, &'a str);

impl<'a> Looked<'a> {
    pub(super) fn of(report: &Report, judged: Option<&'a HashSet<Object>>) -> Self {
        if report.coverage.is_whole() {
            return Looked::AtAll;
        }
        let named = |object: &'a Object| {
            (object.group(), object.kind.as_str(), object.namespace.as_str(), object.name.as_str())
        };
        Looked::At(judged.into_iter().flatten().map(named).collect())
    }

    pub(super) fn at(&self, named: Named<'_>) -> bool {
        match self {
            Looked::AtAll => true,
            Looked::At(these) => these.contains(&named),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Severity;
    use crate::report::{Outcome, Told};

    fn entry(name: &str, outcome: Outcome, message: &str) -> Entry {
        let object = Object { kind: "Pod".to_owned(), name: name.to_owned(), ..Object::default() };
        Entry {
            place: None,
            object: Arc::new(object),
            outcome,
            excepted: None,
            since: None,
            told: Told {
                rule: "labels".into(),
                severity: Severity::High,
                path: "metadata.labels".into(),
                value: "absent".into(),
                message: message.into(),
                remedy: Arc::new([]),
            }
            .into(),
        }
    }

    fn print(name: &str) -> u128 {
        number(entry(name, Outcome::Violated, "").fingerprint().as_str()).unwrap()
    }

    #[test]
    fn what_fails_newly_what_fails_no_more_and_what_is_gone_are_told_apart() {
        let (violated, reported) = (Outcome::Violated, Outcome::Reported);
        let known = |outcome: Outcome, opened_run: i64, hidden: bool| Known {
            told: told(&entry("x", outcome, "m")),
            failing: outcome.fails(),
            since: 5,
            opened_run,
            hidden,
        };
        // By name: before, now, whether it is written, opened, eased.
        for (before, now, written, opened, eased) in [
            (None, Some(violated), true, true, 0),
            (None, Some(reported), true, false, 0),
            (Some(known(violated, 1, false)), Some(violated), false, false, 0),
            (Some(known(violated, 9, false)), Some(violated), false, true, 0),
            (Some(known(violated, 1, true)), Some(violated), true, false, 0),
            (Some(known(violated, 1, false)), Some(reported), true, false, 1),
            (Some(known(reported, 0, false)), Some(violated), true, true, 0),
            (Some(known(reported, 0, false)), Some(reported), false, false, 0),
            (Some(known(violated, 1, false)), None, false, false, 0),
        ] {
            let findings: Vec<_> = now.map(|outcome| entry("x", outcome, "m")).into_iter().collect();
            let changes = compare(&findings, before.map(|known| (print("x"), known)).into_iter().collect(), 9);
            let told = (!changes.put.is_empty(), !changes.opened.is_empty(), changes.eased, changes.gone.len());
            assert_eq!(told, (written, opened, eased, usize::from(now.is_none())), "{before:?} {now:?}");
        }
    }

    #[test]
    fn other_words_of_the_same_finding_are_written_and_nothing_new() {
        let before = Known { told: 1, failing: true, since: 5, opened_run: 1, hidden: false };
        let changes = compare(&[entry("x", Outcome::Violated, "m")], HashMap::from([(print("x"), before)]), 9);
        assert_eq!(changes.put.iter().map(|put| put.standing).collect::<Vec<_>>(), [Standing::Same]);
        assert_eq!((changes.opened, changes.eased), (vec![], 0));
    }

    #[test]
    fn of_several_with_one_fingerprint_one_that_fails_counts() {
        let (violated, reported) = (Outcome::Violated, Outcome::Reported);
        for (outcomes, counts) in
            [(vec![reported, violated, violated], 1), (vec![violated, reported], 0), (vec![reported, reported], 0)]
        {
            let findings: Vec<_> = outcomes.iter().map(|outcome| entry("x", *outcome, "m")).collect();
            let changes = compare(&findings, HashMap::new(), 9);
            assert_eq!(changes.put.iter().map(|put| put.place).collect::<Vec<_>>(), [counts], "{outcomes:?}");
        }
    }
}
