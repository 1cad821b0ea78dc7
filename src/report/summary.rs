//! Counts of a report, and how much of what there is was looked at.

use serde::{Deserialize, Serialize};

use super::entry::{Entry, Outcome};
use crate::model::Severity;

/// Counts. An object is judged, unguarded or not judged; only a judged one without findings is green.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Objects of kinds that the judge knows, in guarded namespaces.
    pub judged: usize,
    /// Objects of such kinds in other namespaces, where nothing holds.
    pub unguarded: usize,
    /// Objects of kinds that no rule is about.
    pub not_judged: usize,
    /// Findings that stand in the cluster.
    pub violated: usize,
    /// Findings that refuse.
    pub refused: usize,
    /// Findings that admission mends.
    pub mended: usize,
    /// Findings of rules that warn.
    pub warnings: usize,
    /// Findings that are only reported: rules in audit mode and exceptions.
    pub reported: usize,
    /// What could not be read or judged.
    pub problems: usize,
    /// Findings that fail, by severity.
    pub failing: BySeverity,
}

/// Counts by severity.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BySeverity {
    /// Ends containment.
    pub critical: usize,
    /// Weakens it.
    pub high: usize,
    /// Weakens it together with something else.
    pub medium: usize,
    /// Good practice.
    pub low: usize,
}

/// How much of what there is was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Objects and lists that were looked at.
    pub seen: usize,
    /// Those that could not be.
    pub missed: usize,
    /// In whole per cent, rounded down, so that a hundred is all.
    pub percent: u8,
}

impl Summary {
    /// These counts of objects, with those of findings and problems.
    pub(super) fn counting(self, findings: &[Entry], problems: usize) -> Self {
        let mut counts = Summary { problems, ..self };
        for entry in findings {
            *counts.of(entry.outcome) += 1;
            if entry.outcome.fails() {
                *counts.failing.of(entry.severity) += 1;
            }
        }
        counts
    }

    /// The counts of objects of both.
    #[must_use]
    pub fn with(self, other: &Summary) -> Self {
        Summary {
            judged: self.judged + other.judged,
            unguarded: self.unguarded + other.unguarded,
            not_judged: self.not_judged + other.not_judged,
            ..self
        }
    }

    fn of(&mut self, outcome: Outcome) -> &mut usize {
        match outcome {
            Outcome::Violated => &mut self.violated,
            Outcome::Refused => &mut self.refused,
            Outcome::Mended => &mut self.mended,
            Outcome::Warning => &mut self.warnings,
            Outcome::Reported => &mut self.reported,
        }
    }
}

impl BySeverity {
    fn of(&mut self, severity: Severity) -> &mut usize {
        match severity {
            Severity::Critical => &mut self.critical,
            Severity::High => &mut self.high,
            Severity::Medium => &mut self.medium,
            Severity::Low => &mut self.low,
        }
    }

    /// Each severity with its count, the worst first.
    pub fn each(&self) -> [(Severity, usize); 4] {
        [
            (Severity::Critical, self.critical),
            (Severity::High, self.high),
            (Severity::Medium, self.medium),
            (Severity::Low, self.low),
        ]
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.each().iter().map(|(_, count)| count).sum()
    }
}

impl Coverage {
    /// Of so many that were seen and missed. Where there was nothing to see, nothing was missed.
    pub(super) fn new(seen: usize, missed: usize) -> Self {
        let all = seen.saturating_add(missed);
        let percent = seen.saturating_mul(100).checked_div(all).unwrap_or(100);
        Coverage { seen, missed, percent: u8::try_from(percent).unwrap_or(100) }
    }

    /// Whether nothing was missed.
    pub fn is_whole(&self) -> bool {
        self.missed == 0
    }
}
