//! What the scan gate says of the image of one digest.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer for one digest under one policy, for as long as it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The answer.
    pub outcome: ScanOutcome,
    /// Why, the gravest first; not more than [`Verdict::MOST_GROUNDS`].
    #[serde(default)]
    pub grounds: Vec<String>,
    /// How many more grounds there are.
    #[serde(default)]
    pub more: usize,
    /// The first moment at which it no longer holds; none where only a new report or policy changes it.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// Which limits a verdict was made under: the beginning of a hash of all that they say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PolicyHash(pub [u8; 8]);

/// The answers that the scan gate has; each but the first two refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScanOutcome {
    /// Nothing in the image fails.
    Pass,
    /// What would fail is excepted for now.
    Excepted,
    /// The report, its database or a part of that is too old to say.
    Stale,
    /// There is no report.
    NoResult,
    /// The scanner came to no end.
    ScanError,
    /// There is a report, from which it cannot be told.
    Inconclusive,
    /// Something in the image fails.
    Fail,
}

impl Verdict {
    /// So many grounds are kept.
    pub const MOST_GROUNDS: usize = 20;

    /// An answer with its grounds, of which the first are kept.
    pub fn new(outcome: ScanOutcome, mut grounds: Vec<String>, until: Option<Timestamp>) -> Self {
        let more = grounds.len().saturating_sub(Self::MOST_GROUNDS);
        grounds.truncate(Self::MOST_GROUNDS);
        Verdict { outcome, grounds, more, until }
    }

    /// Whether it lets the image run at `now`.
    pub fn admits(&self, now: Timestamp) -> bool {
        matches!(self.outcome, ScanOutcome::Pass | ScanOutcome::Excepted) && self.until.is_none_or(|until| now < until)
    }
}

impl ScanOutcome {
    /// As it is written in texts.
    pub fn words(self) -> &'static str {
        match self {
            ScanOutcome::Pass => "pass",
            ScanOutcome::Excepted => "excepted",
            ScanOutcome::Stale => "stale",
            ScanOutcome::NoResult => "no result",
            ScanOutcome::ScanError => "scan error",
            ScanOutcome::Inconclusive => "inconclusive",
            ScanOutcome::Fail => "fail",
        }
    }
}
