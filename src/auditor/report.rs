//! What an audit found: the versioned report, and what its exit code says.

use serde::Serialize;

use super::Problem;
use crate::model::Severity;

/// The whole of an audit. Serialises as `flamewarden.dev/audit/v1alpha1`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    api_version: &'static str,
    kind: &'static str,
    /// Counts of objects and findings.
    pub summary: Summary,
    /// Everything that was found, in the order of files, documents and rules.
    pub findings: Vec<Entry>,
    /// What could not be read or judged.
    pub problems: Vec<Problem>,
}

/// Counts. An object is judged, unguarded or not judged; only a judged one without findings is green.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Objects of kinds that the judge knows, in guarded namespaces.
    pub judged: usize,
    /// Objects of such kinds in other namespaces, where nothing holds.
    pub unguarded: usize,
    /// Objects of kinds that no rule is about.
    pub not_judged: usize,
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
}

/// One finding and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The file.
    pub file: String,
    /// The document in it, from 1.
    pub document: usize,
    /// The object: kind, namespace and name.
    pub object: String,
    /// The rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// Where it stands in the object.
    pub path: String,
    /// What stands there.
    pub value: String,
    /// What is wrong and what to do.
    pub message: String,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// What becomes of a finding when the object is sent to the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Outcome {
    /// The object is refused.
    #[serde(rename = "refused")]
    Refused,
    /// The mutating side mends it, or the pods that come of a template.
    #[serde(rename = "mended at admission")]
    Mended,
    /// The object is admitted with a warning.
    #[serde(rename = "warning")]
    Warning,
    /// The object is admitted; the finding is kept.
    #[serde(rename = "reported")]
    Reported,
}

impl Outcome {
    /// As the report writes it.
    pub fn words(self) -> &'static str {
        match self {
            Outcome::Refused => "refused",
            Outcome::Mended => "mended at admission",
            Outcome::Warning => "warning",
            Outcome::Reported => "reported",
        }
    }
}

impl Report {
    /// A report of these, with the counts that follow from them.
    pub(super) fn new(objects: Summary, findings: Vec<Entry>, problems: Vec<Problem>) -> Self {
        let count = |outcome: Outcome| findings.iter().filter(|entry| entry.outcome == outcome).count();
        let summary = Summary {
            refused: count(Outcome::Refused),
            mended: count(Outcome::Mended),
            warnings: count(Outcome::Warning),
            reported: count(Outcome::Reported),
            problems: problems.len(),
            ..objects
        };
        Report { api_version: "flamewarden.dev/audit/v1alpha1", kind: "AuditReport", summary, findings, problems }
    }

    /// 0: nothing is refused; 1: something is; 3: something could not be read or judged, so nobody knows.
    pub fn exit_code(&self) -> u8 {
        match (self.problems.is_empty(), self.summary.refused) {
            (false, _) => 3,
            (true, 0) => 0,
            (true, _) => 1,
        }
    }
}
