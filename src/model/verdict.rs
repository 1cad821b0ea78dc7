//! What the scan gate says of the image of one digest.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::one_line;

/// The answer for one digest under one policy, for as long as it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The answer.
    pub outcome: ScanOutcome,
    /// Why, the gravest first; not more than [`Verdict::MOST_GROUNDS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grounds: Vec<String>,
    /// How many more grounds there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
    /// The first moment at which it no longer holds; none where only a new report or policy changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether something fails that gets no grace: it is known to be exploited, or denied by name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub graceless: bool,
}

/// Which limits a verdict was made under: the beginning of a hash of all that they say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PolicyHash(pub [u8; 8]);

/// The answers that the scan gate has, in the order in which they get worse; each but the first two refuses.
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

    /// An answer with its grounds, of which the first are kept, each as one line.
    pub fn new(outcome: ScanOutcome, grounds: impl IntoIterator<Item = String>, until: Option<Timestamp>) -> Self {
        let mut verdict = Verdict { outcome, grounds: Vec::new(), more: 0, until, graceless: false };
        for ground in grounds {
            verdict.also(&ground);
        }
        verdict
    }

    /// One ground more, which is counted where enough are kept.
    pub fn also(&mut self, ground: &str) {
        if self.grounds.len() < Self::MOST_GROUNDS {
            self.grounds.push(one_line(ground, LONGEST_GROUND));
        } else {
            self.more += 1;
        }
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

impl From<PolicyHash> for String {
    /// Sixteen hexadecimal digits.
    fn from(PolicyHash(bytes): PolicyHash) -> Self {
        format!("{:016x}", u64::from_be_bytes(bytes))
    }
}

impl TryFrom<String> for PolicyHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let problem = "a policy's hash is 16 hexadecimal digits";
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u64::from_str_radix(&text, 16).ok()).flatten();
        number.map(|number| PolicyHash(number.to_be_bytes())).ok_or(problem)
    }
}

/// Characters of a ground: half of what its custom resource takes.
const LONGEST_GROUND: usize = 2048;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}
