//! Who asks for more log lines than an address gets: they are counted, and break-glass is told all the same.

use std::net::SocketAddr;

use serde_json::json;

use crate::client::{Caller, Connection};
use crate::process::{Running, serve};
use crate::server::{Place, review};

/// Somebody deletes Flamewarden's own policy in an emergency.
fn break_glass() -> String {
    let kind = json!({"group": "networking.k8s.io", "version": "v1", "kind": "NetworkPolicy"});
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "flamewarden-default-deny", "namespace": "flame"}, "spec": {"podSelector": {}},
    });
    let resource = json!({"group": "networking.k8s.io", "version": "v1", "resource": "networkpolicies"});
    let user = json!({"username": "jane", "groups": ["flamewarden:break-glass"]});
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-2", "kind": kind, "resource": resource, "name": "flamewarden-default-deny", "namespace": "flame",
            "operation": "DELETE", "userInfo": user, "object": null, "oldObject": policy, "dryRun": false, "options": null,
        },
    })
    .to_string()
}

#[tokio::test]
async fn lines_that_are_left_out_are_counted_and_take_nothing_from_break_glass() {
    let place = Place::mounted();
    let mut running = Running::start(serve(&place));
    let line = running.line("serving");
    let address = |key: &str| line[key].as_str().unwrap().parse::<SocketAddr>().unwrap();
    let mut connection = Caller::trusting(&place.generation("first")).connect(address("webhook")).await.unwrap();
    let metrics = async || Connection::plain(address("probes")).await.fetch("/metrics").await.text;
    let mut written = 0;
    loop {
        connection.post("/validate", review()).await.unwrap();
        if metrics().await.contains(LEFT_OUT) {
            break;
        }
        // Read at once: a pipe that is full stops the server.
        assert_eq!(running.line("review answered")["decision"], "refused");
        written += 1;
        assert!(written < 10_000, "no line is ever left out");
    }
    assert!(written >= 300, "{written} lines written");
    let broken = connection.post("/validate", break_glass()).await.unwrap();
    assert_eq!(broken.answer(), ("u-2".to_owned(), true, None));
    let told = running.line("review answered");
    assert_eq!((&told["decision"], &told["user"]), (&"break_glass".into(), &"jane".into()));
    let left_out = running.line("log lines left out");
    let kinds = ["refused", "break_glass", "turned_away"].map(|kind| left_out[kind].as_u64().unwrap());
    assert_eq!((&left_out["from"], kinds), (&"127.0.0.1".into(), [1, 0, 0]));
    assert!(metrics().await.lines().any(|line| line == format!("{LEFT_OUT} 1")));
}

const LEFT_OUT: &str = "flamewarden_admission_log_lines_left_out_total{reason=\"refused\"}";
