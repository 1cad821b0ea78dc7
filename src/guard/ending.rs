//! Whether all pods of a namespace that ends are gone, by what the namespace itself says.
//!
//! A namespace that ends takes the Role in it away while its policies are still there. A controller that starts only
//! then cannot list the pods; the namespace's conditions, which the namespace controller writes, say what is left.

use crate::model::Json;

/// Whether the conditions plainly say so: everything was found, and no pod is among what is left. The conditions name
/// the kinds in a sentence only; a sentence in any other words says nothing.
pub(super) fn pods_are_gone(namespace: &Json<'_>) -> bool {
    let conditions = namespace.at(&["status", "conditions"]).map_or(&[][..], Json::items);
    let is = |wanted: &str, status: &str| {
        conditions.iter().any(|condition| {
            condition.text_at(&["type"]) == Some(wanted) && condition.text_at(&["status"]) == Some(status)
        })
    };
    let left = conditions.iter().find(|condition| condition.text_at(&["type"]) == Some(REMAINING));
    let left = left.and_then(|condition| condition.text_at(&["message"])?.strip_prefix(LEFT));
    namespace.at(&["metadata", "deletionTimestamp"]).is_some()
        && FAILURES.iter().all(|failure| is(failure, "False"))
        && is(REMAINING, "True")
        && left.is_some_and(|kinds| kinds.split(", ").all(|kind| kind_left(kind).is_some_and(|kind| kind != PODS)))
}

/// The kind in `networkpolicies.networking.k8s.io has 1 resource instances`.
fn kind_left(text: &str) -> Option<&str> {
    let (kind, count) = text.strip_suffix(" resource instances")?.split_once(" has ")?;
    let is_kind = kind.contains('.') && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    (is_kind && !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit())).then_some(kind)
}

/// While one of these is true or unknown, something may be left that is not named.
const FAILURES: [&str; 3] = [
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
    "NamespaceDeletionContentFailure",
];
const REMAINING: &str = "NamespaceContentRemaining";
const LEFT: &str = "Some resources are remaining: ";
/// Pods have no group; what stands before it ends in a dot.
const PODS: &str = "pods.";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::parse;

    const POLICIES: &str = "networkpolicies.networking.k8s.io has 2 resource instances";

    fn ending(content_failure: &str, remaining: &str) -> Value {
        let condition =
            |name: &str, status: &str, message: &str| json!({"type": name, "status": status, "message": message});
        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"conditions": [
            condition("NamespaceDeletionDiscoveryFailure", "False", "All resources successfully discovered"),
            condition("NamespaceDeletionGroupVersionParsingFailure", "False", "All legacy kube types successfully parsed"),
            condition("NamespaceDeletionContentFailure", content_failure, ""),
            condition("NamespaceContentRemaining", "True", remaining),
        ]}})
    }

    #[test]
    fn only_a_sentence_in_known_words_without_pods_says_that_pods_are_gone() {
        let said = |kinds: &str| format!("Some resources are remaining: {kinds}");
        let mut alive = ending("False", &said(POLICIES));
        alive["metadata"] = json!({});
        let mut silent = ending("False", &said(POLICIES));
        silent["status"]["conditions"].as_array_mut().unwrap().remove(0);
        for (namespace, want) in [
            (ending("False", &said(POLICIES)), true),
            (ending("False", &said(&format!("{POLICIES}, persistentvolumeclaims. has 1 resource instances"))), true),
            (ending("False", &said(&format!("{POLICIES}, pods. has 1 resource instances"))), false),
            (ending("True", &said(POLICIES)), false),
            (ending("Unknown", &said(POLICIES)), false),
            (ending("False", &said("2 network policies, 1 pod")), false),
            (ending("False", &said("")), false),
            (ending("False", POLICIES), false),
            (ending("False", "All content successfully removed"), false),
            (alive, false),
            (silent, false),
            (json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}), false),
        ] {
            let text = namespace.to_string();
            assert_eq!(pods_are_gone(&parse(text.as_bytes()).unwrap()), want, "{text}");
        }
    }
}
