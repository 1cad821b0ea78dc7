//! What scans by Jobs take of an installation: an account without rights, and whom workers and the controller's port for
//! scans may reach each other by.

use serde_json::{Value, json};

use super::Settings;
use super::rbac::CONTROLLER;
use super::workload::labels;
use crate::model::labels::NAMESPACE_NAME;
use crate::policy::{DnsPlace, Egress, EgressPlace, Worker};

/// The labels of workers' pods, by which their network policy selects them. They are not those of Flamewarden's own pods,
/// whose ports are open.
pub fn worker_labels() -> Value {
    json!({
        "app.kubernetes.io/name": "flamewarden-scan",
        "app.kubernetes.io/component": "scan",
        "app.kubernetes.io/part-of": "flamewarden",
    })
}

/// The workers' service account, which may do nothing, and their network policy.
pub(super) fn objects(settings: &Settings, worker: &Worker) -> Vec<Value> {
    vec![
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": WORKER, "namespace": settings.namespace, "labels": labels("scan")},
            "automountServiceAccountToken": false,
        }),
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": WORKER, "namespace": settings.namespace, "labels": labels("scan")},
            "spec": {
                "podSelector": {"matchLabels": selected()},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [],
                "egress": egress(worker),
            },
        }),
    ]
}

/// What the controller may do in its own namespace, so that Jobs make scans.
pub(super) fn rules() -> [Value; 3] {
    [
        json!({"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get", "list", "create", "delete"]}),
        json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}),
        json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}),
    ]
}

/// Workers alone call the controller's port for scans.
pub(super) fn ingress() -> Value {
    json!({"from": [{"podSelector": {"matchLabels": selected()}}], "ports": [tcp(SCANS_PORT)]})
}

fn selected() -> Value {
    json!({"app.kubernetes.io/name": "flamewarden-scan"})
}

fn egress(worker: &Worker) -> Vec<Value> {
    let controller = json!({"app.kubernetes.io/instance": CONTROLLER});
    let mut rules = vec![json!({"to": [{"podSelector": {"matchLabels": controller}}], "ports": [tcp(SCANS_PORT)]})];
    rules.extend(worker.dns.iter().map(|peer| {
        let ports = ["UDP", "TCP"].map(|protocol| json!({"protocol": protocol, "port": peer.port}));
        let to = match &peer.place {
            DnsPlace::Pods { namespace, labels } => pods(namespace, &json!(labels)),
            DnsPlace::Address(address) => {
                block(&format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }), &[])
            }
        };
        json!({"to": [to], "ports": ports})
    }));
    if worker.egress.is_empty() {
        let outside = [block("0.0.0.0/0", PRIVATE), block("::/0", PRIVATE_6)];
        rules.push(json!({"to": outside, "ports": [tcp(443)]}));
    }
    rules.extend(worker.egress.iter().map(|Egress { place, ports }| {
        let to = match place {
            EgressPlace::Network(network) => block(network, &[]),
            EgressPlace::Pods { namespace, labels } => pods(namespace, &json!(labels)),
        };
        let ports: Vec<Value> = ports.iter().copied().map(tcp).collect();
        json!({"to": [to], "ports": ports})
    }));
    rules
}

fn tcp(port: u16) -> Value {
    json!({"protocol": "TCP", "port": port})
}

fn block(network: &str, except: &[&str]) -> Value {
    if except.is_empty() {
        return json!({"ipBlock": {"cidr": network}});
    }
    json!({"ipBlock": {"cidr": network, "except": except}})
}

fn pods(namespace: &str, labels: &Value) -> Value {
    json!({
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: namespace}},
        "podSelector": {"matchLabels": labels},
    })
}

/// The workers' service account and network policy.
pub const WORKER: &str = "flamewarden-scan";
/// Where the controller takes what workers bring.
pub const SCANS_PORT: u16 = 9444;
/// Where clusters, their nodes and what tells a cloud's machines their secrets have their addresses.
const PRIVATE: &[&str] =
    &["10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];
const PRIVATE_6: &[&str] = &["::1/128", "fc00::/7", "fe80::/10"];
