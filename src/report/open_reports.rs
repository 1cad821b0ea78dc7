//! The report as objects of a cluster: of OpenReports (`openreports.io/v1alpha1`), or of the API that it comes from
//! (`wgpolicyk8s.io/v1alpha2`). One for each object with findings, which is its owner, so that it goes with it; and one of
//! the whole cluster for what has no object or could not be looked at.
//!
//! Fields and their values: the definitions in `openreports/reports-api` 0.2.1. What they leave open is done as Kyverno and
//! Kubewarden do it: the object's uid is the name, and results say which of them are there.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Entry, Object, Outcome, Problem, Report, Subject};
use crate::model::{Severity, one_line};

/// Which API the objects are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `openreports.io/v1alpha1`: `Report` and `ClusterReport`.
    OpenReports,
    /// `wgpolicyk8s.io/v1alpha2`: `PolicyReport` and `ClusterPolicyReport`.
    PolicyReports,
}

/// One object to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// Empty where it is of the whole cluster.
    pub namespace: String,
    /// Its name, and the one that it has where another's object has that.
    pub names: [String; 2],
    /// The object, without a name.
    body: Value,
}

impl Dialect {
    /// `apiVersion` of the objects.
    pub fn api_version(self) -> &'static str {
        match self {
            Dialect::OpenReports => "openreports.io/v1alpha1",
            Dialect::PolicyReports => "wgpolicyk8s.io/v1alpha2",
        }
    }

    fn kind(self, is_namespaced: bool) -> &'static str {
        match (self, is_namespaced) {
            (Dialect::OpenReports, true) => "Report",
            (Dialect::OpenReports, false) => "ClusterReport",
            (Dialect::PolicyReports, true) => "PolicyReport",
            (Dialect::PolicyReports, false) => "ClusterPolicyReport",
        }
    }
}

impl Publication {
    /// The object under one of its names.
    pub fn named(&self, name: &str) -> Value {
        let mut object = self.body.clone();
        if let Some(metadata) = object.get_mut("metadata") {
            put(metadata, "name", name);
        }
        object
    }

    /// The same in the place of the version that is stored.
    pub fn after(&self, name: &str, version: &str) -> Value {
        let mut object = self.named(name);
        if let Some(metadata) = object.get_mut("metadata") {
            put(metadata, "resourceVersion", version);
        }
        object
    }
}

/// All objects that a report is published as. What admission mends is left out: nothing is to be done about it.
pub fn publications(report: &Report, dialect: Dialect) -> Vec<Publication> {
    let mut by_object: BTreeMap<&Object, Vec<&Entry>> = BTreeMap::new();
    for entry in report.findings.iter().filter(|entry| entry.outcome != Outcome::Mended) {
        by_object.entry(&entry.object).or_default().push(entry);
    }
    let mut publications = Vec::new();
    let mut whole = Vec::new();
    for (object, entries) in by_object {
        let results = entries.into_iter().map(|entry| Told::of(report, entry));
        // What is no object of the cluster can own nothing there.
        if report.subject == Subject::Cluster && object.uid.is_empty() {
            whole.extend(results.map(|result| result.about(object)));
        } else {
            publications.push(publication(dialect, Some(object), results.collect()));
        }
    }
    whole.extend(report.problems.iter().map(|problem| Told::unread(report, problem)));
    if !whole.is_empty() {
        publications.push(publication(dialect, None, whole));
    }
    publications
}

/// The objects as one list that `kubectl apply` takes.
pub(super) fn list(report: &Report, dialect: Dialect) -> Result<String, serde_json::Error> {
    let named = |publication: Publication| publication.named(&publication.names[0]);
    let items: Vec<Value> = publications(report, dialect).into_iter().map(named).collect();
    Ok(serde_json::to_string_pretty(&json!({"apiVersion": "v1", "kind": "List", "items": items}))? + "\n")
}

/// One result in the words of these APIs, and what it is sorted by.
struct Told {
    word: &'static str,
    severity: Severity,
    members: Value,
}

impl Told {
    fn of(report: &Report, entry: &Entry) -> Self {
        let word = match entry.outcome {
            Outcome::Violated | Outcome::Refused => "fail",
            Outcome::Reported if entry.excepted.is_some() => "skip",
            Outcome::Warning | Outcome::Reported | Outcome::Mended => "warn",
        };
        let excepted = entry.excepted.as_ref();
        let exception = excepted.map(|one| format!("{} until {}: {}", one.owner, one.expires, one.reason));
        let controls = report.about(&entry.rule).map(|about| about.controls.join("; "));
        let place = entry.place.as_ref().map(|place| format!("{}:{}", place.file, place.line));
        let properties = [
            ("path", Some(entry.path.to_string())),
            // Whoever sees reports need not be one who sees the objects.
            ("value", (report.subject == Subject::Files).then(|| entry.value.to_string())),
            ("controls", controls),
            ("remedy", Some(entry.remedy_line())),
            ("exception", exception),
            ("place", place),
            ("fingerprint", Some(entry.fingerprint().as_str().to_owned())),
        ];
        let told = properties.into_iter().filter_map(|(name, text)| Some((name, shown(&text?))));
        let properties: Map<String, Value> =
            told.filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), text.into())).collect();
        let mut result = Told::new(report, &entry.rule, word, entry.severity);
        put(&mut result.members, "message", shown(&format!("{}: {}", entry.path, entry.message)));
        put(&mut result.members, "properties", properties);
        result
    }

    /// What nobody knows, which is not green.
    fn unread(report: &Report, problem: &Problem) -> Self {
        let mut result = Told::new(report, "coverage", "error", Severity::High);
        put(&mut result.members, "message", shown(&format!("{}: {}", problem.place(), problem.message)));
        result
    }

    fn new(report: &Report, rule: &str, word: &'static str, severity: Severity) -> Self {
        let members = json!({
            "policy": shown(rule),
            "category": "Containment",
            "source": SOURCE,
            "result": word,
            "severity": severity.word(),
            // What only warns is no part of a score.
            "scored": word == "fail",
            "timestamp": {"seconds": report.made.as_second(), "nanos": 0},
        });
        Told { word, severity, members }
    }

    fn about(mut self, object: &Object) -> Self {
        put(&mut self.members, "resources", json!([reference(object)]));
        self
    }
}

fn publication(dialect: Dialect, object: Option<&Object>, mut results: Vec<Told>) -> Publication {
    results.sort_by_key(|result| {
        (FILTER.iter().position(|word| *word == result.word), std::cmp::Reverse(result.severity))
    });
    let namespace = object.map(|object| object.namespace.clone()).unwrap_or_default();
    let name = object.map_or(WHOLE.to_owned(), name);
    let mut metadata = json!({"labels": {MANAGED_BY: SOURCE}});
    if !namespace.is_empty() {
        put(&mut metadata, "namespace", namespace.as_str());
    }
    if let Some(object) = object.filter(|object| !object.uid.is_empty()) {
        let Object { api_version, kind, name, uid, .. } = object;
        let owner = json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid});
        put(&mut metadata, "ownerReferences", json!([owner]));
    }
    let (version, kind) = (dialect.api_version(), dialect.kind(!namespace.is_empty()));
    let mut body = json!({"apiVersion": version, "kind": kind, "summary": summary(&results)});
    if let Some(object) = object {
        put(&mut body, "scope", reference(object));
    }
    let mut limits = json!({"statusFilter": FILTER});
    if dialect == Dialect::OpenReports {
        put(&mut body, "source", SOURCE);
    }
    let others = body.to_string().len() + metadata.to_string().len();
    let all = results.len();
    let results = cut(results, LARGEST.saturating_sub(others + ROOM));
    if results.len() < all {
        put(&mut limits, "maxResults", results.len());
        put(&mut metadata, "annotations", json!({LEFT_OUT: (all - results.len()).to_string()}));
    }
    if dialect == Dialect::OpenReports {
        put(&mut body, "configuration", json!({"limits": limits}));
    }
    put(&mut body, "metadata", metadata);
    put(&mut body, "results", results);
    Publication { namespace, names: [name.clone(), format!("{name}-{SOURCE}")], body }
}

/// Sets a member of an object.
fn put(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value.into());
    }
}

/// The worst results, as many as fit.
fn cut(results: Vec<Told>, most: usize) -> Vec<Value> {
    let mut taken = 0;
    let fits = |members: &Value| {
        taken += members.to_string().len() + 1;
        taken <= most
    };
    results.into_iter().map(|result| result.members).take_while(fits).collect()
}

/// Counts of all results, of those that do not fit too.
fn summary(results: &[Told]) -> Value {
    let words = ["pass"].into_iter().chain(FILTER);
    let count = |word: &str| results.iter().filter(|result| result.word == word).count();
    words.map(|word| (word.to_owned(), Value::from(count(word)))).collect::<Map<_, _>>().into()
}

fn reference(object: &Object) -> Value {
    let Object { api_version, kind, namespace, name, uid } = object;
    let members = [("apiVersion", api_version), ("kind", kind), ("namespace", namespace), ("name", name), ("uid", uid)];
    let told = members.into_iter().filter(|(_, text)| !text.is_empty());
    told.map(|(key, text)| (key.to_owned(), Value::from(shown(text)))).collect::<Map<_, _>>().into()
}

/// The uid; of an object of a file a hash of what names it.
fn name(object: &Object) -> String {
    if !object.uid.is_empty() {
        return object.uid.clone();
    }
    let mut hash = Sha256::new();
    for part in [object.group(), &object.kind, &object.namespace, &object.name] {
        // Lengths keep one part's end from being another's beginning.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let digits: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{SOURCE}-{digits}")
}

fn shown(text: &str) -> String {
    one_line(text, LONGEST)
}

/// The label by which consumers, and we, know whose an object is.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// What stands there.
pub const SOURCE: &str = "flamewarden";
/// How many results did not fit.
pub const LEFT_OUT: &str = "flamewarden.dev/results-left-out";
/// The name of the object of the whole cluster.
const WHOLE: &str = "flamewarden-audit";
/// The results that are written, the first first.
const FILTER: [&str; 4] = ["fail", "error", "warn", "skip"];
/// Of an object, in bytes of JSON: many of them lie in one etcd.
const LARGEST: usize = 256 << 10;
/// What is added after the results were counted.
const ROOM: usize = 1 << 10;
/// Of a text, in characters.
const LONGEST: usize = 1000;

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::report::{Found, RuleAbout, Summary, Told};

    /// A report of a cluster with these findings on one pod.
    fn report(findings: Vec<(Outcome, Severity, String)>, uid: &str) -> Report {
        let text = str::to_owned;
        let (namespace, name) = (text("flame"), text("x"));
        let object = Object { api_version: text("v1"), kind: text("Pod"), namespace, name, uid: text(uid) };
        let object = std::sync::Arc::new(object);
        let entry = |(outcome, severity, message): (Outcome, Severity, String)| Entry {
            place: None,
            object: std::sync::Arc::clone(&object),
            outcome,
            excepted: None,
            since: None,
            told: Told {
                rule: "privileged".into(),
                severity,
                path: "spec".into(),
                value: "true".into(),
                message: message.into(),
                remedy: [].into(),
            }
            .into(),
        };
        let found = Found {
            subject: Subject::Cluster,
            objects: Summary::default(),
            looked_at: 0,
            findings: findings.into_iter().map(entry).collect(),
            exceptions: Vec::new(),
            problems: Vec::new(),
        };
        let about = |rule: &str| RuleAbout::new(rule, "title", "", Severity::High, &[]);
        Report::new(found, about, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn an_object_is_never_larger_than_its_bound_and_keeps_the_worst() {
        let worst = (Outcome::Violated, Severity::Critical, "the worst".to_owned());
        for (long, many) in [("\u{1f512}".repeat(5000), 200), ("\"\\".repeat(500), 2000), ("x".to_owned(), 9000)] {
            let mut findings = vec![(Outcome::Warning, Severity::High, long); many];
            findings.push(worst.clone());
            let report = report(findings, "u");
            for dialect in [Dialect::OpenReports, Dialect::PolicyReports] {
                let [publication] = publications(&report, dialect).try_into().unwrap();
                let object = publication.named(&publication.names[1]);
                let (size, kept) = (object.to_string().len(), object["results"].as_array().unwrap().len());
                assert!(size <= LARGEST && size > LARGEST - 20_000, "{size}");
                assert_eq!(object["results"][0]["message"], "spec: the worst");
                assert_eq!(object["summary"], json!({"pass": 0, "fail": 1, "error": 0, "warn": many, "skip": 0}));
                assert_eq!(object["metadata"]["annotations"][LEFT_OUT], (many + 1 - kept).to_string());
                let most = &object["configuration"]["limits"]["maxResults"];
                assert_eq!(*most, if dialect == Dialect::OpenReports { json!(kept) } else { Value::Null });
            }
        }
    }

    #[test]
    fn what_has_no_object_stands_in_the_one_of_the_whole_cluster() {
        let fails = vec![(Outcome::Violated, Severity::High, "m".to_owned())];
        let [publication] = publications(&report(fails.clone(), ""), Dialect::OpenReports).try_into().unwrap();
        let object = publication.named(&publication.names[0]);
        assert_eq!((&object["kind"], &object["metadata"]["name"]), (&json!("ClusterReport"), &json!(WHOLE)));
        assert_eq!(object["results"][0]["resources"][0]["name"], "x");
        assert_eq!((&object["scope"], &object["metadata"]["ownerReferences"]), (&Value::Null, &Value::Null));
        // Of a file's object there is a report all the same, by another name.
        let files = Report { subject: Subject::Files, ..report(fails, "") };
        let [publication] = publications(&files, Dialect::OpenReports).try_into().unwrap();
        assert_eq!(publication.namespace, "flame");
        assert!(publication.names[0].starts_with("flamewarden-") && publication.names[0] != WHOLE);
    }

    #[test]
    fn what_is_mended_or_holds_has_no_object() {
        let mended = vec![(Outcome::Mended, Severity::High, "m".to_owned())];
        assert_eq!(publications(&report(mended, "u"), Dialect::OpenReports), []);
    }
}
