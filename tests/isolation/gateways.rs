//! Gateways where Flamewarden makes analyses: no policy but their own opens them.

use flamewarden::isolation::{Foreign, added_reach, could_select, judge_policy};
use flamewarden::model::parse;
use flamewarden::policy::PolicySet;
use serde_json::{Value, json};

use crate::dns;

fn policies(orchestrator: bool) -> PolicySet {
    let orchestrator = if orchestrator { include_str!("../bundle/orchestrator.yaml") } else { "" };
    let orchestrator = orchestrator.replace("analyses", "flame");
    let files = [
        ("flame-analysis.yaml", include_str!("../../policies/flame-analysis.yaml")),
        ("flame-gateway.yaml", include_str!("../../policies/flame-gateway.yaml")),
        ("installation.yaml", include_str!("../bundle/installation.yaml")),
        ("orchestrator.yaml", orchestrator.as_str()),
    ];
    PolicySet::parse(files.into_iter().filter(|(_, text)| !text.is_empty())).unwrap()
}

fn policy(name: &str, namespace: &str, spec: &Value) -> String {
    json!({"metadata": {"name": name, "namespace": namespace}, "spec": spec}).to_string()
}

fn found(policies: &PolicySet, policy: &str) -> Vec<String> {
    let found = judge_policy(&parse(policy.as_bytes()).unwrap(), policies);
    found.into_iter().map(|finding| finding.path.to_string()).collect()
}

#[test]
fn only_its_own_policy_opens_a_gateway_that_flamewarden_makes() {
    let (with, without) = (policies(true), policies(false));
    let gateways = || json!({"component": "flame-analysis-nginx"});
    let open = |labels: Value| json!({"podSelector": {"matchLabels": labels}, "ingress": [{}]});
    let app = "nginx-analysis-0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f-1";
    for (policies, name, namespace, spec, want) in [
        (&with, "p", "flame", open(gateways()), &["spec.ingress[0]"][..]),
        (&with, "p", "flame", open(json!({"app": app})), &["spec.ingress[0]"]),
        (&with, "p", "flame", open(json!({"flamewarden.dev/analysis": "x"})), &["spec.ingress[0]"]),
        (
            &with,
            "p",
            "flame",
            json!({"podSelector": {"matchLabels": gateways()}, "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}),
            &["spec.egress[0]"],
        ),
        // What narrows, or opens names alone, or others.
        (&with, "p", "flame", json!({"podSelector": {"matchLabels": gateways()}}), &[]),
        (
            &with,
            "p",
            "flame",
            json!({"podSelector": {}, "egress": [{"to": [dns()], "ports": [{"protocol": "UDP", "port": 53}]}]}),
            &[],
        ),
        (&with, "p", "flame", open(json!({"app": "hub-adapter"})), &[]),
        (&with, "p", "flame", open(json!({"app": "nginx-web"})), &[]),
        // Flamewarden's own, whose names are nobody else's; other namespaces; FLAME's gateways.
        (&with, "flamewarden-nginx-analysis-1", "flame", open(gateways()), &[]),
        (&with, "p", "elsewhere", open(gateways()), &[]),
        (&with, "p", "", open(gateways()), &["spec.ingress[0]"]),
        (&without, "p", "flame", open(gateways()), &[]),
    ] {
        assert_eq!(found(policies, &policy(name, namespace, &spec)), want, "{name} {namespace} {spec}");
    }
}

#[test]
fn what_a_change_adds_to_a_gateway_counts_and_what_was_there_does_not() {
    let set = policies(true);
    let with = |ingress: Value| {
        let labels = json!({"component": "flame-analysis-nginx"});
        policy("p", "flame", &json!({"podSelector": {"matchLabels": labels}, "ingress": ingress}))
    };
    let rule = |port: u16| json!({"ports": [{"port": port}]});
    for (old, new, want) in [
        (json!([]), json!([rule(1)]), 1),
        (json!([rule(1)]), json!([rule(1)]), 0),
        (json!([rule(1), rule(2)]), json!([rule(1)]), 0),
        (json!([rule(1)]), json!([rule(1), rule(2)]), 1),
    ] {
        let (before, after) = (with(old.clone()), with(new.clone()));
        let (before, after) = (parse(before.as_bytes()).unwrap(), parse(after.as_bytes()).unwrap());
        assert_eq!(added_reach(&before, &after, &set).len(), want, "{old} {new}");
    }
}

#[test]
fn other_networks_policies_may_not_select_such_a_gateway_either() {
    let text =
        policy("p", "flame", &json!({"endpointSelector": {"matchLabels": {"component": "flame-analysis-nginx"}}}));
    let cilium = Foreign::of("cilium.io", "ciliumnetworkpolicies").unwrap();
    let elsewhere = text.replace("\"flame\"", "\"elsewhere\"");
    for (orchestrator, text, want) in [(true, &text, true), (false, &text, false), (true, &elsewhere, false)] {
        assert_eq!(could_select(cilium, &parse(text.as_bytes()).unwrap(), &policies(orchestrator)), want, "{text}");
    }
}
