//! Whether a namespaced policy of Cilium, Calico or Antrea could select an analysis that could exist.
//!
//! Only what is plainly a condition on a pod's own labels narrows; whatever else such a
//! policy says of the pods it is for counts as a match.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::isolation::{could_match, could_match_map};
use crate::model::Json;
use crate::policy::Profile;

/// Whether the policy of that API group could select a pod of the profile.
pub(super) fn could_select(group: &str, policy: &Json<'_>, profile: &Profile) -> bool {
    match group {
        "cilium.io" => cilium(policy, profile),
        "crd.projectcalico.org" | "projectcalico.org" => calico(policy, profile),
        "crd.antrea.io" => antrea(policy, profile),
        _ => true,
    }
}

/// Cilium has one `spec`, several `specs`, or both.
fn cilium(policy: &Json<'_>, profile: &Profile) -> bool {
    let several = policy.get("specs").map_or(&[][..], |specs| specs.items());
    let mut specs = policy.get("spec").into_iter().chain(several).peekable();
    specs.peek().is_none()
        || specs.any(|spec| match spec.get("endpointSelector") {
            Some(selector) => !could_match(Some(&on_pod_labels(selector)), profile).is_none(),
            None => true,
        })
}

/// The selector with pods' own labels only. Cilium writes `k8s:` or `any:` before a key and has keys of its own,
/// which every pod has; to leave such a condition out is to match more.
fn on_pod_labels<'a>(selector: &Json<'a>) -> Json<'a> {
    let fields = selector.entries().iter().map(|(field, value)| match (field.as_ref(), value) {
        ("matchLabels", Json::Object(labels)) => {
            let own = labels.iter().filter_map(|(key, value)| Some((Cow::Owned(pod_label(key)?), value.clone())));
            (field.clone(), Json::Object(own.collect()))
        }
        ("matchExpressions", Json::Array(terms)) => {
            (field.clone(), Json::Array(terms.iter().filter_map(on_pod_label).collect()))
        }
        _ => (field.clone(), value.clone()),
    });
    Json::Object(fields.collect())
}

fn on_pod_label<'a>(term: &Json<'a>) -> Option<Json<'a>> {
    let key = pod_label(term.text_at(&["key"])?)?;
    let fields = term.entries().iter().map(|(field, value)| match field.as_ref() {
        "key" => (field.clone(), Json::String(Cow::Owned(key.clone()))),
        _ => (field.clone(), value.clone()),
    });
    Some(Json::Object(fields.collect()))
}

fn pod_label(key: &str) -> Option<String> {
    let plain = ["k8s:", "any:", "k8s.", "any."].iter().find_map(|source| key.strip_prefix(source)).unwrap_or(key);
    let own = plain.starts_with("io.cilium.") || plain.starts_with("io.kubernetes.") || plain.contains(':');
    (!own).then(|| plain.to_owned())
}

/// Calico has an expression; one that only asks for labels to be equal is read, any other could match.
fn calico(policy: &Json<'_>, profile: &Profile) -> bool {
    let Some(text) = policy.text_at(&["spec", "selector"]) else { return true };
    if !EQUALITIES.is_match(text) {
        return true;
    }
    let equal = EQUALITY.captures_iter(text).map(|term| {
        let part = |name: &str| term.name(name).map(|found| found.as_str());
        let value = part("single").or(part("double")).unwrap_or_default();
        (part("key").unwrap_or_default(), value)
    });
    // Calico's own keys are on every pod.
    let mut wanted: Vec<_> = equal.filter(|(key, _)| !key.contains("projectcalico.org/")).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let twice = wanted.windows(2).any(|pair| matches!(pair, [(one, _), (other, _)] if one == other));
    let labels = wanted.into_iter().map(|(key, value)| (Cow::Borrowed(key), Json::String(Cow::Borrowed(value))));
    let labels: Vec<_> = labels.collect();
    // One key cannot have two values; no condition at all is for every pod.
    !twice && (labels.is_empty() || !could_match_map(Some(&Json::Object(labels)), profile).is_none())
}

/// Antrea says for the whole policy, or for each rule, whom it applies to.
fn antrea(policy: &Json<'_>, profile: &Profile) -> bool {
    let list = |at: &Json<'_>, key: &str| at.get(key).map_or(0, |list| list.items().len());
    let Some(spec) = policy.get("spec") else { return true };
    let rules = ["ingress", "egress"].into_iter().filter_map(|side| spec.get(side)).flat_map(|rules| rules.items());
    let places: Vec<&Json<'_>> = std::iter::once(spec).chain(rules).collect();
    let mut applied = places.iter().filter_map(|place| place.get("appliedTo")).flat_map(|list| list.items()).peekable();
    let unsaid = places.iter().all(|place| list(place, "appliedTo") == 0);
    unsaid
        || applied.any(|to| match to.entries() {
            [(field, selector)] if field == "podSelector" => !could_match(Some(selector), profile).is_none(),
            _ => true,
        })
}

/// `key == 'value'`, several joined by `&&`, and nothing else.
static EQUALITIES: LazyLock<Regex> = LazyLock::new(|| literal(&format!(r"^\s*{TERM}(\s*&&\s*{TERM})*\s*$")));
static EQUALITY: LazyLock<Regex> = LazyLock::new(|| literal(NAMED_TERM));
const TERM: &str = r#"[-A-Za-z0-9_./]+\s*==\s*('[^'"]*'|"[^'"]*")"#;
const NAMED_TERM: &str = r#"(?<key>[-A-Za-z0-9_./]+)\s*==\s*('(?<single>[^'"]*)'|"(?<double>[^'"]*)")"#;

#[expect(clippy::expect_used, reason = "both texts stand in this file, and a test reads them")]
fn literal(text: &str) -> Regex {
    Regex::new(text).expect("a literal expression")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse;
    use crate::policy::PolicySet;

    #[test]
    fn only_plain_conditions_on_pod_labels_narrow() {
        let policies = PolicySet::parse([
            ("a", include_str!("../../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../../tests/fixtures/installation.yaml")),
        ])
        .unwrap();
        for (group, policy, want) in [
            ("cilium.io", r#"{"spec":{"endpointSelector":{}}}"#, true),
            ("cilium.io", r#"{"spec":{"endpointSelector":{"matchLabels":{"app":"web"}}}}"#, false),
            ("cilium.io", r#"{"spec":{"endpointSelector":{"matchLabels":{"k8s:app":"analysis-1"}}}}"#, true),
            ("cilium.io", r#"{"spec":{"endpointSelector":{"matchLabels":{"any:component":"flame-analysis"}}}}"#, true),
            ("cilium.io", r#"{"spec":{"endpointSelector":{"matchLabels":{"k8s:app":"web"}}}}"#, false),
            (
                "cilium.io",
                r#"{"spec":{"endpointSelector":{"matchLabels":{"k8s:io.kubernetes.pod.namespace":"flame"}}}}"#,
                true,
            ),
            (
                "cilium.io",
                r#"{"spec":{"endpointSelector":{"matchExpressions":[{"key":"k8s:app","operator":"Exists"}]}}}"#,
                true,
            ),
            (
                "cilium.io",
                r#"{"spec":{"endpointSelector":{"matchExpressions":[{"key":"any:tier","operator":"Exists"}]}}}"#,
                false,
            ),
            (
                "cilium.io",
                r#"{"spec":{"endpointSelector":{"matchLabels":{"app":"web"}}},"specs":[{"endpointSelector":{}}]}"#,
                true,
            ),
            ("cilium.io", r#"{"spec":{"nodeSelector":{}}}"#, true),
            ("cilium.io", "{}", true),
            ("projectcalico.org", r#"{"spec":{"selector":"app == 'web'"}}"#, false),
            ("crd.projectcalico.org", r#"{"spec":{"selector":"app == 'analysis-1'"}}"#, true),
            (
                "crd.projectcalico.org",
                r#"{"spec":{"selector":"app == \"web\" && component == 'flame-analysis'"}}"#,
                false,
            ),
            ("crd.projectcalico.org", r#"{"spec":{"selector":"app == 'web' || all()"}}"#, true),
            ("crd.projectcalico.org", r#"{"spec":{"selector":"x != \"a && tier == 'web' && b\""}}"#, true),
            ("crd.projectcalico.org", r#"{"spec":{"selector":"projectcalico.org/namespace == 'flame'"}}"#, true),
            ("crd.projectcalico.org", r#"{"spec":{"selector":""}}"#, true),
            ("crd.projectcalico.org", r#"{"spec":{}}"#, true),
            ("crd.antrea.io", r#"{"spec":{"appliedTo":[{"podSelector":{"matchLabels":{"app":"web"}}}]}}"#, false),
            ("crd.antrea.io", r#"{"spec":{"appliedTo":[{"podSelector":{}}]}}"#, true),
            ("crd.antrea.io", r#"{"spec":{"appliedTo":[{"group":"g"}]}}"#, true),
            ("crd.antrea.io", r#"{"spec":{"ingress":[{"appliedTo":[{"podSelector":{}}]}]}}"#, true),
            ("crd.antrea.io", r#"{"spec":{}}"#, true),
            ("unheard.of", "{}", true),
        ] {
            let json = parse(policy.as_bytes()).unwrap();
            assert_eq!(could_select(group, &json, &policies.analysis), want, "{policy}");
        }
    }
}
