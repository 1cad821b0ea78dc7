//! Isolation: the policy that is made, and what all others could add to it (invariant I2).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

mod foreign;
mod naive;
mod property;
mod random;
mod rules;
mod selectors;
mod union;
mod versions;

use flamewarden::policy::PolicySet;
use serde_json::{Value, json};

pub(crate) fn policies() -> PolicySet {
    PolicySet::parse([
        ("flame-analysis.yaml", include_str!("../../policies/flame-analysis.yaml")),
        ("flame-gateway.yaml", include_str!("../../policies/flame-gateway.yaml")),
        ("installation.yaml", include_str!("../fixtures/installation.yaml")),
    ])
    .unwrap()
}

pub(crate) fn object(spec: &Value) -> String {
    json!({"metadata": {"name": "p", "namespace": "flame"}, "spec": spec}).to_string()
}

pub(crate) fn gateway(app: &str) -> Value {
    json!({"podSelector": {"matchLabels": {"app": format!("nginx-{app}")}}})
}

pub(crate) fn dns() -> Value {
    json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    })
}
