//! Whose turn it is: which steps begin now, how many of a sort at a time, and how long rests what has failed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::plan::{Memory, Step, Task};
use super::status::attempted;
use crate::model::Backoff;
use crate::policy::Scanner;

/// What a step waits for. Of each sort there are only so many at a time, so that no sort keeps another waiting: a registry
/// that does not answer holds up neither scans nor the pods whose verdicts are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doing {
    /// A pod that waits is let go, or told why not.
    Settle,
    /// A stored report is judged; what others say may be asked of a registry and of the Hub.
    Judge,
    /// A registry is asked what a name stands for.
    LookUp,
    /// A scan, of which the settings say how many there may be.
    Scan,
    /// Something is written down or told.
    Note,
    /// Something goes that nobody uses.
    Tidy,
}

/// A step that was begun.
pub(super) type Begun = (Task, Doing);

/// The rest of what has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rest {
    /// When it failed last.
    pub(super) since: Timestamp,
    /// Until when nobody tries it again.
    pub(super) until: Timestamp,
    /// How often in a row it has failed.
    pub(super) failures: u32,
}

/// What a failure lets expect of the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prospect {
    /// It may come to an end a while later, with nothing changed.
    MayPass,
    /// It fails again unless something changes.
    Lasts,
}

/// Those of the steps that begin at `now`: of each sort first those that have failed least, and of scans those that were
/// tried least lately, so that what always fails keeps nothing waiting.
pub(super) fn turns(mut steps: Vec<Step>, memory: &Memory, settings: &Scanner, now: Timestamp) -> Vec<Step> {
    steps.retain(|step| !memory.busy.contains_key(&step.task()) && !memory.rests((step.task(), step.doing()), now));
    steps.sort_by_cached_key(|step| rank(step, memory));
    let mut free = BTreeMap::new();
    let left = |doing: Doing| {
        let under_way = memory.busy.values().filter(|one| **one == doing).count();
        most(doing, settings).saturating_sub(under_way)
    };
    steps.retain(|step| {
        let free = free.entry(step.doing()).or_insert_with(|| left(step.doing()));
        let begins = *free > 0;
        *free = free.saturating_sub(1);
        begins
    });
    steps
}

fn rank(step: &Step, memory: &Memory) -> (Doing, Option<Timestamp>, u32) {
    let rest = memory.rests.get(&(step.task(), step.doing()));
    match step {
        Step::Scan { scan, .. } => (step.doing(), attempted(&scan.status).max(rest.map(|rest| rest.since)), 0),
        _ => (step.doing(), None, rest.map_or(0, |rest| rest.failures)),
    }
}

impl Step {
    /// What it counts as.
    pub(super) fn doing(&self) -> Doing {
        match self {
            Step::Settle { .. } => Doing::Settle,
            Step::Judge { .. } => Doing::Judge,
            Step::LookUp { .. } => Doing::LookUp,
            Step::Scan { .. } => Doing::Scan,
            Step::Fit { .. } | Step::Tell { .. } | Step::Remember(..) | Step::Note(..) => Doing::Note,
            Step::Discard(_) | Step::Look | Step::Forget(_) => Doing::Tidy,
        }
    }
}

impl Memory {
    /// Whether that rests at `now`.
    pub(super) fn rests(&self, begun: Begun, now: Timestamp) -> bool {
        self.rests.get(&begun).is_some_and(|rest| now < rest.until)
    }

    /// Leaves out what has rested, and was not tried again for long: nobody asks for it any more.
    pub(super) fn forget_rests(&mut self, now: Timestamp) {
        self.rests.retain(|_, rest| now.duration_since(rest.until) < FORGET);
    }
}

impl Rest {
    /// After another failure.
    pub(super) fn after(before: Option<&Rest>, doing: Doing, prospect: Prospect, now: Timestamp) -> Self {
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let backoff = match (doing, prospect) {
            (Doing::Settle, _) => SOON,
            (_, Prospect::MayPass) => BACKOFF,
            (_, Prospect::Lasts) => LASTING,
        };
        let pause = SignedDuration::try_from(backoff.after(failures)).unwrap_or(SignedDuration::MAX);
        Rest { since: now, until: now.checked_add(pause).unwrap_or(Timestamp::MAX), failures }
    }
}

fn most(doing: Doing, settings: &Scanner) -> usize {
    match doing {
        Doing::Scan => settings.concurrency.into(),
        Doing::Settle | Doing::Note => 16,
        // Each may wait for a registry for long, and holds a report or what a registry answered.
        Doing::Judge | Doing::LookUp => 8,
        // Nobody waits for it.
        Doing::Tidy => 4,
    }
}

/// Registries that are down are not asked all the time; whoever waits for an image is not kept for long either.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(5 * 60));
/// The webhook may hear of a verdict a moment later.
const SOON: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
/// Other policies end such a rest at once. A new Grype, database or signature may let it pass too, which nobody tells.
const LASTING: Backoff = Backoff::new(Duration::from_secs(5 * 60), Duration::from_secs(60 * 60));
/// Longer than anything rests.
const FORGET: SignedDuration = SignedDuration::from_hours(2);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::facts::Place;
    use crate::model::{Digest, ImageScanObject};

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    fn scan(number: u8, status: &serde_json::Value) -> Step {
        let digits = format!("{number:02x}").repeat(32);
        let object = json!({
            "metadata": {"name": format!("sha256-{digits}")}, "spec": {"image": "r/a"}, "status": status,
        });
        let scan = Box::new(ImageScanObject::read(&object).unwrap());
        Step::Scan { scan, secrets: [].into(), indexes: Vec::new() }
    }

    fn look_up(name: &str) -> Step {
        Step::LookUp { name: name.to_owned(), secrets: [].into(), asked: Arc::default() }
    }

    fn settle() -> Step {
        let pod = Place { namespace: "flame".to_owned(), name: "p".to_owned() };
        Step::Settle { pod, uid: "u".to_owned(), answers: Vec::new() }
    }

    fn judge() -> Step {
        let Step::Scan { scan, secrets, indexes } = scan(9, &json!({})) else { unreachable!() };
        Step::Judge { scan, secrets, indexes, heard: None }
    }

    /// The sorts and digests or names of those that begin.
    fn begin(steps: Vec<Step>, memory: &Memory) -> Vec<String> {
        let settings = Scanner { concurrency: 2, ..Scanner::default() };
        let word = |step: Step| match step {
            Step::LookUp { name, .. } => name,
            Step::Scan { scan, .. } => scan.digest.to_string()["sha256:".len()..][..2].to_owned(),
            step => format!("{:?}", step.doing()),
        };
        turns(steps, memory, &settings, now()).into_iter().map(word).collect()
    }

    #[test]
    fn no_sort_of_step_keeps_another_waiting() {
        let busy =
            |count: usize, doing: Doing| (0..count).map(move |one| (Task::Name(format!("{doing:?}{one}")), doing));
        let all = || vec![look_up("a"), scan(1, &json!({})), judge(), settle()];
        for (what, busy, want) in [
            ("nothing is under way", vec![], vec!["Settle", "Judge", "a", "01"]),
            ("a registry is dead", busy(8, Doing::LookUp).collect(), vec!["Settle", "Judge", "01"]),
            ("its attestations too", busy(8, Doing::Judge).collect(), vec!["Settle", "a", "01"]),
            ("scans take long", busy(2, Doing::Scan).collect(), vec!["Settle", "Judge", "a"]),
            ("much is written", busy(16, Doing::Note).collect(), vec!["Settle", "Judge", "a", "01"]),
        ] {
            let memory = Memory { busy: busy.into_iter().collect(), ..Memory::default() };
            assert_eq!(begin(all(), &memory), want, "{what}");
        }
        let names: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
        let steps = names.iter().map(|name| look_up(name)).collect();
        assert_eq!(begin(steps, &Memory::default()), names[..8]);
    }

    #[test]
    fn what_has_failed_comes_after_what_has_not() {
        let rest = |seconds: i64, failures| {
            let since = now() - SignedDuration::from_secs(seconds);
            Rest { since, until: since, failures }
        };
        let rests = (0..8).map(|one| ((Task::Name(format!("dead{one}")), Doing::LookUp), rest(30, 3)));
        let memory = Memory { rests: rests.collect(), ..Memory::default() };
        let steps = (0..8).map(|one| look_up(&format!("dead{one}"))).chain([look_up("fresh")]).collect();
        assert_eq!(begin(steps, &memory)[0], "fresh");

        let digest = Digest::parse(&format!("sha256:{}", "04".repeat(32))).unwrap();
        let memory = Memory { rests: [((Task::Image(digest), Doing::Scan), rest(30, 1))].into(), ..Memory::default() };
        let failing = json!({"conditions": [{"type": "Scanned", "status": "False", "reason": "ScanFailed", "message": "",
            "lastTransitionTime": "2026-11-22T11:00:00Z", "observedGeneration": 1}]});
        let aged = json!({"scannedAt": "2026-11-21T00:00:00Z"});
        // It failed now, then the one of a former leader, then one that is due for its age, and one that nobody has tried.
        let all = || vec![scan(4, &failing), scan(3, &failing), scan(2, &aged), scan(1, &json!({}))];
        assert_eq!(begin(all(), &memory), ["01", "02"]);
        assert_eq!(begin(all()[..2].to_vec(), &memory), ["03", "04"]);
    }

    #[test]
    fn what_cannot_pass_rests_longer_than_what_may() {
        let rest = |doing, prospect| {
            let mut rest = None;
            let mut pauses = Vec::new();
            for _ in 0..12 {
                let next = Rest::after(rest.as_ref(), doing, prospect, now());
                pauses.push(next.until.duration_since(now()).as_millis());
                rest = Some(next);
            }
            (pauses[0], pauses[11])
        };
        assert_eq!(rest(Doing::Settle, Prospect::MayPass), (200, 5_000));
        assert_eq!(rest(Doing::Scan, Prospect::MayPass), (2_000, 300_000));
        assert_eq!(rest(Doing::Scan, Prospect::Lasts), (300_000, 3_600_000));
    }

    #[test]
    fn a_rest_is_of_one_sort_and_is_forgotten_when_nobody_tries_any_more() {
        let name = || Task::Name("a".to_owned());
        let rest = Rest { since: now(), until: now() + SignedDuration::from_secs(1), failures: 1 };
        let mut memory = Memory { rests: [((name(), Doing::LookUp), rest)].into(), ..Memory::default() };
        assert!(memory.rests((name(), Doing::LookUp), now()));
        assert!(!memory.rests((name(), Doing::LookUp), rest.until));
        assert!(!memory.rests((name(), Doing::Scan), now()));
        memory.forget_rests(rest.until + SignedDuration::from_secs(7199));
        assert_eq!(memory.rests.len(), 1);
        memory.forget_rests(rest.until + SignedDuration::from_secs(7200));
        assert_eq!(memory.rests.len(), 0);
    }
}
