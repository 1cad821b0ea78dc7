//! The Service of the analysis, by which its gateway reaches it.

use serde_json::{Value, json};

use super::{Order, SERVICE_PORT};

/// `analysis-<id>-<n>`: port 80, as FLAME's message broker and orchestrator know it.
pub(super) fn service(order: &Order<'_>) -> Value {
    of(order, &order.app(), &order.analysis_labels(), order.policies.analysis.network.port)
}

/// A Service inside the cluster that leads to the pods of exactly these labels.
pub(super) fn of(order: &Order<'_>, name: &str, labels: &Value, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": order.settings.namespace, "labels": labels},
        "spec": {
            "type": "ClusterIP",
            "selector": labels,
            "ports": [{"protocol": "TCP", "port": SERVICE_PORT, "targetPort": port}],
        },
    })
}
