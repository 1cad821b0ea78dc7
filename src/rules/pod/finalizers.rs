//! Rule `finalizers`: guarded pods carry only the finalizers that the profile names.
//!
//! Why: with a finalizer that nobody removes, a pod and its policy never end. No remedy: its owner counts on it.

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "finalizers",
    title: "guarded pods carry only the finalizers that the profile names",
    why: "a finalizer that nobody takes away keeps the pod, and whatever waits for its end, for ever",
    severity: Severity::Medium,
    controls: &[Control::Nsa("Kubernetes Pod security")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let known = &case.profile.metadata.finalizers;
    let given = pod.at(&["metadata", "finalizers"]).map_or(&[][..], |list| list.items());
    let is_known = |item: &Json<'_>| item.text().is_some_and(|name| known.iter().any(|known| known == name));
    given
        .iter()
        .enumerate()
        .filter(|(_, item)| !is_known(item))
        .map(|(index, item)| {
            let path = pod.path(&["metadata", "finalizers"]).index(index);
            Finding::new(RULE.id, path, Some(item), "the profile does not name this finalizer; leave it out")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn unknown_finalizers_are_refused() {
        is_clean(&RULE, &[("/metadata/finalizers", json!(["batch.kubernetes.io/job-tracking"]))]);
        expect(
            &RULE,
            &[("/metadata/finalizers", json!(["orphan", "example.org/never"]))],
            &[r#"metadata.finalizers[1] ("example.org/never"): no remedy"#],
        );
    }
}
