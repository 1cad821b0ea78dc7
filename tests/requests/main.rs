//! What may be done to guarded pods, and to what belongs to them, by whom: tables of requests and what refuses them.
#![expect(clippy::unwrap_used, reason = "helpers of a test end it like the test itself")]

mod ask;
mod changes;
mod objects;
mod reach;
mod status;
mod templates;

use flamewarden::model::Operation;
use flamewarden::rules::{OBJECT_RULES, POD_RULES, REQUEST_RULES};
use serde_json::json;

use ask::{EDITOR, Stored, analysis, ask, connect, create, expect, gateway, other, update, with};

#[test]
fn every_rule_has_its_own_id_and_says_why() {
    let mut ids: Vec<&str> = REQUEST_RULES.iter().chain(OBJECT_RULES).map(|rule| rule.id).collect();
    ids.extend(POD_RULES.iter().map(|rule| rule.id));
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "{ids:?}");
    for rule in REQUEST_RULES.iter().chain(OBJECT_RULES) {
        assert!(!rule.title.is_empty() && !rule.why.is_empty(), "{}", rule.id);
    }
}

#[test]
fn outside_guarded_namespaces_nothing_is_judged() {
    expect([
        ("a gateway", create("pods", EDITOR, gateway()).elsewhere(), &[]),
        ("exec", connect("pods:exec", EDITOR, Stored::Unread).elsewhere(), &[]),
        ("a Service", create("services", EDITOR, json!({"metadata": {"name": "analysis-1"}})).elsewhere(), &[]),
        ("no object", ask(Operation::Create, "pods", EDITOR).elsewhere(), &[]),
    ]);
}

#[test]
fn what_has_too_many_parts_is_refused_in_one_line() {
    let containers = with(&analysis(), "/spec/containers", json!(vec![json!({}); 33]));
    let template = json!({"metadata": {}, "spec": {"template": containers}});
    let many = json!(vec![json!({}); 50_000]);
    let crowd = with(&analysis(), "/spec/containers", many.clone());
    let policy = json!({"metadata": {"name": "p"}, "spec": {"podSelector": {}, "ingress": [{"from": many}]}});
    let ending = with(&crowd, "/metadata/deletionTimestamp", json!("2026-11-21T00:00:00Z"));
    for (asked, rule) in [
        (create("pods", EDITOR, containers.clone()), "containers"),
        (create("apps/deployments", EDITOR, template), "containers"),
        (create("pods", EDITOR, crowd.clone()), "request-form"),
        (create("networking.k8s.io/networkpolicies", EDITOR, policy), "request-form"),
    ] {
        let refused: Vec<String> =
            asked.judged(|judgement, _| judgement.refusals.iter().map(|f| f.rule.to_string()).collect());
        assert_eq!(refused, [rule]);
    }
    expect([("what is on its way out", update("pods", EDITOR, ending.clone(), ending), &[])]);
}

#[test]
fn what_lacks_its_object_or_form_is_refused() {
    use Operation::{Connect, Create, Delete, Update};
    for (operation, resource) in [
        (Create, "pods"),
        (Update, "pods"),
        (Delete, "pods"),
        (Connect, "pods"),
        (Update, "pods:ephemeralcontainers"),
        (Create, "pods:ephemeralcontainers"),
        (Update, "pods:resize"),
        (Update, "pods:status"),
        (Delete, "pods:status"),
        (Create, "pods:eviction"),
        (Create, "pods:binding"),
        (Create, "bindings"),
        (Update, "bindings"),
        (Create, "pods:exec"),
        (Update, "pods:unheard-of"),
        (Create, "serviceaccounts:token"),
        (Connect, "serviceaccounts:token"),
        (Create, "apps/deployments"),
        (Update, "apps/deployments"),
        (Delete, "apps/deployments"),
        (Update, "apps/deployments:unheard-of"),
        (Create, "batch/cronjobs"),
        (Create, "services"),
        (Update, "services:status"),
        (Update, "services:unheard-of"),
        (Delete, "endpoints"),
        (Create, "discovery.k8s.io/endpointslices"),
        (Create, "configmaps"),
        (Delete, "secrets"),
        (Create, "networking.k8s.io/networkpolicies"),
        (Update, "cilium.io/ciliumnetworkpolicies"),
    ] {
        let asked = ask(operation, resource, EDITOR);
        assert_eq!(asked.refused_by(), ["request-form"], "{operation:?} {resource}");
    }
    let empty = create("apps/deployments", EDITOR, json!({"metadata": {}, "spec": {}}));
    assert_eq!(empty.refused_by(), ["request-form"], "a Deployment without a template");
    let proxy = connect("pods:proxy", EDITOR, Stored::Found(other())).named("ftp:p:1");
    assert_eq!(proxy.refused_by(), ["request-form"], "a proxy with an unknown scheme");
}
