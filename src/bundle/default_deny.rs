//! The policy of a dedicated namespace that lets nothing in or out of pods that no other policy speaks of.

use serde_json::{Value, json};

use crate::isolation::MANAGED_BY;
use crate::model::labels;

/// `flamewarden-default-deny`.
pub fn name() -> String {
    format!("{}default-deny", labels::POLICY_PREFIX)
}

/// It belongs to the namespace, not to an analysis, and stays when one goes. The empty lists are said, so that applying
/// them takes away what another has put in.
pub(super) fn policy(namespace: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {
            "name": name(), "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": MANAGED_BY},
        },
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []},
    })
}
