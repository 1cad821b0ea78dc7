//! What the archive is to be told, and what it has been told already.

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::RunRecord;
use crate::model::{AnalysisId, Run};

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Telling {
    /// Forget all of an analysis.
    Forget(AnalysisId),
    /// This is how a run stands.
    Record(RunRecord),
}

/// All that is to be told. Of each run only the latest counts.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// The last run of each analysis as the archive has it; none before that was asked for.
    told: Option<BTreeMap<AnalysisId, RunRecord>>,
    wanted: BTreeMap<Run, RunRecord>,
    forgets: BTreeSet<AnalysisId>,
    /// What could not be told when it was its turn, by when that was.
    late: BTreeMap<Turn, u64>,
    failures: u64,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Forget(AnalysisId),
    Record(Run),
}

impl Queue {
    /// Whether it is known what the archive has.
    pub(super) fn knows(&self) -> bool {
        self.told.is_some()
    }

    /// What the archive has.
    pub(super) fn learn(&mut self, runs: Vec<RunRecord>) {
        let told: BTreeMap<_, _> = runs.into_iter().map(|record| (record.run.analysis, record)).collect();
        let wanted = std::mem::take(&mut self.wanted);
        self.told = Some(told);
        for record in wanted.into_values() {
            self.want(record);
        }
    }

    /// Somebody else may write from now on: nothing is known, and nothing is to be told.
    pub(super) fn clear(&mut self) {
        *self = Queue::default();
    }

    /// A run stands like this. Pods that it had stay known. Tells whether that is news.
    pub(super) fn want(&mut self, mut record: RunRecord) -> bool {
        let told = self.told.as_ref().and_then(|told| told.get(&record.run.analysis));
        let told = told.filter(|told| told.run == record.run && !self.forgets.contains(&told.run.analysis));
        let before = self.wanted.get(&record.run).or(told);
        if let Some(before) = before {
            let gone = before.pods.iter().filter(|pod| !record.pods.contains(pod)).cloned();
            record.pods = gone.chain(record.pods.iter().cloned()).collect();
            let surplus = record.pods.len().saturating_sub(MOST_PODS);
            record.pods.drain(..surplus);
        }
        if before == Some(&record) {
            return false;
        }
        if told == Some(&record) {
            self.wanted.remove(&record.run);
            self.late.remove(&Turn::Record(record.run));
            return false;
        }
        self.wanted.insert(record.run, record);
        true
    }

    /// All of an analysis is to be forgotten, also what was to be told of it.
    pub(super) fn forget(&mut self, id: AnalysisId) {
        self.wanted.retain(|run, _| run.analysis != id);
        self.late.retain(|turn, _| !matches!(turn, Turn::Record(run) if run.analysis == id));
        self.forgets.insert(id);
    }

    /// Whether an analysis is still to be forgotten.
    pub(super) fn forgets(&self, id: AnalysisId) -> bool {
        self.forgets.contains(&id)
    }

    /// What is to be told next: first what is to be forgotten, last what failed before, the oldest failure first.
    pub(super) fn next(&self) -> Option<Telling> {
        let forgets = self.forgets.iter().copied().map(Turn::Forget);
        // What comes after it must not be forgotten with it.
        let wanted = self.wanted.keys().filter(|run| !self.forgets.contains(&run.analysis));
        let turns = forgets.chain(wanted.copied().map(Turn::Record));
        let first = turns.clone().find(|turn| !self.late.contains_key(turn));
        match first.or_else(|| turns.min_by_key(|turn| self.late.get(turn)))? {
            Turn::Forget(id) => Some(Telling::Forget(id)),
            Turn::Record(run) => self.wanted.get(&run).cloned().map(Telling::Record),
        }
    }

    /// It could not be told: all else goes before it.
    pub(super) fn put_off(&mut self, telling: &Telling) {
        self.failures += 1;
        self.late.insert(telling.turn(), self.failures);
    }

    /// It was told.
    pub(super) fn done(&mut self, telling: Telling) {
        self.late.remove(&telling.turn());
        let told = self.told.get_or_insert_default();
        match telling {
            Telling::Forget(id) => {
                self.forgets.remove(&id);
                told.remove(&id);
            }
            Telling::Record(record) => {
                // What has changed in the meantime is still to be told.
                if self.wanted.get(&record.run) == Some(&record) {
                    self.wanted.remove(&record.run);
                }
                let is_latest = told.get(&record.run.analysis).is_none_or(|told| told.run.number <= record.run.number);
                if is_latest && !self.forgets.contains(&record.run.analysis) {
                    told.insert(record.run.analysis, record);
                }
            }
        }
    }

    /// Whose runs are still to be told.
    pub(super) fn behind(&self) -> BTreeSet<AnalysisId> {
        self.wanted.keys().map(|run| run.analysis).collect()
    }
}

impl Telling {
    fn turn(&self) -> Turn {
        match self {
            Telling::Forget(id) => Turn::Forget(*id),
            Telling::Record(record) => Turn::Record(record.run),
        }
    }
}

/// Names of pods that are kept of one run.
const MOST_PODS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Phase;

    const ID: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";

    fn at(run: u32, phase: Phase, pods: &[&str]) -> RunRecord {
        RunRecord {
            run: Run { analysis: ID.parse().unwrap(), number: run },
            project: "7b1c9d20-5a4e-4f6b-9c3d-2e1f0a9b8c7d".parse().unwrap(),
            image: "harbor.example/node/a".to_owned(),
            phase,
            progress: 0,
            pods: pods.iter().map(|&pod| pod.to_owned()).collect(),
            reason: String::new(),
            started: None,
            ended: None,
        }
    }

    /// Tells everything; gives what.
    fn tell(queue: &mut Queue) -> Vec<Telling> {
        std::iter::from_fn(|| {
            let next = queue.next()?;
            queue.done(next.clone());
            Some(next)
        })
        .collect()
    }

    #[test]
    fn only_news_are_told_and_of_each_run_the_latest() {
        let mut queue = Queue::default();
        let (started, executing) = (at(1, Phase::Started, &["a"]), at(1, Phase::Executing, &["a"]));
        assert!(queue.want(started.clone()) && queue.want(executing.clone()));
        queue.learn(vec![started.clone()]);
        assert_eq!(tell(&mut queue), [Telling::Record(executing.clone())]);
        assert!(!queue.want(executing.clone()), "it is told");
        assert!(queue.want(started.clone()));
        assert!(!queue.want(executing.clone()), "it is what was told");
        assert_eq!(tell(&mut queue), []);
        let next = at(2, Phase::Starting, &[]);
        assert!(queue.want(started.clone()) && queue.want(next.clone()));
        assert_eq!(queue.behind().len(), 1);
        assert_eq!(tell(&mut queue), [started, next.clone()].map(Telling::Record));
        queue.clear();
        assert!(!queue.knows() && queue.want(next), "somebody else may have told something else");
    }

    #[test]
    fn what_changes_while_it_is_told_is_told_again() {
        let mut queue = Queue::default();
        queue.learn(Vec::new());
        queue.want(at(1, Phase::Started, &[]));
        let telling = queue.next().unwrap();
        queue.want(at(1, Phase::Executing, &[]));
        queue.done(telling);
        assert_eq!(tell(&mut queue), [Telling::Record(at(1, Phase::Executing, &[]))]);
    }

    #[test]
    fn pods_that_are_gone_stay_known() {
        let mut queue = Queue::default();
        queue.learn(vec![at(1, Phase::Started, &["a"])]);
        for (now, want) in
            [(vec!["b"], vec!["a", "b"]), (vec![], vec!["a", "b"]), (vec!["a", "c"], vec!["b", "a", "c"])]
        {
            queue.want(at(1, Phase::Executing, &now));
            tell(&mut queue);
            assert!(!queue.want(at(1, Phase::Executing, &now)));
            assert_eq!(queue.told.as_ref().unwrap()[&ID.parse().unwrap()].pods, want, "{now:?}");
        }
        let many: Vec<String> = (0..50).map(|number| number.to_string()).collect();
        queue.want(RunRecord { pods: many.clone(), ..at(1, Phase::Executing, &[]) });
        let Some(Telling::Record(record)) = queue.next() else { panic!("it is news") };
        assert_eq!(record.pods, many[30..]);
    }

    #[test]
    fn what_is_forgotten_is_not_told_before_and_may_come_again() {
        let mut queue = Queue::default();
        let id = ID.parse().unwrap();
        queue.learn(vec![at(1, Phase::Started, &["a"])]);
        queue.want(at(1, Phase::Stopped, &[]));
        let telling = queue.next().unwrap();
        queue.forget(id);
        queue.done(telling);
        // It is there again before the archive has forgotten it.
        queue.want(at(1, Phase::Started, &[]));
        assert!(queue.forgets(id));
        assert_eq!(tell(&mut queue), [Telling::Forget(id), Telling::Record(at(1, Phase::Started, &[]))]);
        assert!(!queue.forgets(id));
    }

    #[test]
    fn what_cannot_be_told_keeps_nobody_else_from_being_told() {
        let mut queue = Queue::default();
        queue.learn(Vec::new());
        let (id, other) = (ID.parse().unwrap(), "1d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f".parse().unwrap());
        let of = |analysis, number| {
            let record = at(number, Phase::Started, &[]);
            RunRecord { run: Run { analysis, number }, ..record }
        };
        let (forget, again) = (Telling::Forget(id), Telling::Record(of(id, 1)));
        let (first, second) = (Telling::Record(of(other, 1)), Telling::Record(of(other, 2)));
        queue.forget(id);
        for record in [of(id, 1), of(other, 1), of(other, 2)] {
            queue.want(record);
        }
        for failing in [&forget, &first, &second, &forget, &first] {
            assert_eq!(queue.next().as_ref(), Some(failing));
            queue.put_off(failing);
        }
        // Asked for once more, it has waited no less; and what is new goes before.
        queue.forget(id);
        queue.want(of(id, 1));
        queue.want(of(other, 3));
        let third = Telling::Record(of(other, 3));
        assert_eq!(tell(&mut queue), [third, second, forget, again, first]);
        assert_eq!((queue.next(), queue.late), (None, BTreeMap::new()));
    }
}
