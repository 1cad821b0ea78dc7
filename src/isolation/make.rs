//! Makes the NetworkPolicy that isolates one analysis.

use serde_json::{Value, json};

use crate::model::labels;
use crate::policy::{DnsPlace, Profile};

/// The policy `flamewarden-<app>`: in and out only the analysis's own gateway, and DNS where the profile says so.
pub fn policy(app: &str, namespace: &str, analysis: &Profile, gateway: &Profile) -> Value {
    let pods = json!({"matchLabels": {labels::APP: app, labels::COMPONENT: analysis.guards.component}});
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": policy_name(app),
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": MANAGED_BY, labels::ISOLATES: app},
            "finalizers": [labels::ISOLATION_FINALIZER],
        },
        "spec": spec(pods, app, analysis, gateway),
    })
}

/// The name of an analysis's isolation policy.
pub fn policy_name(app: &str) -> String {
    format!("{}{app}", labels::POLICY_PREFIX)
}

/// The name of the policy that stands in for an analysis's while that is deleted.
pub fn spare_name(app: &str) -> String {
    policy_name(app) + SPARE_SUFFIX
}

/// The `app` whose policy or stand-in would have that name; none for a name of another form.
pub fn app_of_policy(name: &str) -> Option<&str> {
    let app = name.strip_prefix(labels::POLICY_PREFIX)?;
    Some(app.strip_suffix(SPARE_SUFFIX).unwrap_or(app))
}

/// What isolates the pods that `pods` selects: all that the profile allows to one `app`, and nothing else.
pub(super) fn spec(pods: Value, app: &str, analysis: &Profile, gateway: &Profile) -> Value {
    let peer = json!({"podSelector": {"matchLabels": {
        labels::APP: gateway_app(app), labels::COMPONENT: gateway.guards.component,
    }}});
    let tcp = |port: &u16| json!({"protocol": "TCP", "port": port});
    let network = &analysis.network;
    let gateway_ports: Vec<Value> = network.gateway_ports.iter().map(tcp).collect();
    let mut egress = Vec::new();
    // A rule without ports would allow them all.
    if !gateway_ports.is_empty() {
        egress.push(json!({"to": [peer], "ports": gateway_ports}));
    }
    egress.extend(network.dns.iter().map(|peer| {
        let port = peer.port;
        json!({
            "to": [dns_peer(&peer.place)],
            "ports": [{"protocol": "UDP", "port": port}, {"protocol": "TCP", "port": port}],
        })
    }));
    json!({
        "podSelector": pods,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [peer], "ports": [tcp(&network.port)]}],
        "egress": egress,
    })
}

fn dns_peer(place: &DnsPlace) -> Value {
    match place {
        DnsPlace::Pods { namespace, labels } => json!({
            "namespaceSelector": {"matchLabels": {labels::NAMESPACE_NAME: namespace}},
            "podSelector": {"matchLabels": labels},
        }),
        DnsPlace::Address(address) => {
            let length = if address.is_ipv4() { 32 } else { 128 };
            json!({"ipBlock": {"cidr": format!("{address}/{length}")}})
        }
    }
}

/// The `app` of an analysis's gateway.
pub fn gateway_app(app: &str) -> String {
    format!("{}{app}", labels::GATEWAY_PREFIX)
}

/// The value of `app.kubernetes.io/managed-by` on what Flamewarden makes.
pub const MANAGED_BY: &str = "flamewarden";

/// What stands behind the name of a policy in that of its stand-in.
const SPARE_SUFFIX: &str = ".spare";
