//! How the places of a sort of step are shared: between new images and those that are scanned again, and between those from
//! whom is read.

use super::plan::Step;
use super::turns::Doing;

/// What a place is taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    /// What is done.
    pub(super) doing: Doing,
    /// For which images.
    pub(super) lane: Lane,
    /// From whom is read: the repository of a scan, the registry of a question; empty where nobody is asked.
    pub(super) whose: String,
}

/// Which images a place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Those that were never scanned, and whatever is no scan.
    New,
    /// Those whose verdicts are to go on.
    Again,
}

/// How many places there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    /// For all.
    pub(super) all: usize,
    /// For one registry or repository while others wait.
    pub(super) of_one: usize,
}

/// Those of the steps, the most urgent first, that get the places that `taken` leaves. Either lane has half of them, where
/// both want so many; an odd one goes to that which did not get the last. So neither keeps the other waiting, however many
/// images somebody makes, and nobody whose registry is slow, or whose images take long, keeps the places of all others.
pub(super) fn share(steps: Vec<Step>, mut taken: Vec<Turn>, places: Places, mut last: Option<Lane>) -> Vec<Step> {
    let mut waiting: Vec<(Turn, Step)> = steps.into_iter().map(|step| (step.turn(), step)).collect();
    let mut begun = Vec::new();
    while taken.len() < places.all {
        let Some(next) = next(&waiting, &taken, places, last) else { break };
        let (turn, step) = waiting.remove(next);
        last = Some(turn.lane);
        taken.push(turn);
        begun.push(step);
    }
    begun
}

fn next(waiting: &[(Turn, Step)], taken: &[Turn], places: Places, last: Option<Lane>) -> Option<usize> {
    let held = |lane: Lane| taken.iter().filter(|turn| turn.lane == lane).count();
    let is_behind = held(Lane::Again) < held(Lane::New);
    let is_next = held(Lane::Again) == held(Lane::New) && last == Some(Lane::New);
    let lanes = if is_behind || is_next { [Lane::Again, Lane::New] } else { [Lane::New, Lane::Again] };
    let may_begin = |turn: &Turn| {
        let held = taken.iter().filter(|other| other.whose == turn.whose).count();
        held < places.of_one || waiting.iter().all(|(other, _)| other.whose == turn.whose)
    };
    let first = |lane: Lane| waiting.iter().position(|(turn, _)| turn.lane == lane && may_begin(turn));
    lanes.into_iter().find_map(first)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::{SignedDuration, Timestamp};
    use serde_json::{Value, json};

    use super::*;
    use crate::model::ImageScanObject;
    use crate::policy::Scanner;
    use crate::scanner::plan::Memory;
    use crate::scanner::turns::turns;

    const NOW: &str = "2026-11-22T12:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    /// An image in that repository that came up at that time of this day, with that status.
    fn scan(number: u8, repository: &str, created: &str, status: &Value) -> Step {
        let created = format!("2026-11-22T{created}:00Z");
        let name = format!("sha256-{}", format!("{number:02x}").repeat(32));
        let object = json!({
            "metadata": {"name": name, "creationTimestamp": created},
            "spec": {"image": format!("{repository}@sha256:{number}")}, "status": status,
        });
        let scan = Box::new(ImageScanObject::read(&object).unwrap());
        Step::Scan { scan, secrets: [].into(), indexes: Vec::new() }
    }

    fn new(number: u8, repository: &str, created: &str) -> Step {
        scan(number, repository, created, &json!({}))
    }

    /// One with verdicts that end on that day.
    fn again(number: u8, repository: &str, day: u8) -> Step {
        let until = format!("2026-11-{day}T00:00:00Z");
        let verdict = json!({"policy": "0000000000000001", "profile": "p", "outcome": "pass", "until": until});
        scan(number, repository, "00:00", &json!({"scannedAt": "2026-11-21T00:00:00Z", "verdicts": [verdict]}))
    }

    fn look_up(name: &str, until: Option<Timestamp>) -> Step {
        Step::LookUp { name: name.to_owned(), secrets: [].into(), until, asked: Arc::default() }
    }

    /// The numbers or names of those that begin, and are under way from then on.
    fn begin(steps: &[Step], memory: &mut Memory, concurrency: u8) -> Vec<String> {
        let settings = Scanner { concurrency, ..Scanner::default() };
        let begun = turns(steps.to_vec(), memory, &settings, now());
        let word = |step: &Step| match step {
            Step::LookUp { name, .. } => name.clone(),
            Step::Scan { scan, .. } => scan.digest.to_string()["sha256:".len()..][..2].to_owned(),
            step => panic!("{step:?}"),
        };
        begun.iter().for_each(|step| memory.begin(step));
        begun.iter().map(word).collect()
    }

    #[test]
    fn new_images_and_those_that_are_scanned_again_have_half_of_the_places_each() {
        let new = |number: u8| new(number, &format!("r/{number}"), "00:00");
        let again = |number: u8| again(number, &format!("r/{number}"), 25);
        let both: Vec<Step> = (1..=8).map(new).chain((11..=18).map(again)).collect();
        for (what, steps, concurrency, want) in [
            ("one of each", &both[..], 2, vec!["01", "0b"]),
            ("two of each", &both[..], 4, vec!["01", "0b", "02", "0c"]),
            ("an odd one", &both[..], 3, vec!["01", "0b", "02"]),
            ("new ones alone", &both[..8], 3, vec!["01", "02", "03"]),
            ("the others alone", &both[8..], 3, vec!["0b", "0c", "0d"]),
        ] {
            assert_eq!(begin(steps, &mut Memory::default(), concurrency), want, "{what}");
        }
        let mut memory = Memory::default();
        for want in ["01", "0b", "01", "0b"] {
            assert_eq!(begin(&both, &mut memory, 1), [want], "one place goes to each in turn");
            assert_eq!(begin(&both, &mut memory, 1), [""; 0], "it is taken");
            memory.busy.clear();
        }
        // All places went to new ones while nobody wanted another; the next that is free does not.
        assert_eq!(begin(&both[..8], &mut memory, 2), ["01", "02"]);
        memory.busy.pop_first();
        assert_eq!(begin(&both, &mut memory, 2), ["0b"]);
    }

    #[test]
    fn new_images_come_in_the_order_in_which_they_came_up_whatever_their_digests() {
        let late = json!({"conditions": [{"type": "Scanned", "status": "False", "reason": "ScanFailed", "message": "",
            "lastTransitionTime": "2026-11-22T11:00:00Z", "observedGeneration": 1}]});
        let steps =
            [new(1, "r/a", "10:02"), new(2, "r/b", "10:01"), scan(3, "r/c", "09:00", &late), new(4, "r/d", "11:01")];
        assert_eq!(begin(&steps, &mut Memory::default(), 4), ["02", "01", "03", "04"], "one was tried at eleven");
        let mut memory = Memory::default();
        memory.was_slow("r/b".to_owned(), now());
        assert_eq!(begin(&steps, &mut memory, 4), ["01", "03", "02", "04"], "an hour later, and not after all");
    }

    #[test]
    fn the_nearest_end_of_a_verdict_comes_first_and_what_was_slow_or_failed_last() {
        let with = |number: u8, more: &Value| {
            let mut status = json!({"scannedAt": "2026-11-21T00:00:00Z"});
            status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            scan(number, "r/x", "00:00", &status)
        };
        let stale = json!({"verdicts": [{"policy": "0000000000000001", "profile": "p", "outcome": "stale"}]});
        let steps = [
            with(1, &json!({})),
            again(2, "r/a", 26),
            with(4, &json!({"failures": 1})),
            again(3, "r/b", 25),
            with(5, &stale),
        ];
        assert_eq!(begin(&steps, &mut Memory::default(), 5), ["05", "03", "02", "01", "04"]);
        let mut memory = Memory::default();
        memory.was_slow("r/b".to_owned(), now());
        assert_eq!(begin(&steps, &mut memory, 5), ["05", "02", "01", "04", "03"]);
    }

    #[test]
    fn one_repository_leaves_a_place_to_others_that_wait() {
        let new = |number: u8, repository: &str| new(number, repository, &format!("10:{number:02}"));
        let (one, two) = ([new(1, "r/a"), new(2, "r/a"), new(3, "r/a")], [new(4, "r/b"), again(5, "r/c", 25)]);
        let with = |other: &Step| one.iter().chain([other]).cloned().collect::<Vec<Step>>();
        for (what, steps, concurrency, want) in [
            ("nobody waits", one.to_vec(), 2, vec!["01", "02"]),
            ("another waits", with(&two[0]), 2, vec!["01", "04"]),
            ("for three", with(&two[0]), 3, vec!["01", "02", "04"]),
            ("its own other images", with(&again(5, "r/a", 25)), 2, vec!["01", "05"]),
            ("one place", with(&two[0]), 1, vec!["01"]),
        ] {
            assert_eq!(begin(&steps, &mut Memory::default(), concurrency), want, "{what}");
        }
    }

    #[test]
    fn one_slow_registry_holds_half_of_the_places_for_look_ups_while_others_wait() {
        let of =
            |host: &str| (0..9).map(|number| look_up(&format!("{host}/x/{number}:1"), None)).collect::<Vec<Step>>();
        let mut memory = Memory::default();
        assert_eq!(
            begin(&[of("a"), of("b:5000")].concat(), &mut memory, 1),
            ["a/x/0:1", "a/x/1:1", "b:5000/x/0:1", "b:5000/x/1:1"]
        );
        let mut memory = Memory::default();
        assert_eq!(begin(&of("a"), &mut memory, 1).len(), 4, "nobody else waits");
        memory.busy.pop_first();
        assert_eq!(begin(&[of("a"), of("b")].concat(), &mut memory, 1), ["b/x/0:1"]);
    }

    #[test]
    fn names_are_looked_up_when_they_came_up_or_are_believed_no_more() {
        let at = |seconds: i64| now() + SignedDuration::from_secs(seconds);
        let believed = [look_up("r/a:1", Some(at(90))), look_up("r/b:1", Some(at(10)))];
        let (first, second) = (look_up("r/z:1", None), look_up("r/c:1", None));
        let mut memory = Memory::default();
        memory.wait(std::slice::from_ref(&first), at(-5));
        let all = [&believed[..], &[first, second]].concat();
        memory.wait(&all, now());
        assert_eq!(begin(&all, &mut memory, 1), ["r/z:1", "r/c:1", "r/b:1", "r/a:1"]);
        memory.wait(&all[..1], at(1));
        assert_eq!(memory.unknown.keys().collect::<Vec<_>>(), ["r/a:1"], "the others do not wait any more");
    }
}
