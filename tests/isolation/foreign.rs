//! Policies of other networks: whatever does not plainly exclude analyses could select one.

use flamewarden::isolation::{FOREIGN, Foreign, Scope, content_hash, could_select, foreign_refusal, judge_foreign};
use flamewarden::model::parse;
use flamewarden::policy::TrustedPolicy;
use serde_json::{Value, json};

use crate::policies;

fn selects(group: &str, resource: &str, spec: &Value) -> bool {
    let text = json!({"metadata": {"name": "p", "namespace": "flame"}, "spec": spec}).to_string();
    let object = parse(text.as_bytes()).unwrap();
    let kind = Foreign::of(group, resource).unwrap();
    let could = could_select(kind, &object, &policies());
    assert_eq!(!judge_foreign(kind, &object, &policies()).is_empty(), could, "{text}");
    could
}

#[test]
fn each_kind_is_refused_or_a_fact_by_where_it_lives() {
    let scopes: Vec<String> = FOREIGN
        .iter()
        .map(|kind| {
            let scope = if kind.scope == Scope::Namespaced { "refused" } else { "fact" };
            format!("{}.{} {scope}", kind.resource, kind.group)
        })
        .collect();
    assert_eq!(
        scopes,
        [
            "ciliumnetworkpolicies.cilium.io refused",
            "ciliumclusterwidenetworkpolicies.cilium.io fact",
            "ciliumlocalredirectpolicies.cilium.io refused",
            "networkpolicies.crd.projectcalico.org refused",
            "networkpolicies.projectcalico.org refused",
            "globalnetworkpolicies.crd.projectcalico.org fact",
            "globalnetworkpolicies.projectcalico.org fact",
            "networkpolicies.crd.antrea.io refused",
            "clusternetworkpolicies.crd.antrea.io fact",
            "adminnetworkpolicies.policy.networking.k8s.io fact",
            "baselineadminnetworkpolicies.policy.networking.k8s.io fact",
            "clusternetworkpolicies.policy.networking.k8s.io fact",
            "fqdnnetworkpolicies.networking.gke.io refused",
            "applicationnetworkpolicies.networking.k8s.aws refused",
            "clusternetworkpolicies.networking.k8s.aws fact",
        ]
    );
    assert!(Foreign::of("networking.k8s.io", "networkpolicies").is_none());
}

#[test]
fn cilium() {
    let labels =
        |labels: Value| json!({"endpointSelector": {"matchLabels": labels}, "egress": [{"toEntities": ["all"]}]});
    for (spec, want) in [
        (json!({"endpointSelector": {}}), true),
        (json!({"nodeSelector": {}}), true),
        (json!({}), true),
        (labels(json!({"app": "analysis-1"})), true),
        (labels(json!({"component": "flame-analysis"})), true),
        (labels(json!({"k8s:app": "analysis-1"})), true),
        (labels(json!({"app": "hub-adapter"})), false),
        (labels(json!({"k8s:app": "hub-adapter"})), false),
        (labels(json!({"any:component": "flame-po"})), false),
        (labels(json!({"tier": "db"})), false),
        // Labels that Cilium makes up for every pod.
        (labels(json!({"k8s:io.kubernetes.pod.namespace": "flame"})), true),
        (labels(json!({"io.cilium.k8s.policy.serviceaccount": "default"})), true),
        (labels(json!({"reserved:all": ""})), true),
        (labels(json!({"k8s.app": "x"})), true),
        // It can be told to ignore labels, so their absence says nothing.
        (json!({"endpointSelector": {"matchExpressions": [{"key": "component", "operator": "DoesNotExist"}]}}), true),
        (
            json!({"endpointSelector": {"matchExpressions": [
                {"key": "component", "operator": "NotIn", "values": ["flame-analysis"]},
            ]}}),
            true,
        ),
        (
            json!({"endpointSelector": {"matchExpressions": [
                {"key": "app", "operator": "In", "values": ["hub-adapter", "po"]},
            ]}}),
            false,
        ),
        (
            json!({"endpointSelector": {"matchExpressions": [
                {"key": "app", "operator": "In", "values": ["hub-adapter", "analysis-1"]},
            ]}}),
            true,
        ),
    ] {
        assert_eq!(selects("cilium.io", "ciliumnetworkpolicies", &spec), want, "{spec}");
    }
}

#[test]
fn each_of_ciliums_several_rules_counts() {
    let rule = |app: &str| json!({"endpointSelector": {"matchLabels": {"app": app}}});
    let kind = Foreign::of("cilium.io", "ciliumnetworkpolicies").unwrap();
    for (object, want) in [
        (json!({"specs": [rule("po"), rule("hub")]}), false),
        (json!({"specs": [rule("po"), rule("analysis-1")]}), true),
        (json!({"spec": rule("po"), "specs": [rule("analysis-1")]}), true),
        (json!({"spec": rule("analysis-1"), "specs": [rule("po")]}), true),
        (json!({"specs": rule("po")}), true),
        (json!({}), true),
    ] {
        let text = object.to_string();
        assert_eq!(could_select(kind, &parse(text.as_bytes()).unwrap(), &policies()), want, "{text}");
    }
}

#[test]
fn ciliums_redirects() {
    let service = |name: &str| json!({"serviceMatcher": {"serviceName": name, "namespace": "flame"}});
    let selected = |labels: Value| json!({"localEndpointSelector": {"matchLabels": labels}});
    let web = || selected(json!({"app": "web"}));
    for (frontend, backend, want) in [
        (service("web"), web(), false),
        (service("web"), selected(json!({"k8s:app": "hub-adapter"})), false),
        (service("web"), selected(json!({})), true),
        (service("web"), selected(json!({"component": "flame-analysis"})), true),
        (service("web"), json!({}), true),
        (service("analysis-1"), web(), true),
        (service("nginx-analysis-1"), web(), true),
        (json!({"addressMatcher": {"ip": "10.96.0.7"}}), web(), true),
        (json!({"serviceMatcher": {"serviceName": "web"}, "addressMatcher": {"ip": "10.96.0.7"}}), web(), true),
        (json!({"serviceMatcher": {}}), web(), true),
        (json!({}), web(), true),
    ] {
        let spec = json!({"redirectFrontend": frontend, "redirectBackend": backend});
        assert_eq!(selects("cilium.io", "ciliumlocalredirectpolicies", &spec), want, "{spec}");
    }
}

#[test]
fn those_that_select_pods_as_networkpolicies_do() {
    let labels = |labels: Value| json!({"podSelector": {"matchLabels": labels}, "egress": [{}]});
    for (spec, want) in [
        (json!({}), true),
        (json!({"podSelector": {}}), true),
        (labels(json!({"app": "analysis-1"})), true),
        (labels(json!({"component": "flame-analysis"})), true),
        (labels(json!({"app": "web"})), false),
        (labels(json!({"tier": "db"})), false),
        (
            json!({"podSelector": {"matchExpressions": [
                {"key": "component", "operator": "NotIn", "values": ["flame-analysis"]},
            ]}}),
            true,
        ),
    ] {
        for (group, resource) in
            [("networking.gke.io", "fqdnnetworkpolicies"), ("networking.k8s.aws", "applicationnetworkpolicies")]
        {
            assert_eq!(selects(group, resource, &spec), want, "{spec}");
        }
    }
}

#[test]
fn calico() {
    for (selector, want) in [
        ("", true),
        ("all()", true),
        ("app == 'analysis-1'", true),
        ("app == 'hub-adapter'", false),
        (r#"app=="hub-adapter""#, false),
        ("has(tier)", false),
        ("has(app)", true),
        ("tier == 'db' && has(app)", false),
        ("component == 'flame-analysis' && has(app)", true),
        ("pod-template-hash == 'x'", true),
        ("app == 'hub-adapter' || all()", true),
        ("app == 'hub-adapter' || app == 'analysis-1'", true),
        ("app != 'analysis-1'", true),
        ("!has(tier)", true),
        ("has(tier) || has(app)", true),
        ("app in {'hub-adapter'}", true),
        ("(app == 'hub-adapter')", true),
        ("app == 'a && b'", true),
        ("app == 'po' && app == 'hub'", true),
        ("projectcalico.org/namespace == 'elsewhere'", true),
        ("pcns.kubernetes.io/metadata.name == 'elsewhere'", true),
    ] {
        let spec = json!({"selector": selector});
        for group in ["projectcalico.org", "crd.projectcalico.org"] {
            assert_eq!(selects(group, "networkpolicies", &spec), want, "{selector}");
            assert_eq!(selects(group, "globalnetworkpolicies", &spec), want, "{selector}");
        }
    }
    assert!(selects("projectcalico.org", "networkpolicies", &json!({})));
    assert!(selects("projectcalico.org", "networkpolicies", &json!({"selector": 1})));
}

#[test]
fn antrea() {
    let pods = |app: &str| json!({"podSelector": {"matchLabels": {"app": app}}});
    for (spec, want) in [
        (json!({}), true),
        (json!({"appliedTo": []}), true),
        (json!({"appliedTo": [pods("po")]}), false),
        (json!({"appliedTo": [pods("po"), pods("analysis-1")]}), true),
        (json!({"appliedTo": [{"podSelector": {}}]}), true),
        (json!({"appliedTo": [{"namespaceSelector": {}}]}), true),
        (json!({"appliedTo": [{"group": "g"}]}), true),
        (json!({"appliedTo": [{"podSelector": {"matchLabels": {"app": "po"}}, "group": "g"}]}), true),
        (json!({"ingress": [{"appliedTo": [pods("po")]}], "egress": [{"appliedTo": [pods("hub")]}]}), false),
        (json!({"ingress": [{"appliedTo": [pods("po")]}], "egress": [{"appliedTo": [pods("analysis-1")]}]}), true),
        (json!({"appliedTo": [pods("po")], "egress": [{"appliedTo": [{}]}]}), true),
    ] {
        assert_eq!(selects("crd.antrea.io", "networkpolicies", &spec), want, "{spec}");
        assert_eq!(selects("crd.antrea.io", "clusternetworkpolicies", &spec), want, "{spec}");
    }
}

#[test]
fn the_admin_tier() {
    let named = |name: &str| json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
    for (subject, want) in [
        (json!(null), true),
        (json!({}), true),
        (json!({"namespaces": {}}), true),
        (json!({"namespaces": named("flame")}), true),
        (json!({"namespaces": named("elsewhere")}), false),
        (json!({"namespaces": {"matchLabels": {"team": "x"}}}), true),
        (json!({"namespaces": named("elsewhere"), "pods": {}}), true),
        (json!({"namespaces": named("elsewhere"), "x": {}}), true),
        (
            json!({"namespaces": {"matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["flame", "analyses", "default"]},
            ]}}),
            false,
        ),
        (
            json!({"namespaces": {"matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["flame", "default"]},
            ]}}),
            true,
        ),
        (json!({"pods": {"namespaceSelector": {}, "podSelector": {}}}), true),
        (json!({"pods": {"namespaceSelector": named("elsewhere"), "podSelector": {}}}), false),
        (json!({"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "po"}}}}), false),
        (json!({"pods": {"podSelector": {"matchLabels": {"app": "po"}}, "x": 1}}), true),
    ] {
        let spec = json!({"subject": subject});
        for resource in ["adminnetworkpolicies", "baselineadminnetworkpolicies", "clusternetworkpolicies"] {
            assert_eq!(selects("policy.networking.k8s.io", resource, &spec), want, "{spec}");
        }
        assert_eq!(selects("networking.k8s.aws", "clusternetworkpolicies", &spec), want, "{spec}");
    }
}

#[test]
fn a_refusal_says_where_and_what_to_do() {
    let text = json!({"spec": {"endpointSelector": {}}}).to_string();
    let kind = Foreign::of("cilium.io", "ciliumnetworkpolicies").unwrap();
    let findings = judge_foreign(kind, &parse(text.as_bytes()).unwrap(), &policies());
    assert_eq!(
        findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "network-policy: spec.endpointSelector ({}): this ciliumnetworkpolicies of cilium.io could select an analysis \
          or its gateway, and what it lets through is not known to Flamewarden; let its selector ask for an `app` or \
          `component` that no analysis has"
        ]
    );
    let redirect = json!({"spec": {
        "redirectFrontend": {"addressMatcher": {"ip": "10.96.0.7"}},
        "redirectBackend": {"localEndpointSelector": {"matchLabels": {"app": "web"}}},
    }});
    let (text, kind) = (redirect.to_string(), Foreign::of("cilium.io", "ciliumlocalredirectpolicies").unwrap());
    let findings = judge_foreign(kind, &parse(text.as_bytes()).unwrap(), &policies());
    assert_eq!(
        findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["network-policy: spec.redirectFrontend ({\"addressMatcher\":{\"ip\":\"10.96.0.7\"}}): this \
          ciliumlocalredirectpolicies of cilium.io could lead to others what is meant for an analysis; let its \
          `serviceMatcher` name a Service that is no analysis's"]
    );
}

#[test]
fn a_policy_that_the_profile_names_is_trusted_as_long_as_its_content_stays() {
    let kind = Foreign::of("crd.projectcalico.org", "globalnetworkpolicies").unwrap();
    let text = |name: &str, order: &str| {
        format!(r#"{{"kind":"GlobalNetworkPolicy","metadata":{{"name":"{name}","uid":"1"}},"spec":{{{order}}}}}"#)
    };
    let (one, other) = (r#""selector":"all()","order":1"#, r#""order":1,"selector":"all()""#);
    let mut set = policies();
    set.analysis.network.trusted = vec![TrustedPolicy {
        group: kind.group.to_owned(),
        resource: kind.resource.to_owned(),
        name: "dns".to_owned(),
        sha256: content_hash(&parse(text("any", one).as_bytes()).unwrap()),
    }];
    for (name, spec, refused) in [
        ("dns", one, false),
        ("dns", other, false),
        ("dns", r#""selector":"all()","order":2"#, true),
        ("other", one, true),
        ("other", r#""selector":"app == 'web'""#, false),
    ] {
        let text = text(name, spec);
        let refusal = foreign_refusal(kind, &parse(text.as_bytes()).unwrap(), &set);
        assert_eq!(refusal.is_some(), refused, "{text}");
    }
}
