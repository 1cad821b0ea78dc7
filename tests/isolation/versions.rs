//! Changes of a policy: what a new version adds, FLAME's own made narrow, ours gone astray.

use flamewarden::isolation::{added_reach, differs, judge_policy, narrowed, policy};
use flamewarden::model::{Edit, FieldPath, parse};
use serde_json::{Value, json};

use crate::{dns, gateway, object, policies};

/// FLAME's own policy, as its Pod Orchestrator makes it.
fn flames(app: &str) -> Value {
    json!({
        "podSelector": {"matchLabels": {"app": app}},
        "ingress": [{"from": [gateway(app)]}],
        "egress": [{"to": [gateway(app), dns()]}],
        "policyTypes": ["Ingress", "Egress"],
    })
}

fn narrow(spec: &Value) -> Option<Value> {
    let text = object(spec);
    narrowed(&parse(text.as_bytes()).unwrap(), &policies()).map(|edit| match edit {
        Edit::Set(path, spec) if path == FieldPath::of(&["spec"]) => spec,
        other => panic!("{other:?}"),
    })
}

#[test]
fn flames_own_policy_is_found_too_wide_by_its_missing_ports() {
    let text = object(&flames("analysis-1"));
    let findings = judge_policy(&parse(text.as_bytes()).unwrap(), &policies());
    let places: Vec<_> = findings.iter().map(|finding| (finding.path.to_string(), finding.value.as_str())).collect();
    assert_eq!(places, [("spec.ingress[0].ports".to_owned(), "absent"), ("spec.egress[0].ports".to_owned(), "absent")]);
}

#[test]
fn flames_own_policy_is_narrowed_once_to_what_the_profile_says() {
    let set = policies();
    let spec = narrow(&flames("analysis-1")).unwrap();
    let mut want = policy("analysis-1", "flame", &set.analysis, &set.gateway)["spec"].take();
    want["podSelector"] = json!({"matchLabels": {"app": "analysis-1"}});
    assert_eq!(spec, want);
    let text = object(&spec);
    assert_eq!(judge_policy(&parse(text.as_bytes()).unwrap(), &set), []);
    assert_eq!(narrow(&spec), None);
}

#[test]
fn flames_policy_as_a_real_api_server_sent_it_is_narrowed() {
    let mut object = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {
            "name": "nginx-to-analysis-1-policy", "namespace": "default",
            "labels": {"component": "flame-nginx-to-analysis-policy"}, "generation": 1,
        },
        "spec": {
            "egress": [{"to": [gateway("analysis-1")]}],
            "ingress": [{"from": [gateway("analysis-1")]}],
            "podSelector": {"matchLabels": {"app": "analysis-1"}},
            "policyTypes": ["Ingress", "Egress"],
        },
    });
    let text = object.to_string();
    let Some(Edit::Set(path, spec)) = narrowed(&parse(text.as_bytes()).unwrap(), &policies()) else { panic!() };
    assert_eq!(path, FieldPath::of(&["spec"]));
    object["spec"] = spec;
    assert_eq!(judge_policy(&parse(object.to_string().as_bytes()).unwrap(), &policies()), []);
}

#[test]
fn only_what_is_plainly_for_one_analysis_is_narrowed() {
    let with = |field: &str, value: Value| {
        let mut spec = flames("analysis-1");
        spec[field] = value;
        spec
    };
    let both = json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["analysis-1", "analysis-2"]}]});
    for spec in [
        with("podSelector", json!({})),
        with("podSelector", json!(null)),
        with("podSelector", both),
        with("podSelector", json!({"matchLabels": {"app": "hub-adapter"}})),
        with("podSelector", json!({"matchLabels": {"app": "analysis-1"}, "matchFields": []})),
        // What has unknown parts has no remedy.
        with("applyTo", json!("all")),
        with("policyTypes", json!(["Egress", "Both"])),
        with("egress", json!([{"to": [gateway("analysis-1")], "via": []}])),
        with("egress", json!([{"to": [{"hostSelector": {}}]}])),
        with("egress", json!([{"to": [{"podSelector": {"matchFields": []}}]}])),
        with("egress", json!([{"to": [gateway("analysis-1")], "ports": [{"protocol": "ICMP"}]}])),
    ] {
        assert_eq!(narrow(&spec), None, "{spec}");
    }
}

fn added(old: &Value, new: &Value) -> Vec<String> {
    let (old, new) = (object(old), object(new));
    let added = added_reach(&parse(old.as_bytes()).unwrap(), &parse(new.as_bytes()).unwrap(), &policies());
    added.into_iter().map(|finding| finding.path.to_string()).collect()
}

#[test]
fn an_update_is_judged_by_what_it_adds() {
    let wide = |pods: Value, egress: Value| json!({"podSelector": pods, "policyTypes": ["Egress"], "egress": egress});
    let one = json!({"matchLabels": {"app": "analysis-1"}});
    let narrower = json!({"matchLabels": {"app": "analysis-1", "pod-template-hash": "h"}});
    let po = |port: u16| json!({"to": [{"podSelector": {"matchLabels": {"app": "po"}}}], "ports": [{"port": port}]});
    let reordered = json!({"ports": [{"port": 1}], "to": [{"podSelector": {"matchLabels": {"app": "po"}}}]});
    let old = wide(one.clone(), json!([po(1), po(2)]));
    let mut with_ingress = old.clone();
    with_ingress["policyTypes"] = json!(["Ingress", "Egress"]);
    let mut unknown = old.clone();
    unknown["x"] = json!(1);
    let hidden = json!({"podSelector": one, "policyTypes": ["Ingress"], "egress": [po(1)]});
    for (old, new, want) in [
        (&old, old.clone(), vec![]),
        // Rules that go, change places or isolate more add nothing.
        (&old, wide(one.clone(), json!([po(2)])), vec![]),
        (&old, wide(one.clone(), json!([po(2), reordered])), vec![]),
        (&old, wide(narrower.clone(), json!([po(1)])), vec![]),
        (&old, with_ingress, vec![]),
        (&old, wide(json!({"matchLabels": {"app": "hub"}}), json!([{}])), vec![]),
        // The same finding at the same place, with more behind it.
        (&old, wide(json!({}), json!([po(1)])), vec!["spec.egress[0].to[0]"]),
        (&wide(narrower, json!([po(1)])), wide(one.clone(), json!([po(1)])), vec!["spec.egress[0].to[0]"]),
        (&old, wide(json!({"matchLabels": {"app": "analysis-2"}}), json!([po(1)])), vec!["spec.egress[0].to[0]"]),
        (&old, wide(one.clone(), json!([po(1), po(3)])), vec!["spec.egress[1].to[0]"]),
        (&old, wide(one.clone(), json!([po(1), {}])), vec!["spec.egress[1]"]),
        // A rule that was there but not in force.
        (&hidden, wide(one.clone(), json!([po(1)])), vec!["spec.egress[0].to[0]"]),
        (&unknown, unknown.clone(), vec![]),
        (&old, unknown.clone(), vec!["spec.x"]),
    ] {
        assert_eq!(added(old, &new), want, "{new}");
    }
}

#[test]
fn values_that_differ_only_behind_the_shown_part_are_different() {
    let peer = |last: &str| {
        let mut values: Vec<String> = (0..30).map(|number| format!("something-{number}")).collect();
        values.push(last.to_owned());
        json!({
            "podSelector": {"matchLabels": {"app": "analysis-1"}},
            "egress": [{"to": [{"podSelector": {"matchExpressions": [
                {"key": "app", "operator": "In", "values": values},
            ]}}]}],
        })
    };
    assert_eq!(added(&peer("a"), &peer("a")), [""; 0]);
    assert_eq!(added(&peer("a"), &peer("b")), ["spec.egress[0].to[0]"]);
}

#[test]
fn only_our_own_fields_drift_and_defaults_do_not() {
    let set = policies();
    let desired = policy("analysis-1", "flame", &set.analysis, &set.gateway);
    let with = |parent: &str, key: &str, value: Value| {
        let mut object = desired.clone();
        object.pointer_mut(parent).unwrap()[key] = value;
        object
    };
    for (observed, want) in [
        (desired.clone(), false),
        (with("/metadata", "uid", json!("1")), false),
        (with("/metadata", "annotations", json!({"a": "b"})), false),
        (with("/metadata/labels", "extra", json!("x")), false),
        (with("/metadata", "finalizers", json!(["other", "flamewarden.dev/isolation"])), false),
        (with("/spec", "x", json!(null)), false),
        (with("/metadata", "finalizers", json!([])), true),
        (with("/metadata", "finalizers", json!(null)), true),
        (with("/metadata", "labels", json!({})), true),
        (with("/metadata/labels", "flamewarden.dev/isolates", json!("x")), true),
        (with("", "spec", json!(null)), true),
        (with("/spec", "podSelector", json!({})), true),
        (with("/spec", "policyTypes", json!(["Ingress"])), true),
        (with("/spec", "policyTypes", json!(null)), false),
        (with("/spec", "egress", json!([])), true),
        (with("/spec", "ingress", json!([{}])), true),
        (with("/spec", "x", json!(1)), true),
    ] {
        assert_eq!(differs(&observed, &desired), want, "{observed}");
    }
    let mut without_protocol = desired.clone();
    without_protocol["spec"]["ingress"][0]["ports"][0] = json!({"port": 8000});
    assert!(!differs(&without_protocol, &desired));
    let mut wider = desired.clone();
    wider["spec"]["ingress"][0]["ports"][0]["endPort"] = json!(9000);
    assert!(differs(&wider, &desired));
}
