//! Rule `privilege-escalation`: no process gains more rights than its parent.
//!
//! Why: a set-uid program in the image would be root. Remedy: `allowPrivilegeEscalation: false`.
//! A privileged container has no remedy, because the API server refuses the two together
//! and its message would hide ours.

use serde_json::json;

use super::{BOTH, PodCase, PodRule};
use crate::model::{ContainerView, Control, Edit, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "privilege-escalation",
    title: "no process gains more rights than its parent",
    why: "a setuid program in the image makes its caller root again",
    severity: Severity::High,
    controls: &[Control::Restricted("Privilege Escalation"), Control::Cis("5.2.6")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    pod.containers().filter_map(|container| finding(&container)).collect()
}

fn finding(container: &ContainerView<'_>) -> Option<Finding> {
    let given = container.at(&["securityContext", "allowPrivilegeEscalation"]);
    if given.and_then(Json::boolean) == Some(false) {
        return None;
    }
    let path = container.path(&["securityContext", "allowPrivilegeEscalation"]);
    let finding = Finding::new(RULE.id, path.clone(), given, "set it to false");
    let is_privileged = container.at(&["securityContext", "privileged"]).is_some_and(|value| !value.is_unset());
    Some(if is_privileged { finding } else { finding.mended_by([Edit::Set(path, json!(false))]) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn escalation_is_off_in_every_container() {
        let at = "/spec/containers/0/securityContext";
        let path = "spec.containers[0].securityContext.allowPrivilegeEscalation";
        is_clean(&RULE, &[]);
        expect(&RULE, &[(at, json!({}))], &[&format!("{path} (absent): set {path} = false")]);
        let on = json!({"allowPrivilegeEscalation": true});
        expect(&RULE, &[(at, on)], &[&format!("{path} (true): set {path} = false")]);
        let unprivileged = json!({"allowPrivilegeEscalation": true, "privileged": false});
        expect(&RULE, &[(at, unprivileged)], &[&format!("{path} (true): set {path} = false")]);
        let privileged = json!({"allowPrivilegeEscalation": true, "privileged": true});
        expect(&RULE, &[(at, privileged)], &[&format!("{path} (true): no remedy")]);
    }
}
