//! Stands in for the API server, which would refuse the names that these pods and policies have: a page must not count on
//! that. What is asked of the real one, the target `load` shows.

use axum::Router;
use axum::http::Uri;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::content::MARK;

/// Answers lists at a port of its own; gives a kubeconfig.
pub(crate) async fn start() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.unwrap() });
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    })
    .to_string()
}

async fn answer(uri: Uri) -> impl IntoResponse {
    let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let items = match parts.as_slice() {
        ["api", "v1", "namespaces", namespace, "pods"] => pods(namespace),
        ["apis", "networking.k8s.io", "v1", "namespaces", namespace, "networkpolicies"] => policies(namespace),
        other => panic!("nobody asks for {other:?}"),
    };
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items});
    ([("content-type", "application/json")], list.to_string())
}

/// An analysis and its gateway in each namespace, with hostile texts wherever a pod has some.
fn pods(namespace: &str) -> Vec<Value> {
    if namespace == "default" {
        return Vec::new();
    }
    let pod = |component: &str, app: &str| {
        json!({
            "metadata": {
                "name": format!("{app}-0{MARK}"), "namespace": namespace,
                "labels": {"app": app, "component": component},
            },
            "spec": {"containers": [{"name": MARK, "image": format!("harbor.example/node/of-{namespace}:1{MARK}")}]},
            "status": {"phase": format!("Running{MARK}")},
        })
    };
    vec![
        pod("flame-analysis", &format!("analysis-of-{namespace}")),
        pod("flame-analysis-nginx", &format!("nginx-analysis-of-{namespace}")),
    ]
}

/// What lets the analysis reach its gateway and nothing else, and one that opens something by hostile texts.
fn policies(namespace: &str) -> Vec<Value> {
    let app = format!("analysis-of-{namespace}");
    let gateway = json!({"podSelector": {"matchLabels": {"app": format!("nginx-{app}")}}});
    let own = json!({
        "metadata": {"name": format!("flamewarden-{app}"), "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": {"app": app}}, "policyTypes": ["Ingress", "Egress"],
            "egress": [{"to": [gateway], "ports": [{"protocol": "TCP", "port": 8080}]}],
        },
    });
    let hostile = json!({
        "metadata": {"name": format!("open{MARK}"), "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": {"app": app}}, "policyTypes": ["Egress"],
            "egress": [{"to": [{"namespaceSelector": {"matchLabels": {"x": &MARK[..18]}}}], "ports": [{"port": MARK}]}],
        },
    });
    vec![own, hostile]
}
