//! Whose turn it is: which steps begin now, in which order, how many of a sort at a time, and how long rests what has failed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::indexes::repository;
use super::plan::{Memory, Step, Task};
use super::shares::{Lane, Places, Turn, share};
use super::status::attempted;
use crate::model::{Backoff, ImageScanStatus, PolicyVerdict, ScanOutcome};
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

/// How often lately a repository's images were not done within the bounds of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slow {
    count: u32,
    last: Timestamp,
}

/// Those of the steps that begin at `now`.
pub(super) fn turns(mut steps: Vec<Step>, memory: &Memory, settings: &Scanner, now: Timestamp) -> Vec<Step> {
    steps.retain(|step| memory.may_begin(step, now));
    steps.sort_by_cached_key(|step| rank(step, memory, now));
    let mut waiting: BTreeMap<Doing, Vec<Step>> = BTreeMap::new();
    for step in steps {
        waiting.entry(step.doing()).or_default().push(step);
    }
    let begin = |(doing, steps)| {
        let taken = memory.busy.values().filter(|turn| turn.doing == doing).cloned().collect();
        share(steps, taken, places(doing, settings), memory.last)
    };
    waiting.into_iter().flat_map(begin).collect()
}

/// What comes first among steps of one sort, the least: how often its repository was slow, how often it has failed itself,
/// when its time has come, and when it was tried last.
type Rank = (u32, u32, Timestamp, Option<Timestamp>);

/// Nobody's choice of names and digests counts.
fn rank(step: &Step, memory: &Memory, now: Timestamp) -> Rank {
    let rest = memory.rests.get(&(step.task(), step.doing()));
    let (failures, tried) = (rest.map_or(0, |rest| rest.failures), rest.map(|rest| rest.since));
    let turn = step.turn();
    match step {
        Step::Scan { scan, .. } => {
            let slow = memory.slow.get(&turn.whose).map_or(0, |slow| slow.count);
            let tried = attempted(&scan.status).max(tried);
            if turn.lane == Lane::Again {
                return (slow, failures.max(scan.status.failures), holds_until(&scan.status), tried);
            }
            // Put off, and not put behind all: new ones come all the time.
            let waits_since = scan.created.max(tried).unwrap_or(Timestamp::MIN);
            (0, 0, later(waits_since, SLOW, slow), tried)
        }
        Step::LookUp { name, until, .. } => {
            let due = until.unwrap_or_else(|| memory.unknown.get(name).copied().unwrap_or(now));
            (0, 0, later(tried.map_or(due, |tried| tried.max(due)), REGISTRY, failures), tried)
        }
        _ => (0, failures, Timestamp::MIN, None),
    }
}

/// Until when what is known of an image lets it run or not; what is stale holds no more.
fn holds_until(status: &ImageScanStatus) -> Timestamp {
    let of = |one: &PolicyVerdict| match one.verdict.outcome {
        ScanOutcome::Stale => Some(Timestamp::MIN),
        _ => one.verdict.until,
    };
    status.verdicts.iter().filter_map(of).min().unwrap_or(Timestamp::MAX)
}

fn later(time: Timestamp, by: SignedDuration, times: u32) -> Timestamp {
    let by = by.saturating_mul(i32::try_from(times).unwrap_or(i32::MAX));
    time.checked_add(by).unwrap_or(Timestamp::MAX)
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

    /// What it takes a place for.
    pub(super) fn turn(&self) -> Turn {
        let host = |name: &str| name.split_once('/').map_or(name, |(host, _)| host).to_owned();
        let (lane, whose) = match self {
            Step::Scan { scan, .. } => {
                let lane = if scan.status.scanned_at.is_some() { Lane::Again } else { Lane::New };
                (lane, repository(&scan.image).to_owned())
            }
            Step::LookUp { name, .. } => (Lane::New, host(name)),
            Step::Judge { scan, .. } => (Lane::New, host(&scan.image)),
            _ => (Lane::New, String::new()),
        };
        Turn { doing: self.doing(), lane, whose }
    }
}

impl Memory {
    /// Whether what it is about is neither under way nor rests.
    pub(super) fn may_begin(&self, step: &Step, now: Timestamp) -> bool {
        let task = step.task();
        !self.busy.contains_key(&task) && !self.rests((task, step.doing()), now)
    }

    /// Whether that rests at `now`.
    pub(super) fn rests(&self, begun: Begun, now: Timestamp) -> bool {
        self.rests.get(&begun).is_some_and(|rest| now < rest.until)
    }

    /// Leaves out what has rested, and was not tried again for long: nobody asks for it any more.
    pub(super) fn forget_rests(&mut self, now: Timestamp) {
        self.rests.retain(|_, rest| now.duration_since(rest.until) < FORGET);
        self.slow.retain(|_, slow| now.duration_since(slow.last) < FORGIVE);
    }

    /// Notes since when names wait to be looked up, given all that is to be done.
    pub(super) fn wait(&mut self, steps: &[Step], now: Timestamp) {
        let before = std::mem::take(&mut self.unknown);
        for step in steps {
            if let Step::LookUp { name, .. } = step {
                self.unknown.insert(name.clone(), before.get(name).copied().unwrap_or(now));
            }
        }
    }

    /// Notes that a step is under way.
    pub(super) fn begin(&mut self, step: &Step) {
        let turn = step.turn();
        if turn.doing == Doing::Scan {
            self.last = Some(turn.lane);
        }
        self.busy.insert(step.task(), turn);
    }

    /// Notes that a scan of what is in that repository was not done within its bounds.
    pub(super) fn was_slow(&mut self, repository: String, now: Timestamp) {
        let slow = self.slow.entry(repository).or_insert(Slow { count: 0, last: now });
        *slow = Slow { count: slow.count.saturating_add(1), last: now };
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

fn places(doing: Doing, settings: &Scanner) -> Places {
    let all: usize = match doing {
        Doing::Scan => settings.concurrency.into(),
        Doing::Settle | Doing::Note => 16,
        // Each may wait for a registry for long, and holds a report.
        Doing::Judge => 8,
        // Nobody waits for tidying; a look-up holds what a registry answered.
        Doing::LookUp | Doing::Tidy => 4,
    };
    let of_one = match doing {
        Doing::Scan => all.saturating_sub(1).max(1),
        Doing::Judge | Doing::LookUp => all / 2,
        Doing::Settle | Doing::Note | Doing::Tidy => all,
    };
    Places { all, of_one }
}

/// Registries that are down are not asked all the time; whoever waits for an image is not kept for long either.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(5 * 60));
/// The webhook may hear of a verdict a moment later.
const SOON: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
/// Other policies end such a rest at once. A new Grype, database or signature may let it pass too, which nobody tells.
const LASTING: Backoff = Backoff::new(Duration::from_secs(5 * 60), Duration::from_secs(60 * 60));
/// A repository's new images wait so much longer for each scan that was not done within its bounds: that many others are
/// done in an hour.
const SLOW: SignedDuration = SignedDuration::from_hours(1);
/// Longer than anything rests, so that whose images always take too long comes last for as long as they are tried.
const FORGIVE: SignedDuration = SignedDuration::from_hours(24);
/// A name waits so much longer for each failure in a row: as long as it may have held a place.
const REGISTRY: SignedDuration = SignedDuration::from_secs(30);
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
        Step::LookUp { name: name.to_owned(), secrets: [].into(), until: None, asked: Arc::default() }
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
        let busy = |count: usize, doing: Doing| {
            let turn = move |one| Turn { doing, lane: Lane::New, whose: format!("{one}") };
            (0..count).map(move |one| (Task::Name(format!("{doing:?}{one}")), turn(one)))
        };
        let all = || vec![look_up("a"), scan(1, &json!({})), judge(), settle()];
        for (what, busy, want) in [
            ("nothing is under way", vec![], vec!["Settle", "Judge", "a", "01"]),
            ("a registry is dead", busy(4, Doing::LookUp).collect(), vec!["Settle", "Judge", "01"]),
            ("its attestations too", busy(8, Doing::Judge).collect(), vec!["Settle", "a", "01"]),
            ("scans take long", busy(2, Doing::Scan).collect(), vec!["Settle", "Judge", "a"]),
            ("much is written", busy(16, Doing::Note).collect(), vec!["Settle", "Judge", "a", "01"]),
        ] {
            let memory = Memory { busy: busy.into_iter().collect(), ..Memory::default() };
            assert_eq!(begin(all(), &memory), want, "{what}");
        }
        let names: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
        let steps = names.iter().map(|name| look_up(name)).collect();
        assert_eq!(begin(steps, &Memory::default()), names[..4]);
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
