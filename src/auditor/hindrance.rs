//! What stands in the way of an installation or of a new Kubernetes minor, judged from what a cluster holds.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::isolation::{Foreign, foreign_refusal, judge_policy};
use crate::model::{FieldPath, Finding, Json, PodView, parse};
use crate::policy::PolicySet;
use crate::report::{API_VERSION, Problem};
use crate::rules::{ScanKnowledge, stored_pod_refusals, unclassified_fields};

/// The answer of `audit --preflight`. Serialises as `flamewarden.dev/audit/v1alpha1`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preflight {
    api_version: &'static str,
    kind: &'static str,
    /// The API server's version as it says it.
    pub version: String,
    /// What stands in the way.
    pub hindrances: Vec<Hindrance>,
    /// Guarded pods that conform and would be adopted: namespace and name.
    pub adopted: Vec<String>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// One thing that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hindrance {
    /// What was looked at.
    pub check: Check,
    /// The object, or the API server's own field or version.
    pub object: String,
    /// Why.
    pub message: String,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The API server's version.
    Version,
    /// The fields of pods that it publishes.
    PodFields,
    /// Network policies of every kind that are there already.
    NetworkPolicies,
    /// Guarded namespaces.
    Namespaces,
    /// Pods that are there already.
    Pods,
}

impl Preflight {
    /// Nothing looked at yet.
    pub(super) fn new() -> Self {
        Preflight {
            api_version: API_VERSION,
            kind: "PreflightReport",
            version: "unknown".to_owned(),
            hindrances: Vec::new(),
            adopted: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Judges what the API server says of its version.
    pub(super) fn judge_version(&mut self, version: &Value) {
        if let Some(text) = version.get("gitVersion").and_then(Value::as_str) {
            text.clone_into(&mut self.version);
        }
        let number = |key: &str| {
            let text = version.get(key).and_then(Value::as_str)?;
            // Some distributions write `31+`.
            text.trim_end_matches('+').parse::<u32>().ok()
        };
        if number("major") != Some(1) || !number("minor").is_some_and(|minor| MINORS.contains(&minor)) {
            let message = format!("tried with 1.{} to 1.{} only", MINORS.start(), MINORS.end());
            self.add(Check::Version, format!("Kubernetes {}", self.version), message);
        }
    }

    /// Judges the schema of core/v1 that the API server publishes.
    pub(super) fn judge_schema(&mut self, schema: &Value) {
        let Some(fields) = unclassified_fields(schema) else {
            return self.problem("the published schema of core/v1 has no PodSpec".to_owned());
        };
        for field in fields {
            let message = "this field of pods is not classified; guarded pods that set it are refused";
            self.add(Check::PodFields, field, message.to_owned());
        }
    }

    /// Tells of a guarded namespace that there is none of.
    pub(super) fn miss_namespace(&mut self, name: &str) {
        let message = "it does not exist; create it before the installation, whose roles belong in it";
        self.add(Check::Namespaces, format!("Namespace {name}"), message.to_owned());
    }

    /// Judges the text of a NetworkPolicy of a guarded namespace.
    pub(super) fn judge_policy(&mut self, text: &[u8], policies: &PolicySet) {
        self.read(text, |found, policy| {
            found.add_all(Check::NetworkPolicies, "NetworkPolicy", policy, judge_policy(policy, policies));
        });
    }

    /// Judges the text of another network's policy, of a guarded namespace or of the cluster.
    pub(super) fn judge_foreign(&mut self, kind: &Foreign, text: &[u8], policies: &PolicySet) {
        self.read(text, |found, policy| {
            let name = format!("{}.{}", kind.resource, kind.group);
            found.add_all(Check::NetworkPolicies, &name, policy, foreign_refusal(kind, policy, policies));
        });
    }

    /// Judges the text of a pod of any namespace.
    pub(super) fn judge_pod(&mut self, text: &[u8], policies: &PolicySet, now: Timestamp) {
        self.read(text, |found, pod| found.judge_read_pod(pod, policies, now));
    }

    /// 0: nothing stands in the way; 3: something does; 6: something could not be read, so nobody knows.
    pub fn exit_code(&self) -> u8 {
        match (self.hindrances.is_empty(), self.problems.is_empty()) {
            (false, _) => 3,
            (true, false) => 6,
            (true, true) => 0,
        }
    }

    fn judge_read_pod(&mut self, pod: &Json<'_>, policies: &PolicySet, now: Timestamp) {
        let view = PodView::new(pod, FieldPath::default());
        if policies.profile_of(&view).is_none() {
            return;
        }
        if policies.tenancy(pod.text_at(&["metadata", "namespace"]).unwrap_or_default()).is_none() {
            let message = "it bears a guarded label in a namespace that is not guarded; nothing contains it";
            return self.add(Check::Pods, title("Pod", pod), message.to_owned());
        }
        let findings =
            stored_pod_refusals(&view, policies, |policies| policies.profile_of(&view), ScanKnowledge::OutOfReach, now);
        match findings.is_empty() {
            true => self.adopted.push(place(pod)),
            false => self.add_all(Check::Pods, "Pod", pod, findings),
        }
    }

    fn add_all(&mut self, check: Check, kind: &str, object: &Json<'_>, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            self.add(check, title(kind, object), finding.to_string());
        }
    }

    fn add(&mut self, check: Check, object: String, message: String) {
        self.hindrances.push(Hindrance { check, object, message });
    }

    /// Adds what could not be read.
    pub(super) fn problem(&mut self, message: String) {
        self.problems.push(Problem::of_cluster(message));
    }

    fn read(&mut self, text: &[u8], judge: impl FnOnce(&mut Self, &Json<'_>)) {
        match parse(text) {
            Ok(object) => judge(self, &object),
            Err(problem) => self.problem(problem.to_string()),
        }
    }
}

fn title(kind: &str, object: &Json<'_>) -> String {
    format!("{kind} {}", place(object))
}

fn place(object: &Json<'_>) -> String {
    let name = object.text_at(&["metadata", "name"]).unwrap_or("(no name)");
    match object.text_at(&["metadata", "namespace"]) {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

/// The minors of Kubernetes whose schemas the classification of fields was held against.
const MINORS: std::ops::RangeInclusive<u32> = 30..=37;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_outside_of_what_was_tried_are_named() {
        for (major, minor, wanted) in
            [("1", "30", 0), ("1", "37+", 0), ("1", "29", 1), ("1", "38", 1), ("2", "30", 1), ("1", "x", 1)]
        {
            let mut found = Preflight::new();
            found.judge_version(&json!({"major": major, "minor": minor, "gitVersion": "v"}));
            let checks: Vec<Check> = found.hindrances.iter().map(|it| it.check).collect();
            assert_eq!(checks, vec![Check::Version; wanted], "{major}.{minor}");
        }
    }
}
