//! The queries of dashboard and alerts, read by Prometheus' own grammar. What they speak of, `tests/monitoring.rs` holds
//! to what is published.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::checkers::TOOLS;

const DASHBOARD: &str = include_str!("../../docs/monitoring/dashboard.json");
const ALERTS: &str = include_str!("../../docs/monitoring/alerts.yaml");

#[test]
fn prometheus_can_read_every_query() {
    let mut queries = Vec::new();
    expressions(&serde_json::from_str(DASHBOARD).unwrap(), &mut queries);
    expressions(&serde_saphyr::from_str(ALERTS).unwrap(), &mut queries);
    assert!(queries.len() > 50, "{}", queries.len());
    assert_eq!(broken(&queries), Vec::<String>::new());
    for bad in ["sum(a", "sum by (a) rate(b[5m])", "a > ", "a{b=c}"] {
        assert_ne!(broken(&[bad.to_owned()]), Vec::<String>::new(), "{bad}");
    }
}

/// Whatever stands under `expr`.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("expr").and_then(Value::as_str).map(in_an_interval));
            members.values().for_each(|member| expressions(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

/// Grafana fills its variable in before Prometheus sees it.
fn in_an_interval(expression: &str) -> String {
    expression.replace("$__rate_interval", "5m")
}

fn broken(queries: &[String]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/forms/queries.mjs");
    let mut command = Command::new("node");
    command.arg(script).arg(&*TOOLS).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = command.spawn().unwrap();
    node.stdin.take().unwrap().write_all(serde_json::to_string(queries).unwrap().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}
