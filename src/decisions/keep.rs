//! Edge: decisions into the journal before they are confirmed; an archive that takes nothing holds nobody up for long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::budget::Budgets;
use crate::archive::{Archive, ArchiveProblem, Fetched, JournalHead};
use crate::model::{Decision, Decisions};
use crate::telemetry::{Metrics, whole};

/// What writes decisions into the journal, and remembers what it could not write.
pub(super) struct Keeping {
    archive: Option<Arc<Archive>>,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Since when the archive takes nothing.
    down_since: Option<Instant>,
    /// Runs of which decisions were confirmed and not written, each with how far. The gap is told when the archive is
    /// back, or with the run's next decisions.
    behind: BTreeMap<String, Behind>,
    /// Losses that are to be told, each by a name under which it is written once, whoever writes it how often.
    gaps: BTreeMap<String, (&'static str, u64)>,
    /// How much of what was admitted is kept.
    budgets: Budgets,
}

/// What was confirmed of a run and not written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Behind {
    through: u64,
    lost: u64,
    count: u64,
}

impl State {
    fn add_gap(&mut self, name: String, reason: &'static str, count: u64) {
        let (_, known) = self.gaps.entry(name).or_insert((reason, 0));
        *known = known.saturating_add(count);
        if self.gaps.len() <= RUNS {
            return;
        }
        let Some((_, (reason, count))) = self.gaps.pop_first() else { return };
        let same = self.gaps.values_mut().find(|(other, _)| *other == reason);
        match same {
            Some((_, known)) => *known = known.saturating_add(count),
            None => drop(self.gaps.insert(reason.to_owned(), (reason, count))),
        }
    }

    /// Of more runs than anybody runs the first are not waited for any more, and how much is missing of them is told
    /// without their numbers.
    fn give_up_first(&mut self) {
        while self.behind.len() > RUNS {
            let Some((run, behind)) = self.behind.pop_first() else { return };
            self.add_gap(format!("{NOT_KEPT}/{run}/{}", behind.through), NOT_KEPT, behind.count);
        }
    }
}

impl Keeping {
    /// One that has lost nothing. Without an archive it keeps nothing.
    pub(super) fn new(archive: Option<Arc<Archive>>, metrics: Arc<Metrics>) -> Self {
        Keeping { archive, metrics, state: Mutex::default() }
    }

    /// Writes decisions into the journal. What cannot be written within a while is given up, counted, and told as a gap
    /// as soon as the archive is back.
    pub(super) async fn keep(&self, told: &Decisions) {
        let Some(archive) = &self.archive else { return };
        let decisions = self.within_budget(&told.decisions);
        let left_out = told.decisions.len().saturating_sub(decisions.len());
        self.metrics.journal_decisions_lost.inc_by(u64::try_from(left_out).unwrap_or(u64::MAX));
        let fetched =
            || Fetched { run: told.run.clone(), decisions: decisions.clone(), through: told.next, lost: told.lost };
        if self.is_written(self.patience(), || archive.keep_decisions(fetched())).await {
            self.state().behind.remove(&told.run);
            return self.settle().await;
        }
        self.metrics.journal_decisions_lost.inc_by(u64::try_from(decisions.len()).unwrap_or(u64::MAX));
        let count = u64::try_from(told.decisions.len()).unwrap_or(u64::MAX);
        let mut state = self.state();
        let behind = state.behind.entry(told.run.clone()).or_default();
        *behind = Behind { through: told.next, lost: told.lost, count: behind.count.saturating_add(count) };
        state.give_up_first();
    }

    /// Without what is admitted in a namespace beyond its budget; its numbers are left out, and a gap says how many.
    fn within_budget(&self, decisions: &[Decision]) -> Vec<Decision> {
        let (mut state, now) = (self.state(), Instant::now().into_std());
        let mut takes = |one: &&Decision| !one.outcome.is_admitted() || state.budgets.takes(&one.namespace, now);
        decisions.iter().filter(|one| takes(one)).cloned().collect()
    }

    /// Something is lost that was never fetched; under the same name it is told once.
    pub(super) fn lost(&self, name: String, reason: &'static str, count: u64) {
        if self.archive.is_some() {
            self.state().add_gap(name, reason, count);
        }
    }

    /// Tells what is still to be told, where the archive takes it.
    pub(super) async fn settle(&self) {
        let Some(archive) = &self.archive else { return };
        loop {
            let next = self.state().behind.first_key_value().map(|(run, far)| (run.clone(), *far));
            let Some((run, behind)) = next else { break };
            let Behind { through, lost, .. } = behind;
            let fetched = || Fetched { run: run.clone(), decisions: Vec::new(), through, lost };
            // Nobody waits for this: an archive that is slow, and not away, is found up again.
            if !self.is_written(PATIENCE, || archive.keep_decisions(fetched())).await {
                return;
            }
            let mut state = self.state();
            // It may have come further behind meanwhile.
            if state.behind.get(&run) == Some(&behind) {
                state.behind.remove(&run);
            }
        }
        loop {
            let next = self.state().gaps.first_key_value().map(|(name, gap)| (name.clone(), *gap));
            let Some((name, (reason, count))) = next else { return };
            if !self.is_written(PATIENCE, || archive.chain_gap(&name, reason, count)).await {
                return;
            }
            // Only now: whoever waits may be ended at any moment, and then it is written again, and is there once.
            self.state().gaps.remove(&name);
        }
    }

    /// Tries until it is written, or for as long as somebody can wait; one attempt may take so long.
    async fn is_written<F>(&self, patience: Duration, mut write: impl FnMut() -> F) -> bool
    where
        F: Future<Output = Result<JournalHead, ArchiveProblem>>,
    {
        let begun = Instant::now();
        loop {
            let reason = match timeout(patience, write()).await {
                Ok(Ok(head)) => {
                    self.is_up(&head);
                    return true;
                }
                Ok(Err(problem)) => (whole(&problem), problem.may_pass()),
                Err(_) => ("no answer in time".to_owned(), true),
            };
            let (problem, may_pass) = reason;
            if !(self.is_down(&problem, begun) && may_pass) {
                return false;
            }
            sleep(RETRY).await;
        }
    }

    fn is_up(&self, head: &JournalHead) {
        self.metrics.journal_number.set(head.number);
        self.metrics.archive_up.set(1);
        if self.state().down_since.take().is_some() {
            info!(number = head.number, "decisions are written into the journal again");
        }
    }

    /// Says so once; whether it is worth waiting.
    fn is_down(&self, problem: &str, begun: Instant) -> bool {
        self.metrics.archive_up.set(0);
        let since = *self.state().down_since.get_or_insert_with(|| {
            warn!(problem, "decisions are not written into the journal; all goes on without it");
            begun
        });
        since.elapsed() < PATIENCE
    }

    /// Nobody waits long for an archive that has been down for a while.
    fn patience(&self) -> Duration {
        let down = self.state().down_since.map_or(Duration::ZERO, |since| since.elapsed());
        PATIENCE.saturating_sub(down).max(SHORT_PATIENCE)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const PATIENCE: Duration = Duration::from_secs(10);
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(500);
/// More replicas than anybody runs, and those before them.
const RUNS: usize = 256;
/// As the archive says it of what is missing by the numbers.
const NOT_KEPT: &str = "not_kept";

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::archive::Verdict;
    use crate::model::{Decision, Outcome};

    fn told(run: &str, numbers: std::ops::RangeInclusive<u64>) -> Decisions {
        let text = str::to_owned;
        let decision = |number| Decision {
            number,
            time: Timestamp::UNIX_EPOCH,
            outcome: Outcome::Refused,
            operation: text("CREATE"),
            resource: text("pods"),
            namespace: text("flame"),
            name: text("p"),
            user: text("jane"),
            analysis: text("analysis-a"),
            rules: Vec::new(),
            from: text("10.0.0.1"),
            checked: true,
            about: None,
        };
        let next = *numbers.end();
        let decisions = numbers.map(decision).collect();
        Decisions { run: text(run), decisions, next, lost: 0, lost_admitted: 0, ending: false }
    }

    /// Each entry of the journal in a few words.
    async fn written(archive: &Archive) -> Vec<String> {
        assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
        let entries = archive.journal_after(0, 100).await.unwrap().into_iter();
        let told = entries.map(|entry| {
            let body: serde_json::Value = serde_json::from_str(&entry.body).unwrap();
            match entry.kind.as_str() {
                "gap" => format!("gap {} {}", body["reason"].as_str().unwrap(), body["count"]),
                _ => format!("{} {}", body["run"].as_str().unwrap(), body["number"]),
            }
        });
        told.collect()
    }

    #[tokio::test]
    async fn what_an_archive_did_not_take_is_counted_and_told_as_a_gap_when_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("volume");
        let archive = Arc::new(Archive::at(&format!("sqlite:{}/archive.db", place.display())).unwrap());
        let metrics = Arc::new(Metrics::new());
        let keeping = Keeping::new(Some(archive.clone()), metrics.clone());
        let begun = Instant::now();
        // The volume is not there.
        keeping.keep(&told("a", 1..=3)).await;
        keeping.keep(&told("b", 1..=2)).await;
        keeping.lost("replica_gone/c".to_owned(), "replica_gone", 1);
        keeping.settle().await;
        assert!(begun.elapsed() < PATIENCE, "nobody waits for what does not come back by itself");
        assert_eq!(metrics.journal_decisions_lost.get(), 5);
        std::fs::create_dir(&place).unwrap();
        keeping.keep(&told("b", 3..=4)).await;
        let want = ["gap not_kept 2", "b 3", "b 4", "gap not_kept 3", "gap replica_gone 1"];
        assert_eq!(written(&archive).await, want);
        keeping.keep(&told("a", 4..=4)).await;
        keeping.settle().await;
        assert_eq!(written(&archive).await[5..], ["a 4"], "each gap is told once");
        assert_eq!((metrics.journal_decisions_lost.get(), metrics.journal_number.get()), (5, 6));
        // Another controller that knows of the same, or this one, where it is not known whether it was written.
        let other = Keeping::new(Some(archive.clone()), Arc::new(Metrics::new()));
        for (keeping, run) in [(&other, "c"), (&keeping, "c"), (&other, "d")] {
            keeping.lost(format!("replica_gone/{run}"), "replica_gone", 1);
            keeping.settle().await;
        }
        assert_eq!(written(&archive).await[6..], ["gap replica_gone 1"], "that of d alone");
    }

    #[tokio::test]
    async fn a_gap_is_remembered_until_it_is_known_to_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Arc::new(Archive::at(&format!("sqlite:{}/archive.db", folder.path().display())).unwrap());
        let keeping = Keeping::new(Some(archive.clone()), Arc::new(Metrics::new()));
        keeping.lost("replica_gone/c".to_owned(), "replica_gone", 1);
        // Whoever tells it is ended before that is done.
        assert!(futures::FutureExt::now_or_never(keeping.settle()).is_none());
        assert_eq!(keeping.state().gaps.len(), 1);
        keeping.settle().await;
        assert_eq!(written(&archive).await, ["gap replica_gone 1"]);
    }

    #[test]
    fn what_is_missing_of_too_many_runs_is_told_without_their_numbers() {
        let mut state = State::default();
        for run in 0..3 * RUNS {
            let behind = Behind { through: 9, lost: 0, count: 2 };
            state.behind.insert(format!("{run:04}"), behind);
            state.give_up_first();
        }
        let told: u64 = state.gaps.values().map(|(_, count)| count).sum();
        assert_eq!((state.behind.len(), state.gaps.len(), told), (RUNS, RUNS, 4 * u64::try_from(RUNS).unwrap()));
        assert!(state.gaps.values().all(|(reason, _)| *reason == NOT_KEPT));
    }

    #[tokio::test]
    async fn without_an_archive_nothing_is_kept_and_nothing_is_lost() {
        let metrics = Arc::new(Metrics::new());
        let keeping = Keeping::new(None, metrics.clone());
        keeping.keep(&told("a", 1..=3)).await;
        keeping.lost("replica_gone/c".to_owned(), "replica_gone", 1);
        keeping.settle().await;
        assert_eq!(metrics.journal_decisions_lost.get(), 0);
        assert!(keeping.state().gaps.is_empty() && keeping.state().behind.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_an_archive_longer_than_a_while_and_then_hardly_at_all() {
        let keeping = Keeping::new(None, Arc::new(Metrics::new()));
        let never = std::future::pending::<Result<JournalHead, ArchiveProblem>>;
        let begun = Instant::now();
        assert!(!keeping.is_written(keeping.patience(), never).await);
        assert_eq!(begun.elapsed(), PATIENCE);
        for _ in 0..3 {
            let begun = Instant::now();
            assert!(!keeping.is_written(keeping.patience(), never).await);
            assert_eq!(begun.elapsed(), SHORT_PATIENCE);
        }
        let head = || async { Ok(JournalHead { number: 1, hash: String::new() }) };
        assert!(keeping.is_written(SHORT_PATIENCE, head).await);
        assert_eq!(keeping.patience(), PATIENCE);
    }
}
