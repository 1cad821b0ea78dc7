//! The policy of a dedicated namespace that lets nothing in or out of pods that no other policy speaks of.

use serde_json::{Value, json};

use crate::isolation::MANAGED_BY;
use crate::model::labels;

/// `flamewarden-default-deny`. It belongs to the namespace, not to an analysis, and stays when one goes.
pub(super) fn policy(namespace: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {
            "name": format!("{}default-deny", labels::POLICY_PREFIX), "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": MANAGED_BY},
        },
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    })
}
