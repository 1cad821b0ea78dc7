//! An earlier report, against which a later one says what is new.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Fingerprint, Object};
use super::whole::{API_VERSION, KIND};
use super::{Report, Subject};

/// What fails in an earlier report.
#[derive(Debug)]
pub struct Baseline {
    made: Timestamp,
    subject: Subject,
    /// How often each finding is there, and what it says.
    known: BTreeMap<Fingerprint, (usize, Entry)>,
}

/// Whether a finding is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Since {
    /// The baseline does not have it, or has it less often.
    New,
    /// The baseline has it too.
    Known,
}

/// How a report differs from its baseline, of what fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// When the baseline was made.
    pub made: Timestamp,
    /// How many findings are new.
    pub new: usize,
    /// How many both have.
    pub known: usize,
    /// What only the baseline has, of objects that were judged again or are gone for certain.
    pub fixed: Vec<Entry>,
    /// What only the baseline has, of objects that were not judged this time while something could not be read.
    pub incomparable: Vec<Entry>,
}

/// Why a file is no baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineProblem {
    /// It cannot be read as a report.
    #[error("it is no report in JSON as `audit --output json` writes it")]
    Form(#[source] serde_json::Error),
    /// It is a report of something else.
    #[error("it is a {kind} of {version}; a baseline is an {KIND} of {API_VERSION}")]
    Other {
        /// Its version.
        version: String,
        /// Its kind.
        kind: String,
    },
    /// It is a report of other objects.
    #[error("it is a report of a cluster's objects and this one is of files, or the other way round")]
    Subject,
}

impl Baseline {
    /// Reads a report that was written as JSON.
    ///
    /// # Errors
    /// It is none, or one of another version.
    pub fn read(text: &[u8]) -> Result<Self, BaselineProblem> {
        let head: Head = serde_json::from_slice(text).map_err(BaselineProblem::Form)?;
        if (head.api_version.as_str(), head.kind.as_str()) != (API_VERSION, KIND) {
            return Err(BaselineProblem::Other { version: head.api_version, kind: head.kind });
        }
        let report: Report = serde_json::from_slice(text).map_err(BaselineProblem::Form)?;
        let mut known = BTreeMap::new();
        for entry in report.findings.into_iter().filter(|entry| entry.outcome.fails()) {
            known.entry(entry.fingerprint()).or_insert((0, entry)).0 += 1;
        }
        Ok(Baseline { made: report.made, subject: report.subject, known })
    }

    /// Marks what is new in a report; `judged` are the objects that it is about, those without findings too.
    ///
    /// # Errors
    /// The report is of something else than the baseline.
    pub fn mark(mut self, report: &mut Report, judged: &HashSet<Object>) -> Result<(), BaselineProblem> {
        if report.subject != self.subject {
            return Err(BaselineProblem::Subject);
        }
        let (mut new, mut known) = (0, 0);
        for entry in report.findings.iter_mut().filter(|entry| entry.outcome.fails()) {
            let before = self.known.get_mut(&entry.fingerprint()).filter(|(left, _)| *left > 0);
            let since = before.map_or(Since::New, |(left, _)| {
                *left -= 1;
                Since::Known
            });
            *(if since == Since::New { &mut new } else { &mut known }) += 1;
            entry.since = Some(since);
        }
        let whole = report.coverage.is_whole();
        let judged: BTreeSet<_> = judged.iter().map(named).collect();
        let gone = self.known.into_values().filter(|(left, _)| *left > 0).map(|(_, entry)| entry);
        let (fixed, incomparable) = gone.partition(|entry| whole || judged.contains(&named(&entry.object)));
        report.baseline = Some(Comparison { made: self.made, new, known, fixed, incomparable });
        Ok(())
    }
}

/// What of an object stays the same in another run.
fn named(object: &Object) -> (&str, &str, &str, &str) {
    (object.group(), &object.kind, &object.namespace, &object.name)
}

/// What says whether the rest can be read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
}
