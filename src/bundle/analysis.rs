//! The Deployment of the analysis itself: somebody else's code, with everything taken away that it does not need.

use serde_json::{Value, json};

use super::pod::{RootFilesystem, Runs, container, spec};
use super::{Address, Order, pull_secret, statistics, token_secret};

/// `analysis-<id>-<n>`. One pod at a time: a second one beside it would be a second analysis.
pub(super) fn deployment(order: &Order<'_>) -> Value {
    let profile = &order.policies.analysis;
    let app = order.app();
    let what = Runs { name: &app, image: order.image, root: RootFilesystem::AsProfileSays };
    let fields =
        [("ports", json!([{"containerPort": profile.network.port, "protocol": "TCP"}])), ("env", environment(order))];
    let mut containers = vec![container(profile, &what, Vec::new(), fields)];
    containers.extend(statistics::container_of(order));
    let mut pod = spec(profile, containers, Vec::new());
    pod.insert("imagePullSecrets".to_owned(), json!([{"name": pull_secret::name(order.run.analysis)}]));
    if let Some(alias) = gateway_alias(order) {
        pod.insert("hostAliases".to_owned(), json!([alias]));
    }
    of(order, &app, &order.analysis_labels(), json!({"labels": order.analysis_labels()}), json!(pod))
}

/// A Deployment of one pod that is replaced, never doubled.
pub(super) fn of(order: &Order<'_>, name: &str, labels: &Value, metadata: Value, pod: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": order.settings.namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 0,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": metadata, "spec": pod},
        },
    })
}

/// The variables that the FLAME SDK reads, and a home that the pod's user can write.
fn environment(order: &Order<'_>) -> Value {
    let secret = token_secret::name(order.run.analysis);
    let from_secret = |name: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}});
    let plain = |name: &str, value: String| json!({"name": name, "value": value});
    json!([
        from_secret(token_secret::DATA_SOURCE),
        from_secret(token_secret::KEYCLOAK),
        plain("ANALYSIS_ID", order.run.analysis.to_string()),
        plain("PROJECT_ID", order.project.to_string()),
        plain("DEPLOYMENT_NAME", order.app()),
        plain("HOME", "/tmp".to_owned()),
    ])
}

/// The gateway's name and address, where the analysis may ask nobody for names.
fn gateway_alias(order: &Order<'_>) -> Option<Value> {
    if !order.policies.analysis.network.dns.is_empty() {
        return None;
    }
    match order.services.own_address(&order.settings.namespace, &order.gateway()) {
        Address::Cluster(address) => Some(json!({"ip": address.to_string(), "hostnames": [order.gateway()]})),
        Address::Name => None,
    }
}
