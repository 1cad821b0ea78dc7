//! Rule `labels`: guarded pods carry only known label keys.
//!
//! Why: what a pod carries decides which policies and Services select it; with known keys that
//! can be decided for every pod that could exist. No remedy: a controller that made the pod would
//! no longer find it, and make another.

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, Json, PodView, Severity, labels};

pub(super) const RULE: PodRule = PodRule {
    id: "labels",
    title: "guarded pods carry only known label keys",
    why: "a label that a network policy or a Service selects makes the pod a part of something else",
    severity: Severity::High,
    controls: &[Control::Nsa("Network separation and hardening")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let known = &case.profile.metadata.labels;
    let is_known = |key: &str| key == labels::APP || key == labels::COMPONENT || known.iter().any(|known| known == key);
    let given = pod.at(&["metadata", "labels"]).map_or(&[][..], Json::entries);
    given
        .iter()
        .filter(|(key, _)| !is_known(key))
        .map(|(key, value)| {
            let path = pod.path(&["metadata", "labels", key]);
            Finding::new(RULE.id, path, Some(value), "the profile does not name this key; leave it out")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn unknown_labels_are_refused() {
        is_clean(
            &RULE,
            &[
                ("/metadata/labels/pod-template-hash", json!("x")),
                ("/metadata/labels/flamewarden.dev~1analysis", json!("x")),
            ],
        );
        expect(
            &RULE,
            &[("/metadata/labels/k8s-app", json!("kube-dns"))],
            &[r#"metadata.labels.k8s-app ("kube-dns"): no remedy"#],
        );
    }
}
