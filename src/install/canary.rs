//! What the canary takes of an installation: an account without rights, and what the controller may do in its own
//! namespace for it. The pods and network policies of a run are the controller's to make.

use serde_json::{Value, json};

use super::Settings;
use super::workload::labels;

/// The service account of its pods, which may do nothing.
pub(super) fn account(settings: &Settings) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": CANARY, "namespace": settings.namespace, "labels": labels("canary")},
        "automountServiceAccountToken": false,
    })
}

/// What the controller may do in its own namespace, so that canaries run and what they tell is kept. A creation can be
/// held to no name.
pub(super) fn rules() -> [Value; 4] {
    let make = ["get", "list", "create", "delete"];
    [
        json!({"apiGroups": [""], "resources": ["pods"], "verbs": make}),
        json!({"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": make}),
        json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}),
        json!({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [CANARY], "verbs": ["get", "update"]}),
    ]
}

/// The service account of its pods, their label, and the ConfigMap with what they told.
pub const CANARY: &str = "flamewarden-canary";
