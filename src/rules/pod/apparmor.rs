//! Rule `apparmor`: the runtime's AppArmor profile, or none where nodes have no AppArmor.
//!
//! Why: an unconfined container may do what the node's profile forbids. No remedy: it asks for the host.

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, FieldPath, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "apparmor",
    title: "no container leaves the runtime's AppArmor profile",
    why: "without the runtime's profile a process may mount, and write below /proc and /sys",
    severity: Severity::High,
    controls: &[Control::Baseline("AppArmor")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let of_pod = pod.at(&["spec", "securityContext", "appArmorProfile"]);
    findings.extend(finding(of_pod, || pod.path(&["spec", "securityContext", "appArmorProfile"])));
    for container in pod.containers() {
        let own = container.at(&["securityContext", "appArmorProfile"]);
        findings.extend(finding(own, || container.path(&["securityContext", "appArmorProfile"])));
    }
    findings
}

fn finding(given: Option<&Json<'_>>, path: impl Fn() -> FieldPath) -> Option<Finding> {
    let given = given.filter(|given| !given.is_unset())?;
    let is_usual = given.text_at(&["type"]) == Some("RuntimeDefault");
    (!is_usual).then(|| Finding::new(RULE.id, path(), Some(given), "only the type RuntimeDefault is allowed"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn other_profiles_are_refused() {
        is_clean(&RULE, &[("/spec/securityContext/appArmorProfile", json!({"type": "RuntimeDefault"}))]);
        is_clean(&RULE, &[("/spec/securityContext/appArmorProfile", json!({}))]);
        expect(
            &RULE,
            &[
                ("/spec/securityContext/appArmorProfile", json!({"type": "Unconfined"})),
                ("/spec/containers/0/securityContext/appArmorProfile", json!({"type": "Localhost"})),
            ],
            &[
                r#"spec.securityContext.appArmorProfile ({"type":"Unconfined"}): no remedy"#,
                r#"spec.containers[0].securityContext.appArmorProfile ({"type":"Localhost"}): no remedy"#,
            ],
        );
    }
}
