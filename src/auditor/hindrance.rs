//! What stands in the way of an installation or of a new Kubernetes minor, judged from what a cluster holds.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::Problem;
use crate::isolation::{Foreign, foreign_refusal, judge_policy};
use crate::model::{FieldPath, Finding, Json, PodView, labels};
use crate::policy::{Mode, PolicySet};
use crate::rules::{Stage, pod_findings, unclassified_fields};

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
    /// Pods that are there already.
    Pods,
}

/// What a cluster holds, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) version: Option<Value>,
    pub(super) schema: Option<Value>,
    /// Texts of NetworkPolicyLists of guarded namespaces.
    pub(super) policies: Vec<String>,
    /// Texts of lists of other networks' policies, of guarded namespaces or of the cluster.
    pub(super) foreign: Vec<(&'static Foreign, String)>,
    /// Texts of PodLists.
    pub(super) pods: Vec<String>,
    pub(super) problems: Vec<Problem>,
}

impl Preflight {
    /// Judges what was read.
    pub(super) fn of(observed: Observed, policies: &PolicySet, now: Timestamp) -> Self {
        let mut found = Preflight {
            api_version: "flamewarden.dev/audit/v1alpha1",
            kind: "PreflightReport",
            version: version_text(observed.version.as_ref()),
            hindrances: Vec::new(),
            adopted: Vec::new(),
            problems: observed.problems,
        };
        found.judge_version(observed.version.as_ref());
        found.judge_schema(observed.schema.as_ref());
        for text in &observed.policies {
            found.each(text, |found, policy| {
                found.add_all(Check::NetworkPolicies, "NetworkPolicy", policy, judge_policy(policy, policies));
            });
        }
        for (kind, text) in &observed.foreign {
            found.each(text, |found, policy| {
                let name = format!("{}.{}", kind.resource, kind.group);
                found.add_all(Check::NetworkPolicies, &name, policy, foreign_refusal(kind, policy, policies));
            });
        }
        for text in &observed.pods {
            found.each(text, |found, pod| found.judge_pod(pod, policies, now));
        }
        found
    }

    /// 0: nothing stands in the way; 1: something does; 3: something could not be read, so nobody knows.
    pub fn exit_code(&self) -> u8 {
        match (self.problems.is_empty(), self.hindrances.is_empty()) {
            (false, _) => 3,
            (true, true) => 0,
            (true, false) => 1,
        }
    }

    fn judge_version(&mut self, version: Option<&Value>) {
        let Some(version) = version else { return };
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

    fn judge_schema(&mut self, schema: Option<&Value>) {
        let Some(schema) = schema else { return };
        match unclassified_fields(schema) {
            Some(fields) => {
                for field in fields {
                    let message = "this field of pods is not classified; guarded pods that set it are refused";
                    self.add(Check::PodFields, field, message.to_owned());
                }
            }
            None => self.problem("the published schema of core/v1 has no PodSpec".to_owned()),
        }
    }

    fn judge_pod(&mut self, pod: &Json<'_>, policies: &PolicySet, now: Timestamp) {
        let view = PodView::new(pod, FieldPath::default());
        let Some(profile) = policies.profile_of(&view) else { return };
        if policies.tenancy(pod.text_at(&["metadata", "namespace"]).unwrap_or_default()).is_none() {
            let message = "it bears a guarded label in a namespace that is not guarded; nothing contains it";
            return self.add(Check::Pods, title("Pod", pod), message.to_owned());
        }
        let app = view.label(labels::APP).unwrap_or_default();
        let mut findings = pod_findings(&view, profile, Stage::Stored);
        findings.retain(|finding| {
            profile.mode(&finding.rule) == Mode::Enforce && profile.exception(&finding.rule, app, now).is_none()
        });
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

    fn problem(&mut self, message: String) {
        self.problems.push(cluster_problem(message));
    }

    fn each(&mut self, list: &str, mut judge: impl FnMut(&mut Self, &Json<'_>)) {
        match crate::model::parse(list.as_bytes()) {
            Ok(list) if matches!(list.get("items"), Some(Json::Array(_)) | None) => {
                for object in list.get("items").map_or(&[][..], Json::items) {
                    judge(self, object);
                }
            }
            Ok(_) => self.problem("a list's `items` are no list".to_owned()),
            Err(problem) => self.problem(problem.to_string()),
        }
    }
}

/// A problem with the cluster rather than with a file.
pub(super) fn cluster_problem(message: String) -> Problem {
    Problem { file: "cluster".to_owned(), document: None, line: None, message }
}

fn version_text(version: Option<&Value>) -> String {
    version.and_then(|version| version.get("gitVersion")?.as_str()).unwrap_or("unknown").to_owned()
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
            let version = json!({"major": major, "minor": minor, "gitVersion": "v"});
            let policies = PolicySet::parse([
                ("a", include_str!("../../policies/flame-analysis.yaml")),
                ("g", include_str!("../../policies/flame-gateway.yaml")),
                ("i", include_str!("../../tests/fixtures/installation.yaml")),
            ])
            .unwrap();
            let observed = Observed { version: Some(version), ..Observed::default() };
            let found = Preflight::of(observed, &policies, Timestamp::UNIX_EPOCH);
            let checks: Vec<Check> = found.hindrances.iter().map(|it| it.check).collect();
            assert_eq!(checks, vec![Check::Version; wanted], "{major}.{minor}");
        }
    }
}
