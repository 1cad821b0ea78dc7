//! What NetworkPolicies could do to analyses that could exist, one trick to a row.

use flamewarden::isolation::{judge_policy, policy};
use flamewarden::model::parse;
use serde_json::{Value, json};

use crate::{OTHER_DNS, dns, gateway, object, policies, policies_with};

/// Rule, place and value of every finding.
fn found(spec: &Value) -> Vec<(String, String)> {
    let text = object(spec);
    let findings = judge_policy(&parse(text.as_bytes()).unwrap(), &policies());
    findings.into_iter().map(|finding| (finding.path.to_string(), finding.value)).collect()
}

fn places(spec: &Value) -> Vec<String> {
    found(spec).into_iter().map(|(place, _)| place).collect()
}

/// A policy of one egress rule for `analysis-1`.
fn egress(peer: &Value, ports: &Value) -> Value {
    json!({
        "podSelector": {"matchLabels": {"app": "analysis-1"}}, "policyTypes": ["Egress"],
        "egress": [{"to": [peer], "ports": ports}],
    })
}

fn web() -> Value {
    json!([{"port": 80}])
}

#[test]
fn our_own_policy_is_as_decided_and_has_no_findings() {
    let set = policies();
    let made = policy("analysis-1", "flame", &set.analysis, &set.gateway);
    let nginx =
        json!([{"podSelector": {"matchLabels": {"app": "nginx-analysis-1", "component": "flame-analysis-nginx"}}}]);
    assert_eq!(
        made,
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {
                "name": "flamewarden-analysis-1",
                "namespace": "flame",
                "labels": {"app.kubernetes.io/managed-by": "flamewarden", "flamewarden.dev/isolates": "analysis-1"},
                "finalizers": ["flamewarden.dev/isolation"],
            },
            "spec": {
                "podSelector": {"matchLabels": {"app": "analysis-1", "component": "flame-analysis"}},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": nginx, "ports": [{"protocol": "TCP", "port": 8000}]}],
                "egress": [
                    {"to": nginx, "ports": [{"protocol": "TCP", "port": 80}, {"protocol": "TCP", "port": 8080}]},
                    {"to": [dns()], "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
                ],
            },
        })
    );
    assert_eq!(judge_policy(&parse(made.to_string().as_bytes()).unwrap(), &set), []);
}

#[test]
fn policies_that_add_nothing_have_no_findings() {
    let own = gateway("analysis-1");
    let mut narrower = own.clone();
    narrower["podSelector"]["matchLabels"]["tier"] = json!("front");
    for spec in [
        json!({"podSelector": {}}),
        json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}),
        json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": null}),
        json!({"podSelector": {"matchLabels": {"app": "hub-adapter"}}, "ingress": [{}], "egress": [{}]}),
        // Rules of a direction that is not among the types say nothing.
        json!({"podSelector": {}, "policyTypes": ["Egress"], "ingress": [{}]}),
        json!({"podSelector": {}, "policyTypes": ["Ingress"], "egress": [{}]}),
        egress(&own, &web()),
        egress(&narrower, &web()),
        egress(&own, &json!([{"protocol": "TCP", "port": 80}, {"port": 8080, "endPort": 8080}])),
        egress(&dns(), &json!([{"protocol": "UDP", "port": 53}, {"port": 53}])),
        // Only DNS may be opened to several analyses at once.
        json!({"podSelector": {}, "egress": [{"to": [dns()], "ports": [{"protocol": "UDP", "port": 53}]}]}),
        json!({
            "podSelector": {"matchLabels": {"app": "analysis-1"}},
            "ingress": [{"from": [own], "ports": [{"port": 8000}]}],
        }),
        // Naming the own namespace is the same as naming none.
        egress(
            &json!({
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "flame"}},
                "podSelector": {"matchLabels": {"app": "nginx-analysis-1"}},
            }),
            &web(),
        ),
        // A peer that cannot exist.
        egress(
            &json!({"podSelector": {
                "matchLabels": {"a": "1"}, "matchExpressions": [{"key": "a", "operator": "DoesNotExist"}],
            }}),
            &json!([]),
        ),
        egress(
            &json!({"namespaceSelector": {"matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "DoesNotExist"},
            ]}}),
            &json!([]),
        ),
    ] {
        assert_eq!(found(&spec), [], "{spec}");
    }
}

#[test]
fn peers_that_the_profile_does_not_allow_are_found() {
    let to = "spec.egress[0].to[0]";
    for (peer, ports, want) in [
        (json!({"podSelector": {}}), web(), vec![to]),
        (json!({"podSelector": {"matchLabels": {"app": "hub-adapter"}}}), web(), vec![to]),
        (gateway("analysis-2"), web(), vec![to]),
        (json!({"podSelector": {"matchLabels": {"component": "flame-analysis-nginx"}}}), web(), vec![to]),
        (json!({"namespaceSelector": {}}), web(), vec![to]),
        (
            json!({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "nginx-analysis-1"}}}),
            web(),
            vec![to],
        ),
        (json!({"ipBlock": {"cidr": "0.0.0.0/0"}}), web(), vec![to]),
        (json!({"ipBlock": {"cidr": "169.254.169.254/32"}}), web(), vec![to]),
        (json!({"ipBlock": {"cidr": "::/0"}}), web(), vec![to]),
        (json!({}), web(), vec![to]),
        (json!({"podSelector": {"matchLabels": {"app": "nginx-analysis-1"}}, "ipBlock": {}}), web(), vec![to]),
        (json!({"podSelector": {"matchLabels": {"app": "nginx-analysis-1"}}, "x": 1}), web(), vec![to]),
        (
            json!({"podSelector": {"matchExpressions": [
                {"key": "app", "operator": "In", "values": ["nginx-analysis-1", "po"]},
            ]}}),
            web(),
            vec![to],
        ),
        (
            json!({"podSelector": {"matchExpressions": [
                {"key": "app", "operator": "Gt", "values": ["nginx-analysis-1"]},
            ]}}),
            web(),
            vec![to],
        ),
        // DNS in every namespace, every pod of kube-system, DNS's name on other pods.
        (
            json!({"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}),
            json!([{"port": 53}]),
            vec![to],
        ),
        (json!({"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}), json!([{"port": 53}]), vec![to]),
        (
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}),
            json!([{"port": 53}]),
            vec![to],
        ),
        (
            json!({
                "namespaceSelector": {"matchLabels": {"name": "kube-system"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
            }),
            json!([{"port": 53}]),
            vec![to],
        ),
    ] {
        assert_eq!(places(&egress(&peer, &ports)), want, "{peer}");
    }
}

/// An address counts only as that one address, written plainly; whatever else runtimes might read it as is refused.
#[test]
fn only_the_profile_s_own_address_answers_for_names() {
    let set = policies_with(OTHER_DNS);
    let block = |cidr: &str| json!({"ipBlock": {"cidr": cidr}});
    let udp = json!([{"protocol": "UDP", "port": 53}]);
    let (to, ports) = ("spec.egress[0].to[0]", "spec.egress[0].ports[0]");
    for (peer, opened, want) in [
        (block("169.254.20.10/32"), udp.clone(), vec![]),
        (block("169.254.20.10/32"), json!([{"port": 53}]), vec![]),
        (block("fd00::a/128"), udp.clone(), vec![]),
        (block("fd00:0::a/128"), udp.clone(), vec![]),
        (block("169.254.20.10/31"), udp.clone(), vec![to]),
        (block("169.254.20.10/0"), udp.clone(), vec![to]),
        (block("169.254.20.10/032"), udp.clone(), vec![to]),
        (block("169.254.20.10/33"), udp.clone(), vec![to]),
        (block("169.254.20.10"), udp.clone(), vec![to]),
        (block("169.254.020.10/32"), udp.clone(), vec![to]),
        (block(" 169.254.20.10/32"), udp.clone(), vec![to]),
        (block("::ffff:169.254.20.10/128"), udp.clone(), vec![to]),
        (block("fd00::a/32"), udp.clone(), vec![to]),
        (block("169.254.20.11/32"), udp.clone(), vec![to]),
        (json!({"ipBlock": {"cidr": "169.254.20.10/32", "except": ["169.254.20.11/32"]}}), udp.clone(), vec![to]),
        (json!({"ipBlock": {"cidr": "169.254.20.10/32", "x": 1}}), udp.clone(), vec![to]),
        (json!({"ipBlock": {"cidr": 1}}), udp.clone(), vec![to]),
        (block("169.254.20.10/32"), json!([{"port": 5353}]), vec![ports]),
        (block("169.254.20.10/32"), json!([{"port": 80}]), vec![ports]),
        (block("169.254.20.10/32"), json!(null), vec!["spec.egress[0].ports"]),
        // The shipped peer is none any more.
        (dns(), udp.clone(), vec![to]),
        (
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "lab"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}),
            json!([{"port": 5353}]),
            vec![to],
        ),
        (
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "lab"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns", "x": "1"}}}),
            json!([{"port": 5353}]),
            vec![],
        ),
        (
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "lab"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns", "x": "1"}}}),
            json!([{"port": 53}]),
            vec![ports],
        ),
    ] {
        let text = object(&egress(&peer, &opened));
        let found = judge_policy(&parse(text.as_bytes()).unwrap(), &set);
        let found: Vec<String> = found.into_iter().map(|finding| finding.path.to_string()).collect();
        assert_eq!(found, want, "{peer} {opened}");
    }
    // It may be asked; it may not ask.
    let ingress = json!({"podSelector": {"matchLabels": {"app": "analysis-1"}},
        "ingress": [{"from": [block("169.254.20.10/32")], "ports": [{"port": 53}]}]});
    assert_eq!(judge_policy(&parse(object(&ingress).as_bytes()).unwrap(), &set).len(), 1);
    // Where the profile does not name it, it is no peer.
    assert_eq!(places(&egress(&block("169.254.20.10/32"), &udp)), [to]);
}

#[test]
fn other_peers_for_names_stand_in_our_own_policy() {
    let set = policies_with(OTHER_DNS);
    let made = policy("analysis-1", "flame", &set.analysis, &set.gateway);
    let ports = |port: u16| json!([{"protocol": "UDP", "port": port}, {"protocol": "TCP", "port": port}]);
    assert_eq!(
        made["spec"]["egress"].as_array().unwrap()[1..],
        [
            json!({"to": [{
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "lab"}},
                "podSelector": {"matchLabels": {"k8s-app": "kube-dns", "x": "1"}},
            }], "ports": ports(5353)}),
            json!({"to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}], "ports": ports(53)}),
            json!({"to": [{"ipBlock": {"cidr": "fd00::a/128"}}], "ports": ports(53)}),
        ]
    );
    assert_eq!(judge_policy(&parse(made.to_string().as_bytes()).unwrap(), &set), []);
}

#[test]
fn ports_that_the_profile_does_not_allow_are_found() {
    let own = gateway("analysis-1");
    let (all, first) = ("spec.egress[0].ports", "spec.egress[0].ports[0]");
    for (peer, ports, want) in [
        (&own, json!(null), vec![all]),
        (&own, json!([]), vec![all]),
        (&own, json!("80"), vec!["spec.egress[0].ports", all]),
        (&own, json!([{}]), vec![first]),
        (&own, json!([{"protocol": "TCP"}]), vec![first]),
        (&own, json!([{"port": 443}]), vec![first]),
        (&own, json!([{"port": 80}, {"port": 81}]), vec!["spec.egress[0].ports[1]"]),
        (&own, json!([{"port": 80, "protocol": "UDP"}]), vec![first]),
        (&own, json!([{"port": 80, "protocol": "SCTP"}]), vec![first]),
        (&own, json!([{"port": 80, "protocol": "tcp"}]), vec![first]),
        (&own, json!([{"port": 80, "endPort": 8080}]), vec![first]),
        (&own, json!([{"port": 80, "endPort": 79}]), vec![first]),
        (&own, json!([{"port": 80, "endPort": 70000}]), vec![first]),
        (&own, json!([{"endPort": 80}]), vec![first]),
        (&own, json!([{"port": "http"}]), vec![first]),
        (&own, json!([{"port": "80"}]), vec![first]),
        (&own, json!([{"port": 0}]), vec![first]),
        (&own, json!([{"port": 80.5}]), vec![first]),
        (&own, json!([{"port": 80, "x": 1}]), vec![first]),
        (&own, json!([{"port": 53}]), vec![first]),
        (&dns(), json!([]), vec![all]),
        (&dns(), json!([{"port": 9153}]), vec![first]),
        (&dns(), json!([{"port": 80}]), vec![first]),
    ] {
        assert_eq!(places(&egress(peer, &ports)), want, "{ports}");
    }
}

#[test]
fn rules_and_specs_that_open_more_are_found() {
    let own = json!({"matchLabels": {"app": "analysis-1"}});
    for (spec, want) in [
        (json!({"podSelector": {}, "egress": [{}]}), vec!["spec.egress[0]"]),
        (json!({"egress": [{"to": []}]}), vec!["spec.egress[0]"]),
        (json!({"podSelector": {}, "ingress": [{}]}), vec!["spec.ingress[0]"]),
        (json!({"podSelector": own, "ingress": [{"from": null, "ports": [{"port": 8000}]}]}), vec!["spec.ingress[0]"]),
        (json!({"podSelector": own, "ingress": [{"from": [gateway("analysis-1")]}]}), vec!["spec.ingress[0].ports"]),
        (
            json!({"podSelector": own, "ingress": [{"from": [gateway("analysis-1")], "ports": [{"port": 80}]}]}),
            vec!["spec.ingress[0].ports[0]"],
        ),
        (
            json!({"podSelector": own, "ingress": [{"from": [dns()], "ports": [{"port": 53}]}]}),
            vec!["spec.ingress[0].from[0]"],
        ),
        // The gateway of one analysis is a stranger to all others that the policy selects too.
        (
            json!({"podSelector": {}, "egress": [{"to": [gateway("analysis-1")], "ports": [{"port": 80}]}]}),
            vec!["spec.egress[0].to[0]"],
        ),
        (
            json!({
                "podSelector": {"matchExpressions": [
                    {"key": "app", "operator": "In", "values": ["analysis-1", "analysis-2"]},
                ]},
                "egress": [{"to": [gateway("analysis-1")], "ports": [{"port": 80}]}],
            }),
            vec!["spec.egress[0].to[0]"],
        ),
        // Egress in a rule of ingress is a field that nobody knows.
        (
            json!({"podSelector": own, "ingress": [{"to": [gateway("analysis-1")]}]}),
            vec!["spec.ingress[0].to", "spec.ingress[0]"],
        ),
        (json!({"podSelector": own, "policyTypes": ["egress"]}), vec!["spec.policyTypes[0]"]),
        (
            json!({"podSelector": {}, "policyTypes": ["Both"], "egress": [{}]}),
            vec!["spec.policyTypes[0]", "spec.egress[0]"],
        ),
        (json!({"podSelector": own, "policyTypes": "Egress"}), vec!["spec.policyTypes"]),
        (json!({"podSelector": own, "egress": {}}), vec!["spec.egress"]),
        (json!({"podSelector": own, "egress": ["x"]}), vec!["spec.egress[0]", "spec.egress[0]"]),
        (json!({"podSelector": {"matchLabels": {"tier": "db"}}, "applyTo": "all"}), vec!["spec.applyTo"]),
        (json!({"PodSelector": {"matchLabels": {"tier": "db"}}}), vec!["spec.PodSelector"]),
        (json!("x"), vec!["spec"]),
    ] {
        assert_eq!(places(&spec), want, "{spec}");
    }
}

#[test]
fn a_finding_says_rule_place_value_and_what_to_do() {
    let text = object(&egress(&json!({"ipBlock": {"cidr": "0.0.0.0/0"}}), &web()));
    let shown: Vec<String> =
        judge_policy(&parse(text.as_bytes()).unwrap(), &policies()).iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            r#"network-policy: spec.egress[0].to[0] ({"ipBlock":{"cidr":"0.0.0.0/0"}}): an address block is no peer of an analysis; allow only pods with `app: nginx-analysis-1` on TCP 80, 8080"#
        ]
    );
}
