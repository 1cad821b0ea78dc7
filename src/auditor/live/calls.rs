//! What the API server's audit log tells: calls round admission, each once, however often it was made.
//!
//! The log has one event of `audit.k8s.io/v1` on each line, as `--audit-log-path` of kube-apiserver writes it. What it
//! holds depends on the cluster's audit policy: calls that no rule of it records are not there to be found.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use jiff::Timestamp;
use serde::Deserialize;

use super::access::Trusted;
use super::grant::{Call, Way};
use super::ways::WAYS;
use crate::auditor::rules::WENT_ROUND;
use crate::model::{FieldPath, Finding};
use crate::report::Object;

/// What a log tells.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    seen: BTreeMap<Done, Times>,
    /// Lines that are no events, the first of them with its number and why.
    pub(crate) unread: Vec<(u64, String)>,
    /// How many there are in all.
    pub(crate) unread_lines: u64,
    /// Calls beyond those that are told.
    pub(crate) left_out: u64,
    /// Events that were read.
    pub(crate) events: u64,
}

/// A call, whenever it was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Done {
    way: &'static str,
    user: String,
    verb: String,
    resource: String,
    api_version: String,
    namespace: String,
    name: String,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    count: u64,
    last: Option<Timestamp>,
    way: &'static Way,
}

/// The members of an event that count.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    user: User,
    #[serde(default)]
    impersonated_user: Option<User>,
    #[serde(default)]
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    response_status: Option<Status>,
    #[serde(default)]
    stage_timestamp: Option<Timestamp>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    api_group: String,
    api_version: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl Calls {
    /// Reads a log to its end.
    ///
    /// # Errors
    /// It cannot be read further; what was read counts.
    pub(crate) fn read(&mut self, log: impl Read, trusted: &Trusted<'_>) -> io::Result<()> {
        let mut log = io::BufReader::new(log);
        let (mut line, mut number) = (Vec::new(), 0);
        loop {
            line.clear();
            let most = u64::try_from(LONGEST).unwrap_or(u64::MAX);
            if log.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            number += 1;
            if line.len() == LONGEST && !line.ends_with(b"\n") {
                log.skip_until(b'\n')?;
                self.miss(number, format!("it has {LONGEST} bytes or more"));
                continue;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(event) => self.take(&event, trusted),
                Err(problem) => self.miss(number, format!("it is no event of audit.k8s.io/v1: {problem}")),
            }
        }
    }

    fn miss(&mut self, number: u64, why: String) {
        self.unread_lines += 1;
        if self.unread.len() < FEW {
            self.unread.push((number, why));
        }
    }

    fn take(&mut self, event: &Event, trusted: &Trusted<'_>) {
        self.events += 1;
        // What was refused, by whomever, has not been done. Of a call that goes on for long, the response has started.
        let was_done = event.response_status.as_ref().is_some_and(|status| (100..400).contains(&status.code));
        if !matches!(event.stage.as_str(), "ResponseComplete" | "ResponseStarted") || !was_done {
            return;
        }
        let Some(object) = &event.object_ref else { return };
        let resource = match object.subresource.as_str() {
            "" => object.resource.clone(),
            sub => format!("{}/{sub}", object.resource),
        };
        let call =
            Call { group: &object.api_group, resource: &resource, verb: &event.verb, namespace: &object.namespace };
        let groups: Vec<&str> = event.user.groups.iter().map(String::as_str).collect();
        let gone = WAYS.iter().filter(|way| way.is_gone_by(&call, trusted));
        let gone = gone.filter(|way| !trusted.may_have(&event.user.username, &groups, way));
        let as_another = event.impersonated_user.is_some().then(|| WAYS.iter().find(|way| way.id == IMPERSONATE));
        let as_another = as_another
            .flatten()
            // What is of no namespace may be an image's verdict, or a right.
            .filter(|_| object.namespace.is_empty() || trusted.guards(&object.namespace))
            .filter(|way| !trusted.may_have(&event.user.username, &groups, way));
        for way in gone.chain(as_another) {
            self.add(way, event, object, resource.clone());
        }
    }

    fn add(&mut self, way: &'static Way, event: &Event, object: &ObjectRef, resource: String) {
        let version = if object.api_version.is_empty() { "v1" } else { &object.api_version };
        let group = if object.api_group.is_empty() { String::new() } else { format!("{}/", object.api_group) };
        let done = Done {
            way: way.id,
            user: event.user.username.clone(),
            verb: event.verb.clone(),
            resource,
            api_version: format!("{group}{version}"),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        };
        if self.seen.len() >= MOST && !self.seen.contains_key(&done) {
            self.left_out += 1;
            return;
        }
        let times = self.seen.entry(done).or_insert(Times { count: 0, last: None, way });
        // A call that goes on for long has two events, and at the log's end one of them.
        times.count += u64::from(event.stage == "ResponseComplete");
        times.last = times.last.max(event.stage_timestamp);
    }

    /// Each call as a finding on what it was about.
    pub(crate) fn found(&self) -> Vec<(Object, Finding)> {
        self.seen.iter().map(|(done, times)| finding(done, *times)).collect()
    }
}

fn finding(done: &Done, times: Times) -> (Object, Finding) {
    let Done { user, verb, resource, api_version, namespace, name, way } = done;
    let object = Object {
        api_version: api_version.clone(),
        kind: kind(resource),
        namespace: namespace.clone(),
        name: if name.is_empty() { "*".to_owned() } else { name.clone() },
        uid: String::new(),
    };
    let last = times.last.map(|last| format!(", last at {last}")).unwrap_or_default();
    let often = if times.count < 2 { "once".to_owned() } else { format!("{} times", times.count) };
    let message = format!(
        "`{user}` has used the right to {} ({verb} {resource}, {often}{last}): {}; ask whether they were to, and take the right \
         from whom it is not for",
        times.way.what, times.way.why
    );
    let path = FieldPath::of(&["user", "username"]);
    let value = format!("{user}: {verb} {resource} ({way})");
    (object, Finding { severity: times.way.severity, value, ..WENT_ROUND.finds(path, None, message) })
}

/// The kind that a list is of, as far as it can be told from its name.
fn kind(resource: &str) -> String {
    let plural = resource.split('/').next().unwrap_or(resource);
    let known = KINDS.iter().find(|(known, _)| *known == plural);
    known.map_or_else(|| plural.to_owned(), |(_, kind)| (*kind).to_owned())
}

const KINDS: &[(&str, &str)] = &[
    ("nodes", "Node"),
    ("secrets", "Secret"),
    ("pods", "Pod"),
    ("services", "Service"),
    ("configmaps", "ConfigMap"),
    ("networkpolicies", "NetworkPolicy"),
    ("leases", "Lease"),
    ("validatingwebhookconfigurations", "ValidatingWebhookConfiguration"),
    ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
    ("validatingadmissionpolicies", "ValidatingAdmissionPolicy"),
    ("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"),
    ("customresourcedefinitions", "CustomResourceDefinition"),
];
const IMPERSONATE: &str = "impersonate";
/// kube-apiserver cuts what it logs at 100 KiB where it is told to, and at 1.5 MiB of a request otherwise.
const LONGEST: usize = 4 << 20;
/// Different calls that are told.
const MOST: usize = 10_000;
/// Lines whose problem is told.
const FEW: usize = 20;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::labels;
    use crate::policy::PolicySet;

    fn calls(log: &str) -> Calls {
        let policies = PolicySet::parse([
            ("a", include_str!("../../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../../tests/fixtures/installation.yaml")),
        ])
        .unwrap();
        let mut calls = Calls::default();
        calls.read(log.as_bytes(), &Trusted { policies: &policies, system: "flamewarden-system" }).unwrap();
        calls
    }

    /// An event as kube-apiserver writes it: of a call on `resource/subresource` by a user.
    fn event(user: &str, verb: &str, resource: &str, namespace: &str) -> Value {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "1",
            "stage": "ResponseComplete", "requestURI": "/", "verb": verb,
            "user": {"username": user, "groups": ["system:authenticated"]},
            "objectRef": {"resource": resource, "subresource": subresource, "namespace": namespace, "name": "x", "apiVersion": "v1"},
            "responseStatus": {"metadata": {}, "code": 200},
            "stageTimestamp": "2026-11-22T12:00:00.000000Z",
        })
    }

    fn told(events: &[Value]) -> Vec<String> {
        let log: String = events.iter().map(|event| format!("{event}\n")).collect();
        calls(&log).found().into_iter().map(|(object, finding)| format!("{object}: {}", finding.value)).collect()
    }

    #[test]
    fn what_admission_never_sees_is_told_of_whoever_is_not_to_do_it() {
        for (event, want) in [
            (event("jane", "create", "nodes/proxy", ""), "Node x: jane: create nodes/proxy (nodes/proxy)"),
            (event("jane", "get", "secrets", "flame"), "Secret flame/x: jane: get secrets (analysis-secrets)"),
            (event("jane", "list", "secrets", ""), "Secret x: jane: list secrets (analysis-secrets)"),
            (event("jane", "get", "pods/log", "flame"), "Pod flame/x: jane: get pods/log (logs)"),
            (event("jane", "get", "secrets", "elsewhere"), ""),
            (event("jane", "get", "pods", "flame"), ""),
            (
                event("jane", "patch", "configmaps", "flamewarden-system"),
                "ConfigMap flamewarden-system/x: jane: patch configmaps (own-policies)",
            ),
            (event("system:serviceaccount:flame:flame-po", "get", "pods/log", "flame"), ""),
            (
                event("system:serviceaccount:flame:other", "get", "pods/log", "flame"),
                "Pod flame/x: system:serviceaccount:flame:other: get pods/log (logs)",
            ),
            (event("system:serviceaccount:flamewarden-system:flamewarden-controller", "get", "secrets", "flame"), ""),
            (event("system:serviceaccount:kube-system:generic-garbage-collector", "list", "secrets", ""), ""),
            (event("system:node:n", "get", "secrets", "flame"), ""),
        ] {
            let told = told(std::slice::from_ref(&event));
            assert_eq!(told.first().map_or("", String::as_str), want, "{event}");
        }
        let mut admin = event("admin", "get", "secrets", "flame");
        admin["user"]["groups"] = json!(["system:masters"]);
        assert_eq!(told(&[admin.clone()]).len(), 1, "what admins do is told");
        admin["user"]["groups"] = json!([labels::BREAK_GLASS]);
        assert_eq!(told(&[admin]), [""; 0]);
        let mut as_another = event("jane", "get", "pods", "flame");
        as_another["impersonatedUser"] = json!({"username": "system:serviceaccount:flame:flame-po"});
        assert_eq!(told(&[as_another]), ["Pod flame/x: jane: get pods (impersonate)"]);
        for (namespace, count) in [("", 1), ("elsewhere", 0)] {
            let mut verdict = event("jane", "patch", "imagescans/status", namespace);
            verdict["impersonatedUser"] =
                json!({"username": "system:serviceaccount:flamewarden-system:flamewarden-controller"});
            assert_eq!(told(&[verdict]).len(), count, "what is of no namespace may be a verdict");
        }
    }

    #[test]
    fn what_was_not_done_is_not_told_and_what_was_done_often_is_told_once() {
        let mut refused = event("jane", "get", "secrets", "flame");
        refused["responseStatus"]["code"] = json!(403);
        let mut only_asked = event("jane", "get", "secrets", "flame");
        only_asked["stage"] = json!("RequestReceived");
        only_asked.as_object_mut().unwrap().remove("responseStatus");
        assert_eq!(told(&[refused.clone(), only_asked.clone()]), [""; 0]);
        let mut streams = event("jane", "get", "pods/log", "flame");
        streams["stage"] = json!("ResponseStarted");
        let done = event("jane", "get", "pods/log", "flame");
        let log: String = [refused, only_asked, streams, done.clone(), done].map(|event| format!("{event}\n")).concat();
        let calls = calls(&log);
        let found = calls.found();
        assert_eq!((found.len(), calls.events), (1, 5));
        let message = &found[0].1.message;
        assert!(message.contains("(get pods/log, 2 times, last at 2026-11-22T12:00:00Z)"), "{message}");
    }

    #[test]
    fn lines_that_are_no_events_are_named_and_the_rest_is_read() {
        let good = event("jane", "get", "secrets", "flame").to_string();
        let long = format!("{{\"stage\":\"{}\"}}", "x".repeat(LONGEST));
        let log = format!("{good}\n\nno event\n{long}\n{{}}\n{good}");
        let calls = calls(&log);
        let lines: Vec<u64> = calls.unread.iter().map(|(line, _)| *line).collect();
        assert_eq!((lines, calls.unread_lines, calls.events), (vec![3, 4, 5], 3, 2));
        assert_eq!(calls.found().len(), 1);
        let many = calls_of_lines(FEW + 5);
        assert_eq!((many.unread.len(), many.unread_lines), (FEW, u64::try_from(FEW + 5).unwrap()));
    }

    fn calls_of_lines(count: usize) -> Calls {
        calls(&"?\n".repeat(count))
    }
}
