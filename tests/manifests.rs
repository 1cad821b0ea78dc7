//! What `manifests` prints: the objects, their order, their scope.

use flamewarden::install::{Endpoint, Settings, manifests, to_yaml};
use flamewarden::policy::PolicySet;
use serde_json::Value;

const FILES: [(&str, &str); 3] = [
    ("flame-analysis.yaml", include_str!("../policies/flame-analysis.yaml")),
    ("flame-gateway.yaml", include_str!("../policies/flame-gateway.yaml")),
    ("installation.yaml", include_str!("fixtures/installation.yaml")),
];

#[expect(clippy::unwrap_used, reason = "a test whose policies are broken has failed")]
fn printed() -> Vec<Value> {
    let settings = Settings {
        namespace: "flamewarden-system".to_owned(),
        image: "registry.example/flamewarden@sha256:0".to_owned(),
        endpoint: Endpoint::Service,
        files: FILES.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
    };
    manifests(&settings, &PolicySet::parse(FILES).unwrap())
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn what_answers_comes_before_what_asks() {
    let kinds: Vec<String> = printed().iter().map(|object| text(object, "/kind").to_owned()).collect();
    let first = |kind: &str| kinds.iter().position(|known| known == kind).unwrap();
    assert_eq!(first("Namespace"), 0);
    assert!(first("ServiceAccount") < first("Deployment"));
    assert!(first("Deployment") < first("ValidatingWebhookConfiguration"));
    assert!(first("Service") < first("MutatingWebhookConfiguration"));
}

#[test]
fn every_configuration_is_scoped_by_namespace_name_and_fails_as_designed() {
    let printed = printed();
    let configurations: Vec<&Value> =
        printed.iter().filter(|object| text(object, "/kind").ends_with("WebhookConfiguration")).collect();
    assert_eq!(configurations.len(), 20, "2 mutating and 8 validating, for shared and for dedicated namespaces");
    for configuration in configurations {
        let webhooks = configuration["webhooks"].as_array().unwrap();
        assert_eq!(webhooks.len(), 1, "one entry to an object");
        let webhook = &webhooks[0];
        let mutating = text(configuration, "/kind").starts_with("Mutating");
        assert_eq!(text(webhook, "/failurePolicy"), if mutating { "Ignore" } else { "Fail" });
        let selector = &webhook["namespaceSelector"]["matchExpressions"];
        assert_eq!(selector[0]["key"], "kubernetes.io/metadata.name");
        assert_eq!(webhook["objectSelector"], Value::Null);
        assert_eq!(webhook["clientConfig"]["caBundle"], Value::Null, "the controller's to write");
    }
}

#[test]
fn the_webhook_may_only_read_two_kinds_and_only_where_it_guards() {
    let printed = printed();
    let bound: Vec<&Value> = printed
        .iter()
        .filter(|object| {
            text(object, "/kind").ends_with("Binding") && text(object, "/subjects/0/name") == "flamewarden-webhook"
        })
        .collect();
    assert_eq!(bound.len(), 3, "one Role for each guarded namespace, no ClusterRole");
    for binding in bound {
        let namespace = text(binding, "/metadata/namespace");
        let role = printed.iter().find(|object| {
            text(object, "/kind") == "Role"
                && text(object, "/metadata/namespace") == namespace
                && text(object, "/metadata/name") == "flamewarden-webhook"
        });
        let rules = serde_json::json!([{"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get"]}]);
        assert_eq!(role.unwrap()["rules"], rules);
    }
}

#[test]
fn the_yaml_says_what_the_objects_say() {
    let printed = printed();
    let read: Vec<Value> = serde_saphyr::from_multiple(&to_yaml(&printed).unwrap()).unwrap();
    assert_eq!(read, printed);
}

#[test]
fn webhook_config_holds_what_is_printed_for_the_example() {
    let example = include_str!("../policies/installation.yaml.example");
    let files = [FILES[0], FILES[1], ("installation.yaml", example)];
    let settings = Settings {
        namespace: "flamewarden-system".to_owned(),
        image: "flamewarden".to_owned(),
        endpoint: Endpoint::Service,
        files: files.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
    };
    let printed = to_yaml(&manifests(&settings, &PolicySet::parse(files).unwrap())).unwrap();
    let kept = include_str!("../webhook-config/flamewarden.yaml");
    assert!(printed == kept, "webhook-config/flamewarden.yaml is out of date; run webhook-config/print");
}
