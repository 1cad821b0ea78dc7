//! Compares policies: with the version before, with what FLAME meant, with what ours should be.

use serde_json::{Value, json};

use super::guarded::matched_apps;
use super::judge::{excess, judge_policy};
use super::make::spec;
use super::read::Policy;
use crate::model::{Edit, FieldPath, Finding, Json};
use crate::policy::PolicySet;

/// What a new version of a policy lets through that the old one did not.
///
/// A finding of the new version is old only where the old version had the whole rule, in force,
/// for all the pods that the new one selects; the same place and value alone do not say so.
pub fn added_reach(old: &Json<'_>, new: &Json<'_>, policies: &PolicySet) -> Vec<Finding> {
    let spec_of = |policy: &Json<'_>| policy.get("spec").map(Json::to_value);
    if spec_of(old) == spec_of(new) {
        return Vec::new();
    }
    let (before, after) = (Policy::read(old), Policy::read(new));
    let apps = matched_apps(&after.pods, &policies.analysis);
    let same_pods = after.pods.is_within(&before.pods);
    excess(&after, &apps, policies, |direction, rule| {
        let known = before.sides.iter().filter(|side| side.direction == direction).flat_map(|side| &side.rules);
        let rule = rule.json.to_value();
        !(same_pods && known.map(|known| known.json.to_value()).any(|known| known == rule))
    })
}

/// How a policy for exactly one analysis, such as FLAME's own, becomes as narrow as the profile:
/// it goes on selecting the same pods. None where it is narrow enough, or where it isn't so plain.
pub fn narrowed(policy: &Json<'_>, policies: &PolicySet) -> Option<Edit> {
    let known = Policy::read(policy);
    let apps = matched_apps(&known.pods, &policies.analysis);
    let app = apps.single().filter(|_| known.is_known())?;
    if judge_policy(policy, policies).is_empty() {
        return None;
    }
    let pods = policy.at(&["spec", "podSelector"])?.to_value();
    Some(Edit::Set(FieldPath::of(&["spec"]), spec(pods, app, &policies.analysis, &policies.gateway)))
}

/// Whether an observed policy is not what it should be, in the fields that are ours: its spec as
/// the API server completes it, the labels that we set, the finalizer.
pub fn differs(observed: &Value, desired: &Value) -> bool {
    let labels = |policy: &Value| policy.pointer("/metadata/labels").and_then(Value::as_object).cloned();
    let (seen, wanted) = (labels(observed).unwrap_or_default(), labels(desired).unwrap_or_default());
    let finalizers = |policy: &Value| policy.pointer("/metadata/finalizers").and_then(Value::as_array).cloned();
    let (held, holding) = (finalizers(observed).unwrap_or_default(), finalizers(desired).unwrap_or_default());
    completed(observed) != completed(desired)
        || wanted.iter().any(|(key, value)| seen.get(key) != Some(value))
        || holding.iter().any(|finalizer| !held.contains(finalizer))
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
