//! Collects what the judge says of one object after the other, and makes a report of it.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::about::about;
use super::examine::{Auditor, Standing};
use super::subject::Subject;
use crate::model::{Digest, Edit, Excepted, Finding, one_line, parse};
use crate::policy::{AuditException, PolicySet, ScanException};
use crate::report::{
    self, Entry, ExceptionUse, Found, Interner, Object, Outcome, Place, Problem, Report, Summary, Told,
};

/// What was found so far. It grows by what is found, not by what is looked at.
#[derive(Debug)]
pub struct Collection {
    subject: report::Subject,
    counts: Summary,
    looked_at: usize,
    findings: Vec<Entry>,
    problems: Vec<Problem>,
    told: Interner,
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
            told: Interner::default(),
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
        let object = match parse(subject.json.as_bytes()) {
            Ok(object) => object,
            Err(problem) => return self.problems.push(unknown(&subject, auditor, &problem.to_string())),
        };
        match auditor.standing_of(&object) {
            Standing::Judged(verdict) => {
                self.counts.judged += 1;
                if verdict.findings.is_empty() && self.judged.is_none() {
                    return;
                }
                self.add(auditor.object_of(&object), subject.place, verdict.findings);
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
        let mut findings = findings;
        if findings.len() > OF_ONE {
            findings.sort_by_key(|(_, finding)| Reverse(finding.severity));
            let beyond = findings.len() - OF_ONE;
            findings.truncate(OF_ONE);
            self.miss(Problem::of_cluster(format!("{object}: {beyond} more findings are not told")));
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
            self.findings.push(Entry { told: self.told.one(entry.told), ..entry });
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
        let Collection { subject, counts, looked_at, mut findings, problems, judged, .. } = self;
        except(policies, &mut findings, now);
        let exceptions = exceptions(policies, &findings, now);
        let found = Found { subject, objects: counts, looked_at, findings, exceptions, problems };
        (Report::new(found, |rule| about(rule, policies), now), judged.unwrap_or_default())
    }

    fn entry(&mut self, object: &Arc<Object>, place: Option<Place>, (outcome, finding): (Outcome, Finding)) -> Entry {
        let told = Told {
            rule: finding.rule.as_ref().into(),
            severity: finding.severity,
            path: finding.path.to_string().into(),
            value: value(&finding.value).into(),
            message: one_line(&finding.message, LONGEST).into(),
            remedy: finding.remedy.iter().map(Edit::to_string).collect(),
        };
        Entry {
            place,
            object: Arc::clone(object),
            told: self.told.one(told.into()),
            outcome,
            excepted: finding.excepted,
            since: None,
        }
    }
}

/// What stands there, in one line. What is too long keeps its beginning and a hash of the whole, by which it is told from
/// every other.
fn value(text: &str) -> String {
    let line = one_line(text, LONGEST);
    // No character of fewer bytes is cut.
    if text.len() <= LONGEST || !line.ends_with('…') {
        return line;
    }
    format!("{} ({} bytes, {})", one_line(text, LONGEST - HASHED), text.len(), Digest::of(text.as_bytes()))
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

/// Lets stand what an exception of the Auditor is for.
fn except(policies: &PolicySet, findings: &mut [Entry], now: Timestamp) {
    let told: Vec<(&AuditException, Arc<Excepted>)> =
        policies.auditor.exceptions.iter().filter(|one| now < one.expires).map(|one| (one, one.as_told())).collect();
    for entry in findings.iter_mut().filter(|entry| entry.outcome == Outcome::Violated) {
        if let Some((_, told)) = told.iter().find(|(exception, _)| is_for(exception, entry)) {
            entry.outcome = Outcome::Reported;
            entry.excepted = Some(Arc::clone(told));
        }
    }
}

fn is_for(exception: &AuditException, entry: &Entry) -> bool {
    let AuditException { rule, kind, namespace, name, value, .. } = exception;
    let object = &entry.object;
    *rule == *entry.rule
        && *kind == object.kind
        && *namespace == object.namespace
        && name.fits(&object.name)
        && value.as_ref().is_none_or(|value| value.fits(&entry.value))
}

/// The exceptions of the Auditor and of both profiles with their use. What becomes of images is not looked at here.
fn exceptions(policies: &PolicySet, findings: &[Entry], now: Timestamp) -> Vec<ExceptionUse> {
    let mut uses = Vec::new();
    let lets_stand = |told: &Excepted, rule: &str| {
        let covered = |entry: &&Entry| *entry.rule == *rule && entry.excepted.as_deref() == Some(told);
        findings.iter().filter(covered).count()
    };
    for exception in &policies.auditor.exceptions {
        let told = exception.as_told();
        let count = lets_stand(&told, &exception.rule);
        uses.push(ExceptionUse::new("Auditor", &exception.rule, (*told).clone(), Some(count), now));
    }
    for profile in policies.profiles() {
        for exception in &profile.exceptions {
            let told = exception.as_told();
            let count = lets_stand(&told, &exception.rule);
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

/// Findings of one object: whoever writes it does not decide how large a report is.
const OF_ONE: usize = 1000;
/// Of one text in a report, in characters: who writes objects decides how long the rest is.
const LONGEST: usize = 2000;
/// Room for a length and a hash.
const HASHED: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auditor::rules::{INSTALLED, WAY_ROUND};
    use crate::model::FieldPath;
    use crate::report::ExceptionState;

    const EXCEPTIONS: &str = "\
apiVersion: flamewarden.dev/v1alpha1
kind: Auditor
spec:
  exceptions:
    - {rule: way-round, kind: ClusterRoleBinding, name: prom.*, value: '.*: nodes/proxy', owner: ops, reason: metrics, expires: 2026-12-01T00:00:00Z}
    - {rule: installed, kind: Service, namespace: flamewarden-system, name: flamewarden-webhook, owner: ops, reason: gitops, expires: 2026-12-02T00:00:00Z}
    - {rule: installed, kind: Namespace, name: x, owner: ops, reason: none, expires: 2026-12-02T00:00:00Z}
";

    #[test]
    fn long_values_are_told_apart_by_their_ends() {
        let text = |end: &str| value(&("x".repeat(3000) + end));
        let (first, second) = (text("a"), text("b"));
        assert_ne!(first, second);
        assert!(first.starts_with("xxx") && first.contains("… (3001 bytes, sha256:"), "{first}");
        assert!(first.chars().count() <= LONGEST, "{}", first.chars().count());
        for short in ["", "a\nb", &"é".repeat(LONGEST)] {
            assert_eq!(value(short), one_line(short, LONGEST));
        }
    }

    #[test]
    fn what_is_excepted_stands_until_the_exception_ends_and_nothing_beside_it_does() {
        let policies = PolicySet::parse([
            ("a", include_str!("../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../tests/fixtures/installation.yaml")),
            ("o", EXCEPTIONS),
        ])
        .unwrap();
        let found = |now: &str| {
            let mut collection = Collection::new(report::Subject::Cluster);
            let mut add = |kind: &str, namespace: &str, name: &str, rule: &crate::rules::RequestRule, value: &str| {
                let object = Object {
                    kind: kind.to_owned(),
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    ..Object::default()
                };
                let finding =
                    Finding { value: value.to_owned(), ..rule.finds(FieldPath::of(&["subjects"]), None, "why") };
                collection.add_stored(object, vec![(Outcome::Violated, finding)]);
            };
            add("ClusterRoleBinding", "", "prometheus", &WAY_ROUND, "User `p`: nodes/proxy");
            add("ClusterRoleBinding", "", "prometheus", &WAY_ROUND, "User `p`: escalate");
            add("ClusterRoleBinding", "", "other", &WAY_ROUND, "User `p`: nodes/proxy");
            add("RoleBinding", "flame", "prometheus", &WAY_ROUND, "User `p`: nodes/proxy");
            add("Service", "flamewarden-system", "flamewarden-webhook", &INSTALLED, "x");
            add("Service", "flame", "flamewarden-webhook", &INSTALLED, "x");
            let (report, _) = collection.report(&policies, now.parse().unwrap());
            let stands = report.findings.iter().map(|entry| entry.excepted.is_some()).collect::<Vec<_>>();
            let fails = report.failing().count();
            (stands, fails, report.exceptions.iter().map(|one| (one.state, one.findings)).collect::<Vec<_>>())
        };
        let (stands, fails, uses) = found("2026-11-30T00:00:00Z");
        assert_eq!((stands, fails), (vec![true, false, false, false, true, false], 4));
        assert_eq!(uses, [(ExceptionState::Used, 1), (ExceptionState::Used, 1), (ExceptionState::Unused, 0)]);
        let (stands, fails, uses) = found("2026-12-01T00:00:00Z");
        assert_eq!((stands, fails), (vec![false, false, false, false, true, false], 5));
        assert_eq!(uses, [(ExceptionState::Expired, 0), (ExceptionState::Used, 1), (ExceptionState::Unused, 0)]);
    }
}
