//! The NetworkPolicy of the gateway: in from its analysis and from who calls that, out to the node's services alone.

use serde_json::{Value, json};

use super::{GATEWAY_PORT, Order, PodPort, Route, Routes};
use crate::isolation::{self, MANAGED_BY};
use crate::model::labels;

/// `flamewarden-nginx-<app>`. It names pods, not addresses, so it stays true when they move; ports are the pods' own,
/// since a policy is applied behind the Service. No DNS: the gateway's configuration has addresses.
pub(super) fn policy(order: &Order<'_>, routes: &Routes) -> Value {
    let analysis = json!({"podSelector": {"matchLabels": order.analysis_labels()}});
    let callers = [analysis.clone(), peer(&routes.message_broker), peer(&routes.orchestrator)];
    let mut egress = vec![json!({"to": [analysis], "ports": [tcp(&json!(order.policies.analysis.network.port))]})];
    let Routes { kong, storage, hub_adapter, message_broker, orchestrator, analysis: _ } = routes;
    egress.extend([kong, storage, hub_adapter, message_broker, orchestrator].map(|route| {
        let port = match &route.pod_port {
            PodPort::Number(number) => json!(number),
            PodPort::Name(name) => json!(name),
        };
        json!({"to": [peer(route)], "ports": [tcp(&port)]})
    }));
    let mut metadata_labels = order.gateway_labels();
    if let Some(labels) = metadata_labels.as_object_mut() {
        labels.insert("app.kubernetes.io/managed-by".to_owned(), json!(MANAGED_BY));
    }
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {
            "name": isolation::policy_name(&order.gateway()), "namespace": order.settings.namespace,
            "labels": metadata_labels,
        },
        "spec": {
            "podSelector": {"matchLabels": order.gateway_labels()},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": callers, "ports": [tcp(&json!(GATEWAY_PORT))]}],
            "egress": egress,
        },
    })
}

fn peer(route: &Route) -> Value {
    json!({
        "namespaceSelector": {"matchLabels": {labels::NAMESPACE_NAME: route.namespace}},
        "podSelector": {"matchLabels": route.selector},
    })
}

fn tcp(port: &Value) -> Value {
    json!({"protocol": "TCP", "port": port})
}
