//! Isolation: the policy that is made, and what all others could add to it (invariant I2).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

mod foreign;
mod gateways;
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
    policies_with("cluster")
}

/// The shipped profiles, and other peers for DNS.
pub(crate) fn policies_with(dns: &str) -> PolicySet {
    let shipped = include_str!("../../policies/flame-analysis.yaml");
    assert!(shipped.contains("dns: cluster"));
    PolicySet::parse([
        ("flame-analysis.yaml", shipped.replace("dns: cluster", &format!("dns: {dns}")).as_str()),
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

/// Pods that are told by two labels and listen elsewhere, and caches on the node.
pub(crate) const OTHER_DNS: &str = "[{namespace: lab, pods: {k8s-app: kube-dns, x: '1'}, port: 5353}, \
    {address: 169.254.20.10}, {address: 'fd00::a'}]";

pub(crate) fn dns() -> Value {
    json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    })
}
