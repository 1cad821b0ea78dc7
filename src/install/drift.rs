//! What an installed webhook configuration says otherwise than what would be printed for it today.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Registered, admission, printed_by_service};
use crate::policy::PolicySet;

/// The fields of a stored webhook configuration that say something else than what `manifests` prints under that name
/// for these policies: fields of its webhook, such as `rules`, or `webhooks` where it is not one alone. Not compared
/// is the authority, which whoever makes the certificates writes.
pub fn drift(registered: Registered, stored: &Value, namespace: &str, policies: &PolicySet) -> BTreeSet<String> {
    let printed = admission::configurations(&printed_by_service(namespace), policies).into_iter().find(|printed| {
        printed.get("kind").and_then(Value::as_str) == Some(registered.kind())
            && printed.pointer("/metadata/name") == stored.pointer("/metadata/name")
    });
    let webhooks = |of: &Value| of.get("webhooks").and_then(Value::as_array).cloned().unwrap_or_default();
    let (printed, stored) = (printed.as_ref().map(webhooks).unwrap_or_default(), webhooks(stored));
    let ([Value::Object(printed)], [Value::Object(stored)]) = (printed.as_slice(), stored.as_slice()) else {
        return BTreeSet::from(["webhooks".to_owned()]);
    };
    let fields: BTreeSet<&String> = printed.keys().chain(stored.keys()).collect();
    let differs = |field: &&String| said(printed, field) != said(stored, field);
    fields.into_iter().filter(differs).cloned().collect()
}

/// What a webhook says in a field: what the API server fills in is as good as absent.
fn said(webhook: &Map<String, Value>, field: &str) -> Option<Value> {
    match webhook.get(field)? {
        Value::Object(client) if field == "clientConfig" => {
            let mut client = client.clone();
            client.remove("caBundle");
            Some(Value::Object(client))
        }
        said if field == "objectSelector" && *said == json!({}) => None,
        said => Some(said.clone()),
    }
}

/// Whether a configuration's webhooks are reached by URL: where, only its operator knows.
pub fn is_by_url(stored: &Value) -> bool {
    let webhooks = stored.get("webhooks").and_then(Value::as_array);
    webhooks.is_some_and(|webhooks| webhooks.iter().all(|webhook| webhook.pointer("/clientConfig/url").is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_somebody_changes_is_named() {
        let policies = PolicySet::parse([
            ("a", include_str!("../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../tests/fixtures/installation.yaml")),
        ])
        .unwrap();
        let installed = admission::configurations(&printed_by_service("flamewarden-system"), &policies);
        let first = |kind: &str| installed.iter().find(|object| object["kind"] == kind).unwrap().clone();
        let validating = first("ValidatingWebhookConfiguration");
        let drifted = |stored: &Value| {
            let found = drift(Registered::Validating, stored, "flamewarden-system", &policies);
            found.into_iter().collect::<Vec<String>>()
        };
        for (pointer, value, want) in [
            ("/metadata/generation", json!(3), vec![]),
            ("/webhooks/0/clientConfig/caBundle", json!("Q0E="), vec![]),
            ("/webhooks/0/objectSelector", json!({}), vec![]),
            ("/webhooks/0/objectSelector", json!({"matchLabels": {"a": "b"}}), vec!["objectSelector"]),
            ("/webhooks/0/failurePolicy", json!("Ignore"), vec!["failurePolicy"]),
            ("/webhooks/0/rules/0/operations", json!(["DELETE"]), vec!["rules"]),
            ("/webhooks/0/timeoutSeconds", json!(30), vec!["timeoutSeconds"]),
            ("/webhooks/0/matchConditions", json!([{"name": "never", "expression": "false"}]), vec!["matchConditions"]),
            ("/webhooks/0/namespaceSelector/matchExpressions/0/operator", json!("NotIn"), vec!["namespaceSelector"]),
            ("/webhooks/0/clientConfig", json!({"url": "https://another.example.org"}), vec!["clientConfig"]),
            ("/webhooks/0/clientConfig/service/name", json!("another"), vec!["clientConfig"]),
            ("/webhooks/0/name", json!("another.example.org"), vec!["name"]),
            ("/webhooks", json!([]), vec!["webhooks"]),
            ("/metadata/name", json!("no-such"), vec!["webhooks"]),
        ] {
            let mut stored = validating.clone();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            stored.pointer_mut(parent).unwrap()[key] = value.clone();
            assert_eq!(drifted(&stored), want, "{pointer}: {value}");
        }
        let found =
            drift(Registered::Mutating, &first("MutatingWebhookConfiguration"), "flamewarden-system", &policies);
        assert_eq!(found, BTreeSet::new());
        assert_eq!(drift(Registered::Validating, &validating, "elsewhere", &policies).len(), 1, "another's service");
    }
}
