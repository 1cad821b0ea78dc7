//! The whole of an audit: the versioned report that every form is made of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::baseline::Comparison;
use super::{Coverage, Entry, ExceptionUse, Problem, RuleAbout, Score, Summary};
use crate::model::Severity;

/// The whole of an audit. Serialises as `flamewarden.dev/audit/v1alpha1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always `AuditReport`.
    pub kind: String,
    /// Version of the program that made it.
    pub version: String,
    /// When it was made.
    pub made: Timestamp,
    /// What was audited.
    pub subject: Subject,
    /// Counts of objects and findings.
    pub summary: Summary,
    /// How much of what there is was looked at.
    pub coverage: Coverage,
    /// One number.
    pub score: Score,
    /// The rules that something was found by.
    pub rules: Vec<RuleAbout>,
    /// Everything that was found, in the order of files, documents and rules.
    pub findings: Vec<Entry>,
    /// The exceptions of the policies.
    pub exceptions: Vec<ExceptionUse>,
    /// What could not be read or judged.
    pub problems: Vec<Problem>,
    /// How it differs from an earlier report, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Comparison>,
}

/// What was audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// Manifests: what would become of them.
    Files,
    /// A cluster: how it stands.
    Cluster,
}

/// What a report is made of, besides what follows from it.
#[derive(Debug)]
pub struct Found {
    /// What was audited.
    pub subject: Subject,
    /// Objects by how they stand; counts of findings are made here.
    pub objects: Summary,
    /// Lists and facts that were looked at besides objects.
    pub looked_at: usize,
    /// In the order of files, documents and rules.
    pub findings: Vec<Entry>,
    /// The exceptions of the policies.
    pub exceptions: Vec<ExceptionUse>,
    /// What could not be read or judged.
    pub problems: Vec<Problem>,
}

impl Report {
    /// A report of what was found, with the counts that follow; `about` knows the rules.
    pub fn new(found: Found, about: impl Fn(&str) -> RuleAbout, now: Timestamp) -> Self {
        let Found { subject, objects, looked_at, findings, exceptions, problems } = found;
        let seen = objects.judged + objects.unguarded + objects.not_judged + looked_at;
        let mut rules = BTreeMap::new();
        for entry in &findings {
            if !rules.contains_key(&*entry.rule) {
                rules.insert(entry.rule.to_string(), about(&entry.rule));
            }
        }
        Report {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made: now,
            subject,
            coverage: Coverage::new(seen, problems.len()),
            score: Score::of(objects.judged, problems.len(), &findings),
            summary: objects.counting(&findings, problems.len()),
            rules: rules.into_values().collect(),
            findings,
            exceptions,
            problems,
            baseline: None,
        }
    }

    /// The same without findings, and with so many problems at most; counts stay as they are.
    #[must_use]
    pub fn without_findings(&self, problems: usize) -> Report {
        Report {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            version: self.version.clone(),
            rules: self.rules.clone(),
            findings: Vec::new(),
            exceptions: self.exceptions.clone(),
            problems: self.problems.iter().take(problems).cloned().collect(),
            baseline: None,
            ..*self
        }
    }

    /// Findings that fail.
    pub fn failing(&self) -> impl Iterator<Item = &Entry> {
        self.findings.iter().filter(|entry| entry.outcome.fails())
    }

    /// Findings that fail and are at least so bad.
    pub fn failing_from(&self, severity: Severity) -> impl Iterator<Item = &Entry> {
        self.failing().filter(move |entry| entry.severity >= severity)
    }

    /// What is known of a rule that something was found by.
    pub fn about(&self, rule: &str) -> Option<&RuleAbout> {
        self.rules.iter().find(|about| about.id == rule)
    }
}

/// Of everything that the command `audit` writes.
pub const API_VERSION: &str = "flamewarden.dev/audit/v1alpha1";
pub(super) const KIND: &str = "AuditReport";
