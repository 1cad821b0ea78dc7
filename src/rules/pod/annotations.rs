//! Rule `annotations`: guarded pods carry only known annotations.
//!
//! Why: network plug-ins, runtimes and meshes take orders from annotations, such as a second
//! network card that no NetworkPolicy covers. No remedy: it asks for another network or runtime.

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "annotations",
    title: "guarded pods carry only known annotations",
    why: "annotations turn on features of networks, meshes and runtimes that change what a pod may reach",
    severity: Severity::High,
    controls: &[Control::Baseline("AppArmor"), Control::Baseline("Seccomp")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let known = &case.profile.metadata.annotations;
    let given = pod.at(&["metadata", "annotations"]).map_or(&[][..], Json::entries);
    given
        .iter()
        .filter(|(key, _)| !known.iter().any(|known| known == key))
        .map(|(key, value)| {
            let path = pod.path(&["metadata", "annotations", key]);
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
    fn unknown_annotations_are_refused() {
        is_clean(&RULE, &[("/metadata/annotations", json!({"kubectl.kubernetes.io/restartedAt": "x"}))]);
        expect(
            &RULE,
            &[("/metadata/annotations", json!({"k8s.v1.cni.cncf.io/networks": "other"}))],
            &[r#"metadata.annotations["k8s.v1.cni.cncf.io/networks"] ("other"): no remedy"#],
        );
    }
}
