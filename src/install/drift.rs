//! What an installed webhook configuration says otherwise than what would be printed for it today.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Registered, admission, printed_by_service};
use crate::policy::PolicySet;

/// All webhook configurations as `manifests` prints them for some policies.
pub struct Printed(Vec<Value>);

impl Printed {
    /// For Flamewarden in that namespace.
    pub fn of(namespace: &str, policies: &PolicySet) -> Self {
        Printed(admission::configurations(&printed_by_service(namespace), policies))
    }

    /// The fields of a stored webhook configuration that say something else than what is printed under that name:
    /// fields of its webhook, such as `rules`, or `webhooks` where it is not one alone. Not compared is the authority,
    /// which whoever makes the certificates writes.
    pub fn drift(&self, registered: Registered, stored: &Value) -> BTreeSet<String> {
        let printed = self.0.iter().find(|printed| {
            printed.get("kind").and_then(Value::as_str) == Some(registered.kind())
                && printed.pointer("/metadata/name") == stored.pointer("/metadata/name")
        });
        let (Some(printed), Some(stored)) = (printed.and_then(only_webhook), only_webhook(stored)) else {
            return BTreeSet::from(["webhooks".to_owned()]);
        };
        let fields: BTreeSet<&String> = printed.keys().chain(stored.keys()).collect();
        let differs = |field: &&String| said(printed, field) != said(stored, field);
        fields.into_iter().filter(differs).cloned().collect()
    }
}

fn only_webhook(configuration: &Value) -> Option<&Map<String, Value>> {
    match configuration.get("webhooks")?.as_array()?.as_slice() {
        [Value::Object(webhook)] => Some(webhook),
        _ => None,
    }
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
        let printed = Printed::of("flamewarden-system", &policies);
        let first = |kind: &str| printed.0.iter().find(|object| object["kind"] == kind).unwrap().clone();
        let validating = first("ValidatingWebhookConfiguration");
        let drifted = |stored: &Value| {
            let found = printed.drift(Registered::Validating, stored);
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
        let found = printed.drift(Registered::Mutating, &first("MutatingWebhookConfiguration"));
        assert_eq!(found, BTreeSet::new());
        assert_eq!(
            Printed::of("elsewhere", &policies).drift(Registered::Validating, &validating).len(),
            1,
            "another's service"
        );
    }
}
