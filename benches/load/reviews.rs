//! Reviews of a wanted size: a pod as FLAME's orchestrator sends it, before and after it was mended.

use base64::{Engine, engine::general_purpose::STANDARD};
use flamewarden::model::Digest;
use flamewarden::policy::PolicySet;
use flamewarden::webhook::{Side, answer_alone};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const POLICIES: [(&str, &str); 3] = [
    ("flame-analysis.yaml", include_str!("../../policies/flame-analysis.yaml")),
    ("flame-gateway.yaml", include_str!("../../policies/flame-gateway.yaml")),
    ("installation.yaml", include_str!("../../tests/fixtures/installation.yaml")),
];

/// What the reviewed pods run.
const IMAGE: &str = "harbor.example/node/a:1";

/// By tag 1 the first, and so on.
pub(crate) fn image_digest(number: usize) -> Digest {
    Digest::of(&number.to_be_bytes())
}

/// A pod that still has to be mended, filled up with environment.
pub(crate) fn bare(size: usize) -> String {
    sized(size, |variables| pod(variables, IMAGE).to_string())
}

/// The same pod as the mutating side leaves it.
pub(crate) fn good(size: usize) -> String {
    let image = format!("{IMAGE}@{}", image_digest(0));
    sized(size, |variables| mended(&pod(variables, &image)).to_string())
}

/// The text with about as many variables as fit into the size.
fn sized(size: usize, text: impl Fn(usize) -> String) -> String {
    let (none, ten) = (text(0).len(), text(10).len());
    text(size.saturating_sub(none) * 10 / (ten - none))
}

fn pod(variables: usize, image: &str) -> Value {
    let variables: Vec<Value> = (0..variables)
        .map(|n| json!({"name": format!("VARIABLE_{n}"), "value": format!("value {n} of a variable")}))
        .collect();
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "fe41c091-1c0a-4478-883f-7b2caa2739e6",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "name": "analysis-a-5d4f-x", "namespace": "flame", "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": []},
        "object": {"kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": "analysis-a-5d4f-x", "namespace": "flame",
                "labels": {"component": "flame-analysis", "app": "analysis-a"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "analysis-a-5d4f",
                    "uid": "06d4b2b0-4c0e-4d4c-8f4e-0d1f3b1c9a11", "controller": true, "blockOwnerDeletion": true}]},
            "spec": {"containers": [{"name": "analysis-a", "image": image, "env": variables}]}},
        "oldObject": null, "dryRun": false, "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}}})
}

fn mended(review: &Value) -> Value {
    let policies = PolicySet::parse(POLICIES).unwrap();
    let reply = answer_alone(Side::Mutate, review.to_string().as_bytes(), &policies, Timestamp::now());
    let answer = serde_json::to_value(&reply.answer).unwrap();
    let patch = STANDARD.decode(answer.pointer("/response/patch").and_then(Value::as_str).unwrap()).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    let mut review = review.clone();
    json_patch::patch(review.pointer_mut("/request/object").unwrap(), &patch).unwrap();
    review
}
