//! Lines that wait to be written into the archive: bounded for each analysis, so that none crowds out another's.

use std::collections::{BTreeMap, VecDeque};

use crate::archive::{LogLine, RunRecord};
use crate::model::AnalysisId;

/// Whose lines they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whose {
    /// The run, and what is recorded of it where nothing is known of it yet.
    pub(super) record: RunRecord,
    /// Where its Analysis is.
    pub(super) namespace: String,
    /// Which Analysis that is of those that have had its name.
    pub(super) uid: String,
}

/// Lines of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    /// Whose they are.
    pub(super) whose: Whose,
    /// Its lines, the oldest first.
    pub(super) lines: Vec<LogLine>,
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    each: BTreeMap<AnalysisId, Batch>,
    /// Whose turn it is first.
    turns: VecDeque<AnalysisId>,
    /// Of all lines.
    bytes: usize,
}

impl Waiting {
    /// Takes a line in; gives how many are lost by that.
    pub(super) fn push(&mut self, whose: Whose, line: LogLine) -> u64 {
        let (id, bytes) = (whose.id(), size(&line));
        let own = self.each.get(&id).filter(|batch| batch.whose.is_same(&whose)).map_or(0, Batch::size);
        // Whoever has little waiting is not to lose it to those who have much.
        let is_too_much = self.bytes.saturating_add(bytes) > MOST_BYTES && own.saturating_add(bytes) > SHARE;
        if is_too_much {
            return 1;
        }
        let Some(batch) = self.each.get_mut(&id) else {
            if self.each.len() >= MOST_ANALYSES {
                return 1;
            }
            self.each.insert(id, Batch { whose, lines: vec![line] });
            self.bytes += bytes;
            self.turns.push_back(id);
            return 0;
        };
        if !batch.whose.is_same(&whose) {
            let lost = batch.lines.len();
            self.bytes = self.bytes.saturating_sub(batch.size()) + bytes;
            *batch = Batch { whose, lines: vec![line] };
            return u64::try_from(lost).unwrap_or(u64::MAX);
        }
        if batch.lines.len() >= MOST_LINES {
            return 1;
        }
        batch.lines.push(line);
        self.bytes += bytes;
        0
    }

    /// The lines of whoever has waited longest.
    pub(super) fn take(&mut self) -> Option<Batch> {
        let id = self.turns.pop_front()?;
        self.remove(id)
    }

    /// Puts back what could not be written; gives how many lines are lost by that.
    pub(super) fn put_back(&mut self, batch: Batch) -> u64 {
        let later = self.remove(batch.whose.id());
        self.turns.retain(|id| *id != batch.whose.id());
        let mut lost = 0;
        for Batch { whose, lines } in [batch].into_iter().chain(later) {
            for line in lines {
                lost += self.push(whose.clone(), line);
            }
        }
        lost
    }

    fn remove(&mut self, id: AnalysisId) -> Option<Batch> {
        let batch = self.each.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(batch.size());
        Some(batch)
    }
}

impl Whose {
    fn id(&self) -> AnalysisId {
        self.record.run.analysis
    }

    fn is_same(&self, other: &Whose) -> bool {
        (self.record.run, &self.uid) == (other.record.run, &other.uid)
    }
}

impl Batch {
    fn size(&self) -> usize {
        self.lines.iter().map(size).sum()
    }
}

/// What a line takes in memory, roughly.
fn size(line: &LogLine) -> usize {
    line.log.len() + OVERHEAD
}

/// Of one analysis.
const MOST_LINES: usize = 200;
const MOST_ANALYSES: usize = 1000;
/// Of all lines; beyond them each analysis has its share.
const MOST_BYTES: usize = 16 << 20;
const SHARE: usize = 8 << 10;
const OVERHEAD: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Phase, WantedState};
    use crate::orchestrator::record::record;
    use crate::orchestrator::testing::{ID, PROJECT, analysis};

    fn of(id: &str, run: u32) -> Whose {
        let mut analysis = analysis(Some(Phase::Executing), (WantedState::Running, run, run), false);
        analysis.id = id.parse().unwrap();
        let record = record(&analysis, Vec::new()).unwrap();
        Whose { record, namespace: "flame".to_owned(), uid: "u".to_owned() }
    }

    fn line(log: &str) -> LogLine {
        let written = "2026-11-21T00:00:00Z".parse().unwrap();
        LogLine {
            log: log.to_owned(),
            log_type: "info".to_owned(),
            status: "executing".to_owned(),
            progress: 1,
            written,
        }
    }

    fn taken(waiting: &mut Waiting) -> Vec<(String, Vec<String>)> {
        let batches = std::iter::from_fn(|| waiting.take());
        batches
            .map(|batch| (batch.whose.record.run.app(), batch.lines.into_iter().map(|line| line.log).collect()))
            .collect()
    }

    #[test]
    fn lines_come_out_in_their_order_by_run_and_what_could_not_be_written_stays_first() {
        let mut waiting = Waiting::default();
        for (id, run, log, lost) in [(ID, 1, "a", 0), (PROJECT, 1, "b", 0), (ID, 1, "c", 0)] {
            assert_eq!(waiting.push(of(id, run), line(log)), lost);
        }
        let first = waiting.take().unwrap();
        waiting.push(of(ID, 1), line("d"));
        assert_eq!(waiting.put_back(first), 0);
        let app = |id: &str, run: u32| format!("analysis-{id}-{run}");
        let want = [(app(PROJECT, 1), vec!["b"]), (app(ID, 1), vec!["a", "c", "d"])];
        assert_eq!(taken(&mut waiting), want.map(|(app, logs)| (app, logs.into_iter().map(str::to_owned).collect())));
        assert_eq!(waiting.push(of(ID, 1), line("a")) + waiting.push(of(ID, 2), line("b")), 1, "of the run before");
        assert_eq!(taken(&mut waiting), [(app(ID, 2), vec!["b".to_owned()])]);
        let again = Whose { uid: "v".to_owned(), ..of(ID, 1) };
        assert_eq!(waiting.push(of(ID, 1), line("a")) + waiting.push(again, line("b")), 1, "of the one before");
        assert_eq!(taken(&mut waiting), [(app(ID, 1), vec!["b".to_owned()])]);
    }

    #[test]
    fn lines_have_a_bound_in_bytes_beyond_which_each_analysis_has_a_share() {
        let (mut waiting, long) = (Waiting::default(), "x".repeat(4096));
        let id = |number: usize| format!("22222222-0000-4000-8000-{number:012}");
        let each = MOST_BYTES / (MOST_LINES * (4096 + OVERHEAD)) + 1;
        let mut lost = 0;
        for number in 0..each {
            lost += (0..MOST_LINES).map(|_| waiting.push(of(&id(number), 1), line(&long))).sum::<u64>();
        }
        assert!(lost > 0 && waiting.bytes <= MOST_BYTES, "{lost} {}", waiting.bytes);
        let more = [
            waiting.push(of(ID, 1), line(&long)),
            waiting.push(of(ID, 1), line(&long)),
            waiting.push(of(&id(0), 1), line("")),
        ];
        assert_eq!(more, [0, 1, 1], "a share, no more than it, and nothing for whoever has had more");
        assert_eq!(waiting.push(of(&id(0), 2), line("")), 200, "those of the run before");
        let batch = waiting.take().unwrap();
        assert_eq!(waiting.put_back(batch), 0);
        let lines: usize = std::iter::from_fn(|| waiting.take()).map(|batch| batch.lines.len()).sum();
        assert_eq!((waiting.bytes, lines > 0), (0, true), "what is taken takes no room");
    }

    #[test]
    fn whoever_writes_too_much_loses_only_own_lines() {
        let mut waiting = Waiting::default();
        let lost: u64 = (0..MOST_LINES + 5).map(|_| waiting.push(of(ID, 1), line("x"))).sum();
        assert_eq!((lost, waiting.push(of(PROJECT, 1), line("y"))), (5, 0));
        assert_eq!(taken(&mut waiting).iter().map(|(_, lines)| lines.len()).collect::<Vec<_>>(), [MOST_LINES, 1]);
        let id = |number: usize| format!("22222222-0000-4000-8000-{number:012}");
        let lost: u64 = (0..MOST_ANALYSES + 1).map(|number| waiting.push(of(&id(number), 1), line("x"))).sum();
        assert_eq!(lost, 1);
    }
}
