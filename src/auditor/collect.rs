//! Collects what the judge says of one object after the other, and makes a report of it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::about::about;
use super::examine::{Auditor, Standing};
use super::subject::Subject;
use crate::model::{Edit, Excepted, Finding, one_line};
use crate::policy::{PolicySet, ScanException};
use crate::report::{self, Entry, ExceptionUse, Found, Interner, Object, Outcome, Place, Problem, Report, Summary};

/// What was found so far. It grows by what is found, not by what is looked at.
#[derive(Debug)]
pub struct Collection {
    subject: report::Subject,
    counts: Summary,
    looked_at: usize,
    findings: Vec<Entry>,
    problems: Vec<Problem>,
    texts: Interner,
    remedies: BTreeMap<Vec<String>, Arc<[String]>>,
    judged: Option<HashSet<Object>>,
}

impl Collection {
    /// An empty one.
    pub fn new(subject: report::Subject) -> Self {
        Collection {
            subject,
            counts: Summary::default(),
            looked_at: 0,
            findings: Vec::new(),
            problems: Vec::new(),
            texts: Interner::default(),
            remedies: BTreeMap::new(),
            judged: None,
        }
    }

    /// The same, which remembers every object that was judged: a baseline asks for them.
    #[must_use]
    pub fn remembering(self) -> Self {
        Collection { judged: Some(HashSet::new()), ..self }
    }

    /// Judges one object, or notes why there is none.
    pub fn take(&mut self, subject: Result<Subject, Problem>, auditor: &Auditor<'_>) {
        let subject = match subject {
            Ok(subject) => subject,
            Err(problem) => return self.problems.push(problem),
        };
        match auditor.standing(&subject.json) {
            Standing::Judged(verdict) => {
                self.counts.judged += 1;
                if verdict.findings.is_empty() && self.judged.is_none() {
                    return;
                }
                let object = auditor.object(&subject.json);
                self.add(object, subject.place, verdict.findings);
            }
            Standing::Unguarded => self.counts.unguarded += 1,
            Standing::NotJudged => self.counts.not_judged += 1,
            Standing::Unknown(reason) => self.problems.push(unknown(&subject, auditor, &reason)),
        }
    }

    /// Adds an object of the cluster that was judged, with what was found on it.
    pub fn add_stored(&mut self, object: Object, findings: Vec<(Outcome, Finding)>) {
        self.counts.judged += 1;
        if !findings.is_empty() || self.judged.is_some() {
            self.add(object, None, findings);
        }
    }

    /// Counts an object that no rule is about.
    pub fn pass_over(&mut self) {
        self.counts.not_judged += 1;
    }

    /// Counts a list or a fact that was looked at.
    pub fn look(&mut self) {
        self.looked_at += 1;
    }

    /// Notes what could not be looked at.
    pub fn miss(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds what was found on an object.
    pub fn add(&mut self, object: Object, place: Option<Place>, findings: Vec<(Outcome, Finding)>) {
        if let Some(judged) = &mut self.judged {
            judged.insert(object.clone());
        }
        let object = Arc::new(object);
        for found in findings {
            let entry = self.entry(&object, place.clone(), found);
            self.findings.push(entry);
        }
    }

    /// An empty one that remembers what this one does.
    #[must_use]
    pub(super) fn like(&self) -> Collection {
        let empty = Collection::new(self.subject);
        if self.judged.is_some() { empty.remembering() } else { empty }
    }

    /// Adds another's findings after these.
    pub(super) fn append(&mut self, other: Collection) {
        self.counts = self.counts.with(&other.counts);
        self.looked_at += other.looked_at;
        self.findings.reserve(other.findings.len());
        for entry in other.findings {
            let entry = self.shared(entry);
            self.findings.push(entry);
        }
        self.problems.extend(other.problems);
        if let (Some(these), Some(those)) = (&mut self.judged, other.judged) {
            these.extend(those);
        }
    }

    /// Whether nothing was there to judge.
    pub fn is_empty(&self) -> bool {
        self.counts == Summary::default() && self.problems.is_empty()
    }

    /// The report, and the objects that it is about where they were remembered.
    pub fn report(self, policies: &PolicySet, now: Timestamp) -> (Report, HashSet<Object>) {
        let exceptions = exceptions(policies, &self.findings, now);
        let Collection { subject, counts, looked_at, findings, problems, judged, .. } = self;
        let found = Found { subject, objects: counts, looked_at, findings, exceptions, problems };
        (Report::new(found, |rule| about(rule, policies), now), judged.unwrap_or_default())
    }

    /// The same entry in texts that this collection has already.
    fn shared(&mut self, entry: Entry) -> Entry {
        Entry {
            rule: self.texts.one(&entry.rule),
            path: self.texts.one(&entry.path),
            value: self.texts.one(&entry.value),
            message: self.texts.one(&entry.message),
            remedy: self.remedy(entry.remedy.to_vec()),
            ..entry
        }
    }

    fn remedy(&mut self, steps: Vec<String>) -> Arc<[String]> {
        if let Some(known) = self.remedies.get(&steps) {
            return Arc::clone(known);
        }
        let new: Arc<[String]> = steps.as_slice().into();
        self.remedies.insert(steps, Arc::clone(&new));
        new
    }

    fn entry(&mut self, object: &Arc<Object>, place: Option<Place>, (outcome, finding): (Outcome, Finding)) -> Entry {
        let remedy = self.remedy(finding.remedy.iter().map(Edit::to_string).collect());
        Entry {
            place,
            object: Arc::clone(object),
            rule: self.texts.one(&finding.rule),
            severity: finding.severity,
            path: self.texts.one(&finding.path.to_string()),
            value: self.texts.one(&one_line(&finding.value, LONGEST)),
            message: self.texts.one(&one_line(&finding.message, LONGEST)),
            outcome,
            remedy,
            excepted: finding.excepted,
            since: None,
        }
    }
}

/// What nobody can judge.
pub(super) fn unknown(subject: &Subject, auditor: &Auditor<'_>, reason: &str) -> Problem {
    let message = format!("{}: {reason}", auditor.object(&subject.json));
    match &subject.place {
        Some(Place { file, document, line }) => {
            Problem { file: file.to_string(), document: Some(*document), line: Some(*line), message }
        }
        None => Problem::of_cluster(message),
    }
}

/// The exceptions of both profiles with their use. What becomes of images is not looked at here.
fn exceptions(policies: &PolicySet, findings: &[Entry], now: Timestamp) -> Vec<ExceptionUse> {
    let mut uses = Vec::new();
    for profile in policies.profiles() {
        for exception in &profile.exceptions {
            let told = exception.as_told();
            let covered = |entry: &&Entry| {
                *entry.rule == *exception.rule && entry.excepted.as_deref().is_some_and(|one| *one == *told)
            };
            let count = findings.iter().filter(covered).count();
            uses.push(ExceptionUse::new(&profile.name, &exception.rule, (*told).clone(), Some(count), now));
        }
        for exception in &profile.scan.exceptions {
            let ScanException { vulnerability, package, digest, owner, reason, expires } = exception;
            let covers: Vec<&str> =
                [vulnerability, package, digest].into_iter().flatten().map(String::as_str).collect();
            let told =
                Excepted { covers: covers.join(", "), owner: owner.clone(), reason: reason.clone(), expires: *expires };
            uses.push(ExceptionUse::new(&profile.name, "scan", told, None, now));
        }
    }
    uses
}

/// Of one text in a report, in characters: who writes objects decides how long the rest is.
const LONGEST: usize = 2000;
