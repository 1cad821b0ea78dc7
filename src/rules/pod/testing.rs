//! What the rules' tests share: pods without fault, and findings as lines that are easy to compare.

use jiff::Timestamp;
use json_patch::{AddOperation, PatchOperation, jsonptr::PointerBuf};
use serde_json::{Value, json};

use super::{PodCase, PodRule, Stage, pod_findings};
use crate::model::{Edit, FieldPath, Finding, PodView, parse};
use crate::policy::{PolicySet, Profile, Role};
use crate::rules::ScanKnowledge;

/// Changes to a pod: JSON pointer and what stands there then; null is as good as absent.
pub(super) type Changes<'a> = &'a [(&'a str, Value)];

/// The shipped profiles with the tests' installation.
pub(super) fn policies() -> PolicySet {
    PolicySet::parse([
        ("flame-analysis.yaml", include_str!("../../../policies/flame-analysis.yaml")),
        ("flame-gateway.yaml", include_str!("../../../policies/flame-gateway.yaml")),
        ("installation.yaml", include_str!("../../../tests/fixtures/installation.yaml")),
    ])
    .unwrap()
}

/// A pod that the profile of its role has nothing to say of.
pub(super) fn good_pod(role: Role) -> Value {
    match role {
        Role::Analysis => pod("flame-analysis", "analysis-1", "harbor.example/node/analysis:1", 8000),
        Role::Gateway => pod("flame-analysis-nginx", "nginx-analysis-1", "nginx:1.29.8", 8080),
    }
}

fn pod(component: &str, app: &str, image: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{app}-x"), "namespace": "flame", "labels": {"app": app, "component": component}},
        "spec": {
            "containers": [{
                "name": app, "image": image, "imagePullPolicy": "Always",
                "ports": [{"containerPort": port, "protocol": "TCP"}],
                "resources": {
                    "requests": {"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "1Gi"},
                    "limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"},
                },
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "imagePullSecrets": [{"name": "flame-harbor-credentials"}],
            "automountServiceAccountToken": false, "enableServiceLinks": false,
            "serviceAccountName": "default", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
            "terminationGracePeriodSeconds": 30, "schedulingGates": [{"name": "flamewarden.dev/network-policy"}],
        },
    })
}

/// A good pod with changes.
pub(super) fn changed(role: Role, changes: Changes<'_>) -> Value {
    let mut pod = good_pod(role);
    for (pointer, value) in changes {
        let add = AddOperation { path: PointerBuf::parse(*pointer).unwrap(), value: value.clone() };
        json_patch::patch(&mut pod, &[PatchOperation::Add(add)]).unwrap();
    }
    pod
}

/// What one rule says of an analysis's pod at its creation, under the shipped profile.
pub(super) fn expect(rule: &PodRule, changes: Changes<'_>, wanted: &[&str]) {
    expect_with(rule, Role::Analysis, |_| {}, changes, wanted);
}

/// That one rule has nothing to say.
pub(super) fn is_clean(rule: &PodRule, changes: Changes<'_>) {
    expect(rule, changes, &[]);
}

/// What one rule says of a pod of that role at its creation, under a profile made for the test.
pub(super) fn expect_with(
    rule: &PodRule,
    role: Role,
    settings: impl FnOnce(&mut Profile),
    changes: Changes<'_>,
    wanted: &[&str],
) {
    let set = policies();
    let mut profile = if role == Role::Analysis { set.analysis } else { set.gateway };
    settings(&mut profile);
    let text = changed(role, changes).to_string();
    let json = parse(text.as_bytes()).unwrap();
    let pod = PodView::new(&json, FieldPath::default());
    let case = PodCase {
        profile: &profile,
        app: pod.label("app").unwrap_or_default(),
        stage: Stage::Create,
        scans: ScanKnowledge::OutOfReach,
        now: Timestamp::UNIX_EPOCH,
    };
    let lines: Vec<String> = (rule.check)(&pod, &case).iter().map(line).collect();
    assert_eq!(lines, wanted, "{}: {text}", rule.id);
}

/// All findings on a pod, as lines with the rule before them.
pub(super) fn all_findings(pod: &Value, profile: &Profile, stage: Stage) -> Vec<String> {
    let text = pod.to_string();
    let json = parse(text.as_bytes()).unwrap();
    let view = PodView::new(&json, FieldPath::default());
    pod_findings(&view, profile, stage, ScanKnowledge::OutOfReach, Timestamp::UNIX_EPOCH)
        .iter()
        .map(|found| format!("{}: {}", found.rule, line(found)))
        .collect()
}

fn line(finding: &Finding) -> String {
    let edits: Vec<String> = finding.remedy.iter().map(edit).collect();
    let remedy = if edits.is_empty() { "no remedy".to_owned() } else { edits.join(", ") };
    format!("{} ({}): {remedy}", finding.path, finding.value)
}

fn edit(edit: &Edit) -> String {
    match edit {
        Edit::Set(path, value) => format!("set {path} = {value}"),
        Edit::Add(path, value) => format!("add {value} to {path}"),
        Edit::Remove(path) => format!("remove {path}"),
    }
}
