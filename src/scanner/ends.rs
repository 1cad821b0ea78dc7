//! What comes of a step, and what is known and remembered from then on.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::known::Known;
use super::lookups;
use super::others::{Awaited, Heard};
use super::plan::{Memory, Seen, Task};
use super::shares::Turn;
use super::turns::{Begun, Prospect, Rest};
use crate::model::{Digest, ImageScanObject, ScanOutcome};

/// What came of a step.
#[derive(Debug)]
pub(super) enum Outcome {
    /// These are stored now.
    Stored(Vec<ImageScanObject>),
    /// Its verdicts are stored now, and they come of this.
    Judged(Box<ImageScanObject>, Heard),
    /// The verdicts on this image are what they were: others say what they said.
    NothingNew(Digest, Heard),
    /// A pod, by its uid, was let go, or told why not; with these answers on its images.
    Settled(String, Vec<ScanOutcome>),
    /// An object was told that an image cannot be looked up.
    Told {
        /// The object's.
        uid: String,
        /// The image's.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The report of this image is not at hand; it is to be scanned again.
    WithoutReport(Digest),
    /// What is known of this image is deleted.
    Discarded(Digest),
    /// The archive has reports of these.
    Reported(BTreeSet<Digest>),
    /// It has none of this one any more.
    Forgotten(Digest),
    /// A name could not be looked up: why, for the log, and in words for those who ask for the image.
    NotLookedUp(String, String),
    /// It failed, and what is stored now says so.
    Failed(String, Option<Box<ImageScanObject>>),
    /// It failed in a way that does not pass by itself, and what is stored now says so.
    FailedForLong(String, Box<ImageScanObject>),
}

impl Outcome {
    /// Why it failed, if it did, and what that lets expect.
    pub(super) fn problem(&self) -> Option<(&str, Prospect)> {
        match self {
            Outcome::NotLookedUp(problem, _) | Outcome::Failed(problem, _) => Some((problem, Prospect::MayPass)),
            Outcome::FailedForLong(problem, _) => Some((problem, Prospect::Lasts)),
            _ => None,
        }
    }
}

/// Takes in what came of a step that has ended at `now`.
pub(super) fn take_in(memory: &mut Memory, known: &mut Known, begun: Begun, outcome: Outcome, now: Timestamp) {
    end(memory, begun.clone(), &outcome, now);
    let (task, _) = begun;
    match outcome {
        Outcome::Stored(stored) => {
            if let Task::Image(digest) = task {
                memory.without_report.remove(&digest);
            }
            stored.into_iter().for_each(|scan| known.store(scan));
        }
        Outcome::Judged(scan, heard) => {
            memory.without_report.remove(&scan.digest);
            hear(memory, scan.digest, heard, now);
            known.store(*scan);
        }
        Outcome::NothingNew(digest, heard) => hear(memory, digest, heard, now),
        Outcome::Settled(uid, answers) => drop(memory.told.insert(uid, answers)),
        Outcome::Told { uid, name, reason } => {
            // It may fail for another reason by now.
            if let Some(failing) = memory.failing.get_mut(&name).filter(|failing| failing.reason == reason) {
                failing.told.insert(uid);
            }
        }
        Outcome::WithoutReport(digest) => drop(memory.without_report.insert(digest)),
        Outcome::Discarded(digest) => known.discard(digest),
        Outcome::Reported(digests) => {
            memory.archive = Seen::Whole;
            memory.reported.extend(digests);
        }
        Outcome::Forgotten(digest) => drop(memory.reported.remove(&digest)),
        Outcome::NotLookedUp(_, reason) => {
            if let Task::Name(name) = &task {
                lookups::failed(&mut memory.failing, name, reason);
            }
        }
        Outcome::Failed(_, None) => {}
        Outcome::Failed(_, Some(scan)) | Outcome::FailedForLong(_, scan) => known.store(*scan),
    }
}

/// What follows from an end, whatever it brought.
fn end(memory: &mut Memory, begun: Begun, outcome: &Outcome, now: Timestamp) {
    let (task, doing) = &begun;
    let turn = memory.busy.remove(task);
    if let (Some(Turn { whose, .. }), Outcome::FailedForLong(..)) = (turn, outcome) {
        memory.was_slow(whose, now);
    }
    if let (Task::Name(name), Outcome::Stored(_)) = (task, outcome) {
        memory.failing.remove(name);
    }
    if let (Task::Image(digest), true) = (task, memory.archive != Seen::Nowhere) {
        // Perhaps, and perhaps only in part: what ends without being written leaves its report behind.
        memory.reported.insert(*digest);
    }
    match outcome.problem() {
        Some((_, prospect)) => {
            let rest = Rest::after(memory.rests.get(&begun), *doing, prospect, now);
            memory.rests.insert(begun, rest);
        }
        None if matches!(outcome, Outcome::WithoutReport(_)) => {}
        None => drop(memory.rests.remove(&begun)),
    }
}

/// Remembers what others have said of an image, and when they are asked again.
fn hear(memory: &mut Memory, digest: Digest, heard: Heard, now: Timestamp) {
    let awaited = Awaited::after(memory.awaited.get(&digest), heard, now);
    memory.awaited.insert(digest, awaited);
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;
    use crate::facts::Place;
    use crate::scanner::lookups::Failing;
    use crate::scanner::plan::Step;
    use crate::scanner::shares::Lane;
    use crate::scanner::turns::Doing;

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn failed() -> Outcome {
        Outcome::Failed("the API server is away".to_owned(), None)
    }

    #[test]
    fn a_pod_was_told_when_that_has_succeeded_and_not_before() {
        let begun = || (Task::Pod(Place { namespace: "flame".to_owned(), name: "p".to_owned() }), Doing::Settle);
        let (mut memory, mut known) = (Memory::default(), Known::default());
        memory.busy.insert(begun().0, Turn { doing: begun().1, lane: Lane::New, whose: String::new() });
        take_in(&mut memory, &mut known, begun(), failed(), now());
        assert_eq!((memory.told.len(), memory.rests.len(), memory.busy.len()), (0, 1, 0));
        let settled = Outcome::Settled("uid".to_owned(), vec![ScanOutcome::Fail]);
        take_in(&mut memory, &mut known, begun(), settled, now());
        assert_eq!((memory.told.get("uid"), memory.rests.len()), (Some(&vec![ScanOutcome::Fail]), 0));
    }

    #[test]
    fn an_object_was_told_of_a_look_up_when_that_has_succeeded_and_of_this_reason() {
        let begun = || (Task::Telling("uid".to_owned(), "r/a:1".to_owned()), Doing::Note);
        let told =
            |reason: &str| Outcome::Told { uid: "uid".to_owned(), name: "r/a:1".to_owned(), reason: reason.to_owned() };
        let failing = Failing { reason: "away".to_owned(), told: BTreeSet::new() };
        let mut known = Known::default();
        let mut memory = Memory { failing: [("r/a:1".to_owned(), failing)].into(), ..Memory::default() };
        for (outcome, want) in [(failed(), 0), (told("no such image"), 0), (told("away"), 1)] {
            take_in(&mut memory, &mut known, begun(), outcome, now());
            assert_eq!(memory.failing["r/a:1"].told.len(), want);
        }
    }

    #[test]
    fn a_scan_that_has_failed_does_not_keep_its_image_from_being_judged() {
        let digest = Digest::of(b"");
        let (mut memory, mut known) = (Memory::default(), Known::default());
        take_in(&mut memory, &mut known, (Task::Image(digest), Doing::Scan), failed(), now());
        assert!(memory.rests((Task::Image(digest), Doing::Scan), now()));
        assert!(!memory.rests((Task::Image(digest), Doing::Judge), now()));
    }

    #[test]
    fn a_repository_is_slow_whose_image_was_not_scanned_within_bounds() {
        let (mut memory, mut known) = (Memory::default(), Known::default());
        let digest = Digest::of(b"");
        let object = json!({"metadata": {"name": ImageScanObject::name(digest)}, "spec": {"image": "r/a"}});
        let scan = || Box::new(ImageScanObject::read(&object).unwrap());
        let begin = Step::Scan { scan: scan(), secrets: BTreeSet::new(), indexes: Vec::new() };
        for (outcome, want) in [
            (Outcome::Failed("away".to_owned(), Some(scan())), vec![]),
            (Outcome::FailedForLong("late".to_owned(), scan()), vec!["r/a"]),
            (Outcome::Stored(Vec::new()), vec!["r/a"]),
        ] {
            memory.begin(&begin);
            take_in(&mut memory, &mut known, (begin.task(), begin.doing()), outcome, now());
            assert_eq!(memory.slow.keys().collect::<Vec<_>>(), want);
        }
        memory.forget_rests(now() + SignedDuration::from_hours(23));
        assert_eq!(memory.slow.len(), 1);
        memory.forget_rests(now() + SignedDuration::from_hours(24));
        assert_eq!(memory.slow.len(), 0);
    }
}
