//! Which guarded pods a selector could match.

use flamewarden::isolation::{Apps, could_match, could_match_map};
use flamewarden::model::parse;
use serde_json::{Value, json};

use crate::policies;

fn only(apps: &[&str]) -> Apps {
    Apps::Only(apps.iter().map(|app| (*app).to_owned()).collect())
}

fn apps_matched_by(selector: &Value) -> Apps {
    could_match(Some(&parse(selector.to_string().as_bytes()).unwrap()), &policies().analysis)
}

#[test]
fn selectors_match_exactly_the_guarded_pods_that_could_exist() {
    let expressions = |terms: Value| json!({"matchExpressions": terms});
    let long = format!("analysis-{}", "x".repeat(60));
    for (selector, want) in [
        (json!({}), Apps::Any),
        (json!({"matchLabels": null}), Apps::Any),
        (json!({"matchLabels": {"app": "analysis-1"}}), only(&["analysis-1"])),
        (json!({"matchLabels": {"app": "analysis-1", "component": "flame-analysis"}}), only(&["analysis-1"])),
        (json!({"matchLabels": {"app": "analysis-1", "component": "flame-po"}}), Apps::None),
        (json!({"matchLabels": {"app": "nginx-analysis-1"}}), Apps::None),
        (json!({"matchLabels": {"app": "hub-adapter"}}), Apps::None),
        (json!({"matchLabels": {"component": "flame-analysis"}}), Apps::Any),
        (json!({"matchLabels": {"tier": "db"}}), Apps::None),
        (json!({"matchLabels": {"pod-template-hash": "1"}}), Apps::Any),
        (json!({"matchLabels": {"pod-template-hash": "no value!"}}), Apps::None),
        (json!({"matchLabels": {"app": long}}), Apps::None),
        (json!({"matchLabels": {"pod-template-hash": "x".repeat(63)}}), Apps::Any),
        (json!({"matchLabels": {"pod-template-hash": "x".repeat(64)}}), Apps::None),
        (expressions(json!([{"key": "app", "operator": "Exists"}])), Apps::Any),
        (expressions(json!([{"key": "app", "operator": "DoesNotExist"}])), Apps::None),
        (expressions(json!([{"key": "tier", "operator": "DoesNotExist"}])), Apps::Any),
        (expressions(json!([{"key": "tier", "operator": "NotIn", "values": ["db"]}])), Apps::Any),
        (expressions(json!([{"key": "tier", "operator": "Exists"}])), Apps::None),
        (expressions(json!([{"key": "component", "operator": "NotIn", "values": ["flame-analysis"]}])), Apps::None),
        (expressions(json!([{"key": "component", "operator": "NotIn", "values": ["flame-po"]}])), Apps::Any),
        (expressions(json!([{"key": "app", "operator": "NotIn", "values": ["analysis-1"]}])), Apps::Any),
        (
            expressions(json!([{"key": "app", "operator": "In", "values": ["analysis-2", "analysis-1", "po"]}])),
            only(&["analysis-1", "analysis-2"]),
        ),
        (
            json!({
                "matchLabels": {"app": "analysis-1"},
                "matchExpressions": [{"key": "app", "operator": "In", "values": ["analysis-2"]}],
            }),
            Apps::None,
        ),
        (
            json!({
                "matchLabels": {"app": "analysis-1"},
                "matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["analysis-1"]}],
            }),
            Apps::None,
        ),
        (
            expressions(json!([
                {"key": "job-name", "operator": "Exists"}, {"key": "job-name", "operator": "DoesNotExist"},
            ])),
            Apps::None,
        ),
        (
            expressions(json!([
                {"key": "job-name", "operator": "In", "values": ["a"]},
                {"key": "job-name", "operator": "In", "values": ["b"]},
            ])),
            Apps::None,
        ),
    ] {
        assert_eq!(apps_matched_by(&selector), want, "{selector}");
    }
}

#[test]
fn what_is_unknown_in_a_selector_could_match() {
    let expressions = |terms: Value| json!({"matchExpressions": terms});
    for selector in [
        json!("x"),
        json!({"matchLabels": {"tier": 1}}),
        json!({"matchLabels": {"tier": "db"}, "matchFields": {}}),
        json!({"MatchLabels": {"tier": "db"}}),
        expressions(json!({})),
        expressions(json!([{"key": "tier", "operator": "in", "values": ["db"]}])),
        expressions(json!([{"key": "tier", "operator": "In", "values": []}])),
        expressions(json!([{"key": "tier", "operator": "In", "values": "db"}])),
        expressions(json!([{"key": "tier", "operator": "Exists", "values": ["db"]}])),
        expressions(json!([{"operator": "Exists"}])),
        expressions(json!([{"key": "tier", "operator": "Exists", "x": 1}])),
    ] {
        assert_eq!(apps_matched_by(&selector), Apps::Any, "{selector}");
    }
    assert_eq!(could_match(None, &policies().analysis), Apps::Any);
}

#[test]
fn selectors_of_services_match_guarded_pods_and_gateways_that_could_exist() {
    let set = policies();
    for (map, analyses, gateways) in [
        (json!({}), Apps::None, Apps::None),
        (json!({"app": "analysis-1"}), only(&["analysis-1"]), Apps::None),
        (json!({"app": "nginx-analysis-1"}), Apps::None, only(&["nginx-analysis-1"])),
        (json!({"component": "flame-analysis-nginx"}), Apps::None, Apps::Any),
        (json!({"component": "flame-message-broker"}), Apps::None, Apps::None),
        (json!({"app": "nginx-analysis-1", "tier": "db"}), Apps::None, Apps::None),
        (json!({"app": "nginx-hub"}), Apps::None, Apps::None),
        (json!({"pod-template-hash": "1"}), Apps::Any, Apps::Any),
        (json!({"app": 1}), Apps::Any, Apps::Any),
        (json!(["app"]), Apps::Any, Apps::Any),
    ] {
        let text = map.to_string();
        let map = parse(text.as_bytes()).unwrap();
        assert_eq!(could_match_map(Some(&map), &set.analysis), analyses, "{text}");
        assert_eq!(could_match_map(Some(&map), &set.gateway), gateways, "{text}");
    }
    assert_eq!(could_match_map(None, &set.analysis), Apps::None);
}
