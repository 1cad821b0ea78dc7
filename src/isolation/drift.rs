//! Whether a stored policy of ours is still what it should be.

use serde_json::{Value, json};

/// Whether an observed policy is not what it should be, in the fields that are ours: its spec as
/// the API server completes it, the labels that we set, the finalizer.
pub fn differs(observed: &Value, desired: &Value) -> bool {
    let labels = |policy: &Value| policy.pointer("/metadata/labels").and_then(Value::as_object).cloned();
    let (seen, wanted) = (labels(observed).unwrap_or_default(), labels(desired).unwrap_or_default());
    let finalizers = |policy: &Value| policy.pointer("/metadata/finalizers").and_then(Value::as_array).cloned();
    let (held, holding) = (finalizers(observed).unwrap_or_default(), finalizers(desired).unwrap_or_default());
    says_else(observed, desired)
        || wanted.iter().any(|(key, value)| seen.get(key) != Some(value))
        || holding.iter().any(|finalizer| !held.contains(finalizer))
}

/// Whether the spec of a policy, as the API server completes it, is another than it should be.
pub fn says_else(observed: &Value, desired: &Value) -> bool {
    completed(observed) != completed(desired)
}

/// The spec with the API server's defaults: types, protocols, and no difference between empty and absent lists.
fn completed(policy: &Value) -> Value {
    let mut spec = policy.get("spec").cloned().unwrap_or_default();
    tidy(&mut spec);
    let Some(fields) = spec.as_object_mut() else { return spec };
    let with_egress = fields.contains_key("egress");
    let types = fields.entry("policyTypes");
    types.or_insert_with(|| if with_egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
    for direction in ["ingress", "egress"] {
        let rules = fields.get_mut(direction).and_then(Value::as_array_mut).into_iter().flatten();
        let ports = rules.filter_map(|rule| rule.get_mut("ports").and_then(Value::as_array_mut)).flatten();
        for port in ports.filter_map(Value::as_object_mut) {
            port.entry("protocol").or_insert_with(|| json!("TCP"));
        }
    }
    spec
}

/// Leaves out nulls and empty lists of fields. Empty objects stay: `{}` is a selector of everything.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()));
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
