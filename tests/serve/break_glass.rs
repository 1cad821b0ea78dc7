//! Each use of break-glass is told: a log line, a count, and a decision that the controller makes an Event of.

use std::net::SocketAddr;

use flamewarden::app::start;
use serde_json::{Value, json};

use crate::api_server::ApiServer;
use crate::client::{Caller, Connection};
use crate::decisions;
use crate::process::{Running, serve};
use crate::server::Place;

/// Something that the group may do.
#[derive(Debug, Clone, Copy)]
struct Use {
    operation: &'static str,
    /// With its subresource.
    resource: &'static str,
    /// What it is done to.
    to: (&'static str, &'static str),
    /// By which rule others are refused, and the field that it names.
    refused: (&'static str, &'static str),
}

const USES: [Use; 5] = [
    entry("pods/exec"),
    entry("pods/attach"),
    entry("pods/portforward"),
    Use {
        operation: "DELETE",
        resource: "pods",
        to: ("Pod", "p"),
        refused: ("forced-deletion", "options.gracePeriodSeconds"),
    },
    Use {
        operation: "UPDATE",
        resource: "networkpolicies",
        to: ("NetworkPolicy", "flamewarden-analysis-a"),
        refused: ("isolation-finalizer", "metadata.finalizers"),
    },
];

const fn entry(resource: &'static str) -> Use {
    Use { operation: "CONNECT", resource, to: ("Pod", "p"), refused: ("connection", "name") }
}

/// A pod that runs.
fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "flame", "uid": "u-p",
            "labels": {"component": "flame-analysis", "app": "analysis-a"}},
        "spec": {"nodeName": "n1", "terminationGracePeriodSeconds": 30, "containers": []},
        "status": {"phase": "Running"},
    })
}

async fn cluster() -> ApiServer {
    ApiServer::with("/api/v1/namespaces/flame/pods/p", pod()).await
}

fn review(one: Use, group: &str) -> String {
    let (resource, sub) = one.resource.split_once('/').unwrap_or((one.resource, ""));
    let of = if one.to.0 == "Pod" { "" } else { "networking.k8s.io" };
    let mut request = json!({
        "uid": "u-1", "operation": one.operation, "namespace": "flame", "name": one.to.1,
        "resource": {"group": of, "version": "v1", "resource": resource}, "subResource": sub,
        "userInfo": {"username": "jane", "groups": [group]},
    });
    match one.operation {
        "CONNECT" => request["object"] = json!({"apiVersion": "v1", "kind": "PodExecOptions"}),
        "DELETE" => {
            request["oldObject"] = pod();
            request["options"] = json!({"kind": "DeleteOptions", "gracePeriodSeconds": 0});
        }
        _ => {
            let policy = |finalizers: Value| json!({"metadata": {"name": one.to.1, "finalizers": finalizers}});
            request["oldObject"] = policy(json!(["flamewarden.dev/isolation"]));
            request["object"] = policy(json!([]));
        }
    }
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_use_is_a_log_line_and_a_count() {
    let (place, cluster) = (Place::mounted(), cluster().await);
    let mut command = serve(&place);
    command.arg("--kubeconfig").arg(cluster.kubeconfig());
    let mut running = Running::start(command);
    let line = running.line("serving");
    let address = |key: &str| line[key].as_str().unwrap().parse::<SocketAddr>().unwrap();
    let mut caller = Caller::trusting(&place.generation("first")).connect(address("webhook")).await.unwrap();
    for one in USES {
        for (group, decision, count) in [("editors", "refused", 403), ("flamewarden:break-glass", "break_glass", 0)] {
            let answer = caller.post("/validate?timeout=10s", review(one, group)).await.unwrap();
            let want = (count == 0, (count != 0).then_some(count));
            assert_eq!(answer.answer(), ("u-1".to_owned(), want.0, want.1), "{one:?} by {group}");
            let mut told = running.line("review answered");
            let line = told.as_object_mut().unwrap();
            line.retain(|key, _| !["timestamp", "target"].contains(&key.as_str()));
            assert_eq!(
                told,
                json!({
                    "level": "WARN", "message": "review answered",
                    "decision": decision, "side": "validate", "operation": one.operation, "resource": one.resource,
                    "namespace": "flame", "name": one.to.1, "user": "jane", "uid": "u-1", "from": "127.0.0.1",
                    "checked": false, "dry_run": false, "rules": one.refused.0, "paths": one.refused.1,
                })
            );
        }
    }
    let metrics = Connection::plain(address("probes")).await.fetch("/metrics").await.text;
    for one in USES {
        for decision in ["break_glass", "refused"] {
            let Use { operation, resource, .. } = one;
            let line = format!(
                r#"flamewarden_admission_requests_total{{side="validate",operation="{operation}",resource="{resource}",decision="{decision}"}} 1"#
            );
            assert!(metrics.lines().any(|had| had == line), "{line} is missing in\n{metrics}");
        }
    }
}

#[tokio::test]
async fn each_use_is_a_decision_about_what_it_is_done_to() {
    let (place, cluster) = (decisions::place(), cluster().await);
    let mut settings = place.settings();
    settings.controller.kubeconfig = Some(cluster.kubeconfig());
    let running = start(&settings, flamewarden::rules::judge).await.unwrap();
    let mut caller = Caller::trusting(&place.generation("first")).connect(running.webhook.unwrap()).await.unwrap();
    for one in USES {
        let answer = caller.post("/validate?timeout=10s", review(one, "flamewarden:break-glass")).await.unwrap();
        assert_eq!(answer.answer(), ("u-1".to_owned(), true, None), "{one:?}");
    }
    let controller = decisions::named(&place, &place.generation("first"), decisions::CONTROLLER);
    let told = decisions::fetch(&controller, &running, "/decisions?run=&after=0").await.unwrap().json();
    let about = |decision: &Value| {
        json!([
            decision["outcome"],
            decision["operation"],
            decision["resource"],
            decision["rules"],
            decision["user"],
            decision["about"]["kind"],
            decision["about"]["name"]
        ])
    };
    let had: Vec<Value> = told["decisions"].as_array().unwrap().iter().map(about).collect();
    let want = USES
        .map(|one| json!(["break_glass", one.operation, one.resource, [one.refused.0], "jane", one.to.0, one.to.1]));
    assert_eq!(had, want);
}
