//! The score: one number for those who watch it over time. It never looks better than the worst finding.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::Entry;
use crate::model::Severity;

/// From 0 to 100: the share of judged objects without a failing finding, rounded down, and no more than the worst
/// finding allows: 49 with a critical one, 69 with a high one, 89 with a medium one, 99 with a low one. A hundred is
/// therefore only where nothing fails. What was not looked at is no part of it; coverage tells that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Score(u8);

impl Score {
    /// The score of so many judged objects with these findings.
    ///
    /// Where nothing was judged and something could not be looked at, there is nothing to be good.
    pub(super) fn of(judged: usize, missed: usize, findings: &[Entry]) -> Self {
        let failing = || findings.iter().filter(|entry| entry.outcome.fails());
        let Some(worst) = failing().map(|entry| entry.severity).max() else {
            return Score(if judged == 0 && missed > 0 { 0 } else { 100 });
        };
        // The same object may stand in several files.
        let objects: HashSet<_> = failing().map(|entry| (&entry.place, &entry.object)).collect();
        let clean = judged.saturating_sub(objects.len());
        let share = clean.saturating_mul(100).checked_div(judged).unwrap_or_default();
        let most = match worst {
            Severity::Critical => 49,
            Severity::High => 69,
            Severity::Medium => 89,
            Severity::Low => 99,
        };
        Score(u8::try_from(share).unwrap_or(most).min(most))
    }

    /// The number.
    pub fn number(self) -> u8 {
        self.0
    }
}
