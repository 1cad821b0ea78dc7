//! Rule `seccomp`: the runtime's seccomp profile filters system calls.
//!
//! Why: most ways out of a container begin with a system call that programs rarely need.
//! Remedy: `RuntimeDefault`.

use serde_json::json;

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Edit, FieldPath, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "seccomp",
    title: "the runtime's seccomp profile filters system calls",
    why: "without the filter a process may make every system call, and so reach every flaw in the kernel",
    severity: Severity::High,
    controls: &[Control::Restricted("Seccomp"), Control::Cis("5.7.2")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let of_pod = pod.at(&["spec", "securityContext", "seccompProfile"]);
    if !is_default(of_pod) {
        findings.push(finding(pod.path(&["spec", "securityContext", "seccompProfile"]), of_pod));
    }
    for container in pod.containers() {
        let own = container.at(&["securityContext", "seccompProfile"]);
        if own.is_some() && !is_default(own) {
            findings.push(finding(container.path(&["securityContext", "seccompProfile"]), own));
        }
    }
    findings
}

fn is_default(profile: Option<&Json<'_>>) -> bool {
    profile.is_some_and(|profile| {
        profile.text_at(&["type"]) == Some("RuntimeDefault")
            && profile.get("localhostProfile").is_none_or(Json::is_unset)
    })
}

fn finding(path: FieldPath, given: Option<&Json<'_>>) -> Finding {
    let file = given.is_some_and(|given| given.get("localhostProfile").is_some());
    let without_file = file.then(|| Edit::Remove(path.key("localhostProfile")));
    let set = Edit::Set(path.key("type"), json!("RuntimeDefault"));
    let finding = Finding::new(RULE.id, path, given, "set the type to RuntimeDefault");
    finding.mended_by([set].into_iter().chain(without_file))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn only_the_runtimes_own_profile_is_used() {
        let set = |path: &str| format!(r#"set {path}.type = "RuntimeDefault""#);
        let (pod, container) =
            ("spec.securityContext.seccompProfile", "spec.containers[0].securityContext.seccompProfile");
        is_clean(&RULE, &[("/spec/containers/0/securityContext/seccompProfile", json!({"type": "RuntimeDefault"}))]);
        expect(
            &RULE,
            &[("/spec/securityContext/seccompProfile", json!(null))],
            &[&format!("{pod} (absent): {}", set(pod))],
        );
        expect(
            &RULE,
            &[("/spec/securityContext/seccompProfile", json!({"type": "Localhost", "localhostProfile": "x"}))],
            &[&format!(
                r#"{pod} ({{"localhostProfile":"x","type":"Localhost"}}): {}, remove {pod}.localhostProfile"#,
                set(pod)
            )],
        );
        expect(
            &RULE,
            &[("/spec/securityContext/seccompProfile", json!({"type": "RuntimeDefault", "localhostProfile": "x"}))],
            &[&format!(
                r#"{pod} ({{"localhostProfile":"x","type":"RuntimeDefault"}}): {}, remove {pod}.localhostProfile"#,
                set(pod)
            )],
        );
        expect(
            &RULE,
            &[("/spec/containers/0/securityContext/seccompProfile", json!({"type": "Unconfined"}))],
            &[&format!(r#"{container} ({{"type":"Unconfined"}}): {}"#, set(container))],
        );
    }
}
