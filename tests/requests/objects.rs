//! Services, endpoints, configuration and network policies of guarded identities.

use serde_json::{Value, json};

use crate::ask::{
    ADMINISTRATOR, Asked, BREAK_GLASS, CONTROLLER, EDITOR, PO, create, delete, expect, kube_system, update, with,
};

fn service() -> Value {
    json!({
        "metadata": {"name": "analysis-1"},
        "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": {"app": "analysis-1"}, "ports": [{"port": 80}]},
    })
}

#[test]
fn services_of_guarded_identities_are_the_creators() {
    let broker = json!({"metadata": {"name": "broker"}, "spec": {"selector": {"app": "broker"}}});
    let thief = json!({"metadata": {"name": "thief"}, "spec": {"selector": {"app": "analysis-1"}}});
    let labelled =
        json!({"metadata": {"name": "y", "labels": {"component": "flame-analysis"}}, "spec": {"selector": {"a": "b"}}});
    let annotated = with(&service(), "/metadata/annotations", json!({"service.cilium.io/global": "true"}));
    let held = with(&service(), "/metadata/finalizers", json!(["x"]));
    let moved = with(&service(), "/spec/selector/app", json!("broker"));
    let namespaces = kube_system("namespace-controller");
    expect([
        ("made by the PO", create("services", PO, service()), &[]),
        ("deleted by the PO", delete("services", PO, service()), &[]),
        ("made by an editor", create("services", EDITOR, service()), &["service-creator"]),
        ("made by break-glass", create("services", BREAK_GLASS, service()), &["service-creator"]),
        ("deleted by an editor", delete("services", EDITOR, service()), &["service-creator"]),
        ("deleted with its namespace", delete("services", &namespaces, service()), &[]),
        ("another name, its selector", create("services", EDITOR, thief.clone()), &["service-creator"]),
        ("its labels", create("services", EDITOR, labelled), &["service-creator"]),
        ("another's", create("services", EDITOR, broker.clone()), &[]),
        ("another's becomes one", update("services", EDITOR, broker, thief), &["service-creator"]),
        ("its selector changes", update("services", EDITOR, service(), moved), &["service-creator"]),
        ("its annotations change", update("services", EDITOR, service(), annotated), &["service-creator"]),
        ("a finalizer goes", update("services", EDITOR, held, service()), &[]),
        ("nothing changes", update("services", EDITOR, service(), service()), &[]),
    ]);
}

#[test]
fn such_a_service_stays_inside_the_cluster() {
    for (pointer, value, faults) in [
        ("/spec/externalIPs", json!(["192.0.2.9"]), 1),
        ("/spec/externalName", json!("evil.example"), 1),
        ("/spec/loadBalancerIP", json!("192.0.2.9"), 1),
        ("/spec/loadBalancerClass", json!("x"), 1),
        ("/spec/loadBalancerSourceRanges", json!(["0.0.0.0/0"]), 1),
        ("/spec/healthCheckNodePort", json!(30000), 1),
        ("/spec/unheardOf", json!(true), 1),
        ("/spec/type", json!("NodePort"), 1),
        ("/spec/type", json!("LoadBalancer"), 1),
        ("/spec/type", json!("ExternalName"), 1),
        ("/spec/selector", Value::Null, 1),
        ("/spec/ports/0/nodePort", json!(30000), 1),
        ("/spec/clusterIP", json!("None"), 0),
        ("/spec/sessionAffinity", json!("ClientIP"), 0),
        ("/spec/externalIPs", json!([]), 0),
    ] {
        let wrong = with(&service(), pointer, value.clone());
        let named = format!("{pointer}: {value}");
        let want = vec!["service-shape"; faults];
        assert_eq!(create("services", PO, wrong.clone()).refused_by(), want, "made with {named}");
        assert_eq!(update("services", PO, service(), wrong.clone()).refused_by(), want, "changed to {named}");
        let later = with(&wrong, "/metadata/annotations", json!({"a": "b"}));
        assert_eq!(update("services", PO, wrong, later).refused_by(), [""; 0], "had {named}");
    }
}

#[test]
fn nobody_writes_such_a_services_status() {
    let address = with(&service(), "/status", json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}));
    let labelled = with(&service(), "/metadata/labels", json!({"a": "b"}));
    let broker = json!({"metadata": {"name": "broker"}, "spec": {"selector": {"app": "broker"}}});
    let announced = with(&broker, "/status", json!({"x": 1}));
    for user in [EDITOR, PO, CONTROLLER, &kube_system("service-controller")] {
        expect([
            ("an address", update("services:status", user, service(), address.clone()), &["service-status"]),
            ("a label", update("services:status", user, service(), labelled.clone()), &["service-status"]),
            ("nothing", update("services:status", user, service(), service()), &[]),
            ("another's", update("services:status", user, broker.clone(), announced.clone()), &[]),
        ]);
    }
}

#[test]
fn endpoints_of_such_a_service_are_kubernetes_own() {
    const SLICES: &str = "discovery.k8s.io/endpointslices";
    let by_name = json!({"metadata": {"name": "analysis-1"}});
    let by_label = json!({"metadata": {"name": "e", "labels": {"kubernetes.io/service-name": "nginx-analysis-1"}}});
    let by_identity =
        json!({"metadata": {"name": "e", "labels": {"app": "analysis-1", "component": "flame-analysis"}}});
    let by_owner = json!({"metadata": {"name": "e", "ownerReferences": [{"kind": "Service", "name": "analysis-1"}]}});
    let by_target =
        json!({"metadata": {"name": "e"}, "endpoints": [{"targetRef": {"kind": "Pod", "name": "analysis-1-5f-x"}}]});
    // As FLAME's pods are named, longer than an `app` may be.
    let long = "analysis-01234567-89ab-cdef-0123-456789abcdef-1-6ccf97bb55-x7k2p";
    let by_long_target =
        json!({"metadata": {"name": "e"}, "endpoints": [{"targetRef": {"kind": "Pod", "name": long}}]});
    let by_subset = json!({"metadata": {"name": "e"}, "subsets": [{"notReadyAddresses": [{"targetRef": {"name": "analysis-1-5f-x"}}]}]});
    let other = json!({"metadata": {"name": "broker", "labels": {"kubernetes.io/service-name": "broker"}}});
    let own = ["endpoint-controller", "endpointslice-controller", "endpointslicemirroring-controller"];
    let cleaners = ["generic-garbage-collector", "namespace-controller"];
    for resource in ["endpoints", SLICES] {
        for object in [&by_name, &by_label, &by_identity, &by_owner, &by_target, &by_long_target, &by_subset] {
            for user in [EDITOR, PO, BREAK_GLASS, CONTROLLER, &kube_system("service-controller")] {
                let want = ["endpoints-writer"];
                assert_eq!(create(resource, user, object.clone()).refused_by(), want, "{user} {object}");
                assert_eq!(delete(resource, user, object.clone()).refused_by(), want, "{user} {object}");
                assert_eq!(update(resource, user, other.clone(), object.clone()).refused_by(), want, "{user} {object}");
                assert_eq!(update(resource, user, object.clone(), other.clone()).refused_by(), want, "{user} {object}");
                assert_eq!(update(resource, user, object.clone(), object.clone()).refused_by(), [""; 0], "unchanged");
            }
            for user in own.iter().chain(&cleaners) {
                assert_eq!(create(resource, &kube_system(user), object.clone()).refused_by(), [""; 0], "{user}");
                assert_eq!(delete(resource, &kube_system(user), object.clone()).refused_by(), [""; 0], "{user}");
            }
        }
        assert_eq!(create(resource, EDITOR, other.clone()).refused_by(), [""; 0], "another's");
        for name in ["my-analysis-1", "analysis", "nginx-broker-1-x"] {
            let target = json!({"metadata": {"name": "e"}, "endpoints": [{"targetRef": {"name": name}}]});
            assert_eq!(create(resource, EDITOR, target).refused_by(), [""; 0], "{name}");
        }
    }
}

#[test]
fn configuration_and_pull_secrets_are_the_creators() {
    let object = |name: &str| json!({"metadata": {"name": name}, "data": {"k": "v"}});
    let uuid = "flame-harbor-01234567-89ab-cdef-0123-456789abcdef";
    for (resource, name, ours) in [
        ("configmaps", "nginx-analysis-1-config", true),
        ("configmaps", "nginx-analysis-1-config-old", false),
        ("configmaps", "nginx-broker-config", false),
        ("configmaps", "flame-harbor-credentials", false),
        ("secrets", "flame-harbor-credentials", true),
        ("secrets", uuid, true),
        ("secrets", "flame-harbor-x", false),
        ("secrets", "nginx-analysis-1-config", false),
        ("secrets", "postgres", false),
    ] {
        let want: &[&str] = if ours { &["configuration-creator"] } else { &[] };
        let changed = with(&object(name), "/data/k", json!("w"));
        for user in [EDITOR, BREAK_GLASS, &kube_system("root-ca-cert-publisher")] {
            assert_eq!(create(resource, user, object(name)).refused_by(), want, "{name} made by {user}");
            assert_eq!(delete(resource, user, object(name)).refused_by(), want, "{name} deleted by {user}");
            assert_eq!(update(resource, user, object(name), changed.clone()).refused_by(), want, "{name} by {user}");
            assert_eq!(update(resource, user, object(name), object(name)).refused_by(), [""; 0], "unchanged");
        }
        for user in [PO, CONTROLLER] {
            assert_eq!(create(resource, user, object(name)).refused_by(), [""; 0], "{name} made by {user}");
            assert_eq!(delete(resource, user, object(name)).refused_by(), [""; 0], "{name} deleted by {user}");
            assert_eq!(update(resource, user, object(name), changed.clone()).refused_by(), [""; 0], "{name} by {user}");
        }
        for user in ["generic-garbage-collector", "namespace-controller"] {
            assert_eq!(delete(resource, &kube_system(user), object(name)).refused_by(), [""; 0], "{name} by {user}");
        }
    }
}

#[test]
fn sources_of_one_analysis_are_the_creators_too() {
    let secret = |name: &str| create("secrets", EDITOR, json!({"metadata": {"name": name}})).of_own_accounts();
    expect([
        ("an analysis's", secret("analysis-1-tokens"), &["configuration-creator"]),
        ("an analysis's by its id", secret(&format!("flame-tokens-{ID}")), &["configuration-creator"]),
        ("no analysis's id", secret(&format!("flame-tokens-{}", ID.to_uppercase())), &[]),
        ("no analysis's", secret("broker-tokens"), &[]),
        ("one that others share", secret("shared"), &[]),
    ]);
}

#[test]
fn analyses_are_the_creators_and_their_status_and_end_the_controllers() {
    const ANALYSES: &str = "flamewarden.dev/analyses";
    let analysis = json!({
        "metadata": {"name": ID, "finalizers": ["flamewarden.dev/analysis"]},
        "spec": {"projectId": ID, "image": "harbor.example/node/a", "state": "Running"},
    });
    let stopped = with(&analysis, "/spec/state", json!("Stopped"));
    let freed = with(&analysis, "/metadata/finalizers", json!([]));
    let writer: &[&str] = &["analysis-writer"];
    for (user, writes, frees) in [
        (EDITOR, writer, &["analysis-writer", "analysis-status"][..]),
        (PO, &[], &["analysis-status"]),
        (CONTROLLER, &[], &[]),
        (BREAK_GLASS, &[], &[]),
    ] {
        assert_eq!(create(ANALYSES, user, analysis.clone()).refused_by(), writes, "made by {user}");
        assert_eq!(update(ANALYSES, user, analysis.clone(), stopped.clone()).refused_by(), writes, "changed by {user}");
        assert_eq!(delete(ANALYSES, user, analysis.clone()).refused_by(), writes, "deleted by {user}");
        assert_eq!(update(ANALYSES, user, analysis.clone(), freed.clone()).refused_by(), frees, "freed by {user}");
        let status = update("flamewarden.dev/analyses:status", user, analysis.clone(), analysis.clone());
        let want: &[&str] = if [CONTROLLER, BREAK_GLASS].contains(&user) { &[] } else { &["analysis-status"] };
        assert_eq!(status.refused_by(), want, "status by {user}");
    }
    for cleaner in ["namespace-controller", "generic-garbage-collector"] {
        assert_eq!(delete(ANALYSES, &kube_system(cleaner), analysis.clone()).refused_by(), [""; 0], "{cleaner}");
    }
    assert_eq!(create("flamewarden.dev/analyses:scale", CONTROLLER, analysis).refused_by(), ["request-form"]);
}

#[test]
fn scans_come_by_creators_go_by_administrators_and_their_status_is_the_controllers() {
    const SCANS: &str = "flamewarden.dev/imagescans";
    let digits = "ab".repeat(32);
    let scan = json!({
        "metadata": {"name": format!("sha256-{digits}")},
        "spec": {"image": format!("harbor.example/node/a@sha256:{digits}")},
    });
    let labelled = with(&scan, "/metadata/labels", json!({"a": "b"}));
    let moved = with(&scan, "/spec/image", json!(format!("other.example/a@sha256:{digits}")));
    let writer: &[&str] = &["image-scan-writer"];
    for (user, makes, changes) in [
        (EDITOR, writer, writer),
        (PO, &[], writer),
        (ADMINISTRATOR, &[], &[]),
        (CONTROLLER, &[], &[]),
        (BREAK_GLASS, &[], &[]),
    ] {
        let refused = |asked: Asked| asked.nowhere().refused_by();
        assert_eq!(refused(create(SCANS, user, scan.clone())), makes, "made by {user}");
        assert_eq!(refused(delete(SCANS, user, scan.clone())), changes, "deleted by {user}");
        for changed in [&labelled, &moved] {
            assert_eq!(refused(update(SCANS, user, scan.clone(), changed.clone())), changes, "changed by {user}");
        }
        assert_eq!(refused(update(SCANS, user, scan.clone(), scan.clone())), [""; 0], "left alone by {user}");
        let status = refused(update("flamewarden.dev/imagescans:status", user, scan.clone(), scan.clone()));
        let want: &[&str] = if [CONTROLLER, BREAK_GLASS].contains(&user) { &[] } else { &["image-scan-status"] };
        assert_eq!(status, want, "status by {user}");
    }
    assert_eq!(create("flamewarden.dev/imagescans:scale", CONTROLLER, scan).refused_by(), ["request-form"]);
}

const ID: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";

#[test]
fn a_secrets_content_is_never_shown() {
    let secret = json!({"metadata": {"name": "flame-harbor-credentials"}, "data": {"password": "aHVudGVyMg=="}});
    create("secrets", EDITOR, secret).judged(|judgement, _| {
        assert!(!judgement.refusals.is_empty());
        assert!(!format!("{judgement:?}").contains("aHVudGVyMg=="));
    });
}

#[test]
fn isolation_policies_are_the_controllers() {
    const POLICIES: &str = "networking.k8s.io/networkpolicies";
    let policy =
        |name: &str| json!({"metadata": {"name": name}, "spec": {"podSelector": {"matchLabels": {"tier": "web"}}}});
    for (name, ours) in [
        ("flamewarden-analysis-1", true),
        ("flamewarden-nginx-analysis-1", true),
        ("flamewarden-default-deny", true),
        ("web", false),
    ] {
        let want: &[&str] = if ours { &["isolation-policy"] } else { &[] };
        let changed = with(&policy(name), "/spec/policyTypes", json!(["Egress"]));
        for user in [EDITOR, PO] {
            assert_eq!(create(POLICIES, user, policy(name)).refused_by(), want, "{name} made by {user}");
            assert_eq!(delete(POLICIES, user, policy(name)).refused_by(), want, "{name} deleted by {user}");
            assert_eq!(update(POLICIES, user, policy(name), changed.clone()).refused_by(), want, "{name} by {user}");
        }
        for user in [CONTROLLER, BREAK_GLASS] {
            assert_eq!(delete(POLICIES, user, policy(name)).refused_by(), [""; 0], "{name} deleted by {user}");
            assert_eq!(update(POLICIES, user, policy(name), changed.clone()).refused_by(), [""; 0], "{name} by {user}");
        }
        let namespaces = kube_system("namespace-controller");
        assert_eq!(delete(POLICIES, &namespaces, policy(name)).refused_by(), [""; 0], "{name} with its namespace");
        assert_eq!(update(POLICIES, &namespaces, policy(name), changed).refused_by(), want, "{name} by a cleaner");
        assert_eq!(update(POLICIES, EDITOR, policy(name), policy(name)).refused_by(), [""; 0], "{name} as it was");
    }
}

/// What else the guard would have to tell from its own.
#[test]
fn names_like_those_of_isolation_policies_are_given_by_the_controller_alone() {
    const POLICIES: &str = "networking.k8s.io/networkpolicies";
    let policy =
        |name: &str| json!({"metadata": {"name": name}, "spec": {"podSelector": {"matchLabels": {"tier": "web"}}}});
    let changed = with(&policy("flamewarden-junk-1"), "/spec/policyTypes", json!(["Egress"]));
    expect([
        ("made", create(POLICIES, EDITOR, policy("flamewarden-junk-1")), &["isolation-policy"]),
        ("made by a creator", create(POLICIES, PO, policy("flamewarden-")), &["isolation-policy"]),
        ("made by the controller", create(POLICIES, CONTROLLER, policy("flamewarden-junk-1")), &[]),
        ("from before, changed", update(POLICIES, EDITOR, policy("flamewarden-junk-1"), changed), &[]),
        ("from before, deleted", delete(POLICIES, EDITOR, policy("flamewarden-junk-1")), &[]),
        ("another name", create(POLICIES, EDITOR, policy("flamewarder-1")), &[]),
    ]);
}

/// The guard reads no more of a selector than it can hold, and keeps a gate where it cannot tell whom it selects.
#[test]
fn a_selector_that_asks_for_more_than_the_guard_reads_is_refused_where_it_could_select_an_analysis() {
    const POLICIES: &str = "networking.k8s.io/networkpolicies";
    let policy = |labels: Value, count: usize| {
        let expressions = vec![json!({"key": "x", "operator": "Exists"}); count];
        json!({"metadata": {"name": "p"}, "spec": {"podSelector": {"matchLabels": labels, "matchExpressions": expressions}}})
    };
    let (few, many) = (policy(json!({}), 1000), policy(json!({}), 2000));
    let labelled = with(&many, "/metadata/labels", json!({"a": "b"}));
    expect([
        ("few", create(POLICIES, EDITOR, few.clone()), &[]),
        ("many", create(POLICIES, EDITOR, many.clone()), &["network-policy"]),
        ("many of another part", create(POLICIES, EDITOR, policy(json!({"tier": "web"}), 2000)), &[]),
        (
            "many of one analysis",
            create(POLICIES, EDITOR, policy(json!({"app": "analysis-1"}), 2000)),
            &["network-policy"],
        ),
        ("few become many", update(POLICIES, EDITOR, few, many.clone()), &["network-policy"]),
        ("many from before", update(POLICIES, EDITOR, many, labelled), &[]),
    ]);
}

#[test]
fn policies_that_add_to_an_analysis_are_refused() {
    const POLICIES: &str = "networking.k8s.io/networkpolicies";
    let policy = |spec: Value| json!({"metadata": {"name": "p", "namespace": "flame"}, "spec": spec});
    let pods = json!({"matchLabels": {"app": "analysis-1"}});
    let wide = policy(json!({"podSelector": {}, "egress": [{}], "policyTypes": ["Egress"]}));
    let gateway = json!({"podSelector": {"matchLabels": {"app": "nginx-analysis-1"}}});
    let flames = policy(json!({
        "podSelector": pods, "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [gateway]}], "egress": [{"to": [gateway]}],
    }));
    let web =
        policy(json!({"podSelector": {"matchLabels": {"tier": "web"}}, "egress": [{}], "policyTypes": ["Egress"]}));
    let labelled = with(&wide, "/metadata/labels", json!({"a": "b"}));
    let none = policy(json!({"podSelector": pods, "policyTypes": ["Ingress", "Egress"]}));
    expect([
        ("a wide one", create(POLICIES, EDITOR, wide.clone()), &["network-policy"]),
        ("a wide one by a creator", create(POLICIES, PO, wide.clone()), &["network-policy"]),
        ("a wide one by break-glass", create(POLICIES, BREAK_GLASS, wide.clone()), &["network-policy"]),
        ("another's", create(POLICIES, EDITOR, web.clone()), &[]),
        ("another's becomes wide", update(POLICIES, EDITOR, web, wide.clone()), &["network-policy"]),
        ("a wide one from before", update(POLICIES, EDITOR, wide.clone(), labelled), &[]),
        ("it goes", delete(POLICIES, EDITOR, wide), &[]),
        ("one that allows nothing", create(POLICIES, EDITOR, none.clone()), &[]),
        ("it opens", update(POLICIES, PO, none, flames.clone()), &["network-policy"]),
        ("FLAME's goes", delete(POLICIES, PO, flames.clone()), &[]),
    ]);
    let remedies = |asked: Asked| asked.judged(|judgement, _| judgement.remedies.len());
    assert!(remedies(create(POLICIES, PO, flames.clone())) > 0, "a creator's is narrowed");
    assert_eq!(remedies(create(POLICIES, EDITOR, flames)), 0, "an editor's is not");
}

#[test]
fn a_creators_policy_passes_once_it_is_narrowed() {
    use flamewarden::model::parse;
    use flamewarden::rules::mend;
    const POLICIES: &str = "networking.k8s.io/networkpolicies";
    let gateway = json!({"podSelector": {"matchLabels": {"app": "nginx-analysis-1"}}});
    let dns = json!({"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}, "namespaceSelector": {}});
    let flames = json!({
        "metadata": {"name": "nginx-to-analysis-1-policy", "namespace": "flame"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "analysis-1"}}, "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [gateway]}], "egress": [{"to": [gateway, dns]}],
        },
    });
    let text = flames.to_string();
    let edits = create(POLICIES, PO, flames.clone()).judged(|judgement, _| judgement.remedies);
    let patch = mend(&parse(text.as_bytes()).unwrap(), &edits).unwrap();
    let mut narrowed = flames;
    json_patch::patch(&mut narrowed, &patch).unwrap();
    create(POLICIES, PO, narrowed).judged(|judgement, _| {
        assert_eq!((judgement.refusals, judgement.remedies), (Vec::new(), Vec::new()));
    });
}

#[test]
fn other_networks_policies_may_not_select_an_analysis() {
    let cilium =
        |labels: Value| json!({"metadata": {"name": "c"}, "spec": {"endpointSelector": {"matchLabels": labels}}});
    let wide = cilium(json!({"k8s:component": "flame-analysis"}));
    let web = cilium(json!({"k8s:app": "web"}));
    let labelled = with(&wide, "/metadata/labels", json!({"a": "b"}));
    const CILIUM: &str = "cilium.io/ciliumnetworkpolicies";
    for user in [EDITOR, PO, CONTROLLER, BREAK_GLASS] {
        expect([
            ("one that could", create(CILIUM, user, wide.clone()), &["network-policy"]),
            ("one that could not", create(CILIUM, user, web.clone()), &[]),
            ("one becomes so", update(CILIUM, user, web.clone(), wide.clone()), &["network-policy"]),
            ("from before", update(CILIUM, user, wide.clone(), labelled.clone()), &[]),
            ("it goes", delete(CILIUM, user, wide.clone()), &[]),
        ]);
    }
    for resource in [
        "cilium.io/ciliumlocalredirectpolicies",
        "crd.projectcalico.org/networkpolicies",
        "projectcalico.org/networkpolicies",
        "crd.antrea.io/networkpolicies",
        "networking.gke.io/fqdnnetworkpolicies",
        "networking.k8s.aws/applicationnetworkpolicies",
    ] {
        let asked = create(resource, EDITOR, json!({"metadata": {"name": "c"}, "spec": {}}));
        assert_eq!(asked.refused_by(), ["network-policy"], "{resource} for every pod");
    }
}
