//! The union for one pod, as the guard asks for it before it lifts a gate.

use std::collections::BTreeSet;

use flamewarden::isolation::{Direction, Opening, Reach, Union, policy, reach, union_problems};
use flamewarden::model::{FieldPath, ItemCutter, Json, PodView, parse};
use serde_json::{Value, json};

use crate::{gateway, policies};

fn with_pod<T>(policies: &[Value], ask: impl FnOnce(&[Json<'_>], &PodView<'_>) -> T) -> T {
    let texts: Vec<String> = policies.iter().map(Value::to_string).collect();
    let read: Vec<Json<'_>> = texts.iter().map(|text| parse(text.as_bytes()).unwrap()).collect();
    let labels = json!({"app": "analysis-1", "component": "flame-analysis", "pod-template-hash": "h1"});
    let pod = json!({"metadata": {"name": "p", "namespace": "flame", "labels": labels}}).to_string();
    let pod = parse(pod.as_bytes()).unwrap();
    ask(&read, &PodView::new(&pod, FieldPath::default()))
}

fn problems(all: &[Value]) -> Vec<String> {
    with_pod(all, |all, pod| union_problems(all, pod, &policies()).iter().map(|one| one.message.clone()).collect())
}

fn ours() -> Value {
    let set = policies();
    policy("analysis-1", "flame", &set.analysis, &set.gateway)
}

fn other(spec: &Value) -> Value {
    json!({"metadata": {"name": "other", "namespace": "flame"}, "spec": spec})
}

#[test]
fn a_gate_goes_only_under_our_own_policy() {
    let mut edited = ours();
    edited["spec"]["egress"][0]["ports"] = json!([{"protocol": "TCP", "port": 80}]);
    let mut leaving = ours();
    leaving["metadata"]["deletionTimestamp"] = json!("2026-11-21T00:00:00Z");
    let mut elsewhere = ours();
    elsewhere["metadata"]["name"] = json!("flamewarden-analysis-2");
    for (all, want) in [
        (vec![ours()], vec![]),
        (vec![], vec!["NetworkPolicy `flamewarden-analysis-1` does not exist; the guard makes it"]),
        (vec![elsewhere], vec!["NetworkPolicy `flamewarden-analysis-1` does not exist; the guard makes it"]),
        (
            vec![edited],
            vec!["NetworkPolicy `flamewarden-analysis-1` is not what the profile says; the guard repairs it"],
        ),
        (
            vec![leaving],
            vec!["NetworkPolicy `flamewarden-analysis-1` is being deleted; the guard makes a new one when it is gone"],
        ),
    ] {
        assert_eq!(problems(&all), want);
    }
}

#[test]
fn any_policy_that_selects_the_pod_keeps_its_gate_when_it_adds_reach() {
    let hash = |value: &str| json!({"podSelector": {"matchLabels": {"pod-template-hash": value}}, "egress": [{}]});
    let wide = "NetworkPolicy `other`: without `to` a rule is for everybody; \
                allow only pods with `app: nginx-analysis-1` on TCP 80, 8080";
    let unknown = "NetworkPolicy `other`: nothing that Flamewarden knows; it may let anything through, so leave it out";
    for (spec, want) in [
        (json!({"podSelector": {}}), vec![]),
        (json!({"podSelector": {"matchLabels": {"app": "analysis-2"}}, "egress": [{}]}), vec![]),
        (hash("h2"), vec![]),
        (hash("h1"), vec![wide]),
        // What the pod's binding will bring, or somebody else.
        (json!({"podSelector": {"matchLabels": {"topology.kubernetes.io/zone": "z"}}, "egress": [{}]}), vec![wide]),
        (json!({"podSelector": {"matchLabels": {"flamewarden.dev/analysis": "x"}}, "egress": [{}]}), vec![wide]),
        (json!({"podSelector": {"matchLabels": {"topology.kubernetes.io/zone": "no value!"}}, "egress": [{}]}), vec![]),
        (json!({"podSelector": {"matchLabels": {"k8s-app": "x"}}, "egress": [{}]}), vec![]),
        (json!({"podSelector": {}, "egress": [{}]}), vec![wide]),
        (json!({"podSelector": {"matchFields": []}, "egress": [{}]}), vec![wide]),
        (json!({"podSelector": {"matchLabels": {"app": "hub"}}, "x": 1}), vec![unknown]),
        // For this very pod, what its own gateway gets through a wide selector is no addition.
        (json!({"podSelector": {}, "egress": [{"to": [gateway("analysis-1")], "ports": [{"port": 80}]}]}), vec![]),
    ] {
        assert_eq!(problems(&[other(&spec), ours()]), want, "{spec}");
    }
}

#[test]
fn reach_names_every_rule_that_lets_something_through() {
    let none = Reach { isolated: BTreeSet::new(), openings: Vec::new() };
    assert_eq!(with_pod(&[], reach), none);
    let egress_only = other(&json!({
        "podSelector": {"matchLabels": {"app": "analysis-1"}}, "policyTypes": ["Egress"],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 443}]}, {}], "ingress": [{}],
    }));
    let stranger = other(&json!({"podSelector": {"matchLabels": {"app": "analysis-2"}}, "ingress": [{}]}));
    let opening = |index: usize, peers: &[&str], ports: &[&str]| Opening {
        policy: "other".to_owned(),
        rule: FieldPath::of(&["spec", "egress"]).index(index),
        direction: Direction::Egress,
        peers: peers.iter().map(ToString::to_string).collect(),
        ports: ports.iter().map(ToString::to_string).collect(),
    };
    let want = Reach {
        isolated: BTreeSet::from([Direction::Egress]),
        openings: vec![
            opening(0, &[r#"{"ipBlock":{"cidr":"10.0.0.0/8"}}"#], &[r#"{"port":443}"#]),
            opening(1, &[], &[]),
        ],
    };
    assert_eq!(with_pod(&[egress_only, stranger], reach), want);
    // What nobody can read opens, and does not isolate.
    let unknown = other(&json!({"podSelector": {"matchFields": []}, "policyTypes": ["Egress"], "egress": [{}]}));
    let want = Reach { isolated: BTreeSet::new(), openings: vec![opening(0, &[], &[])] };
    assert_eq!(with_pod(&[unknown], reach), want);
}

/// What an editor stores in a namespace must not make its policies unreadable: no gate would open then.
#[test]
fn a_list_of_large_policies_is_judged_and_one_too_large_holds_only_whom_it_could_select() {
    // In the API server's order.
    let large = |selector: &str, blocks: usize| {
        let blocks = vec![r#"{"ipBlock":{"cidr":"10.0.0.0/32"}}"#; blocks].join(",");
        format!(r#"{{"metadata":{{"name":"other"}},"spec":{{{selector}"egress":[{{"to":[{blocks}]}}]}}}}"#)
    };
    let nobody = r#""podSelector":{"matchLabels":{"x":"y"}},"#;
    let pod = r#""podSelector":{"matchLabels":{"pod-template-hash":"h1"}},"#;
    let many: Vec<String> = (0..101_000).map(|n| format!(r#""k{n}":"""#)).collect();
    let many_labels = format!(r#""podSelector":{{"matchLabels":{{"x":"y",{}}}}},"#, many.join(","));
    let many = vec![r#"{"key":"x","operator":"Exists"}"#; 34_000].join(",");
    let many_expressions = format!(r#""podSelector":{{"matchLabels":{{}},"matchExpressions":[{many}]}},"#);
    let too_large = "NetworkPolicy `other`: too large to be judged; it may let anything through, so split it";
    let block = "NetworkPolicy `other`: an address block is no peer of an analysis; \
                 allow only pods with `app: nginx-analysis-1` on TCP 80, 8080";
    for (selector, blocks, count, want) in [
        (nobody, 23_000, 15, vec![]),
        (nobody, 50_000, 1, vec![]),
        (nobody, 90_000, 1, vec![]),
        (&many_labels, 2, 1, vec![]),
        (&many_labels, 50_000, 1, vec![]),
        (&many_expressions, 2, 1, vec![too_large]),
        (pod, 2, 1, vec![block, block]),
        (pod, 50_000, 2, vec![too_large, too_large]),
        (pod, 90_000, 1, vec![too_large]),
        // Where its selector is not known, it could select anybody.
        (r#""podSelector":{"matchFields":{"x":"y"}},"#, 50_000, 1, vec![too_large]),
        ("", 50_000, 1, vec![too_large]),
    ] {
        let list = format!(r#"{{"kind":"L","items":[{},{}]}}"#, vec![large(selector, blocks); count].join(","), ours());
        assert_eq!(judged(&list), want, "{count} of {blocks} address blocks for {selector}");
    }
}

fn judged(list: &str) -> Vec<String> {
    let set = policies();
    with_pod(&[], |_, pod| {
        let mut union = Union::of(pod, &set);
        let mut cutter = ItemCutter::new(&[&[]], 2 << 20);
        for piece in list.as_bytes().chunks(4096) {
            cutter.feed(piece, |policy| union.add_text(policy));
        }
        assert_eq!(String::from_utf8(cutter.around()).unwrap(), r#"{"kind":"L","items":[]}"#);
        union.problems().into_iter().map(|finding| finding.message).collect()
    })
}
