//! Rule `runtime-class`: the profile's runtime class, or none.
//!
//! Why: another runtime may contain less. Remedy: a missing one is filled in; another one has no remedy.

use serde_json::json;

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Edit, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "runtime-class",
    title: "pods run by the profile's runtime class, or by the cluster's usual runtime",
    why: "a runtime class chooses how strongly a container is separated from the node",
    severity: Severity::High,
    controls: &[Control::Nsa("Kubernetes Pod security: hardening container engines")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let given = pod.spec("runtimeClassName").filter(|value| !value.is_unset());
    let path = || pod.spec_path("runtimeClassName");
    let mut findings = match (&case.profile.security.runtime_class, given) {
        (None, None) => Vec::new(),
        (Some(wanted), Some(given)) if given.text() == Some(wanted) => Vec::new(),
        (Some(wanted), None) => {
            let finding = Finding::new(RULE.id, path(), None, format!("name the runtime class `{wanted}`"));
            vec![finding.mended_by([Edit::Set(path(), json!(wanted))])]
        }
        (Some(wanted), given) => {
            vec![Finding::new(RULE.id, path(), given, format!("only the runtime class `{wanted}` is allowed"))]
        }
        (None, given) => vec![Finding::new(RULE.id, path(), given, "no runtime class may be named")],
    };
    // The API server fills the overhead in from the runtime class; without one there is none.
    let overhead = pod.spec("overhead").filter(|value| !Json::is_unset(value));
    if case.profile.security.runtime_class.is_none() && overhead.is_some() {
        findings.push(Finding::new(
            RULE.id,
            pod.spec_path("overhead"),
            overhead,
            "no overhead without a runtime class",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::policy::Role;
    use crate::rules::pod::testing::{expect, expect_with, is_clean};

    #[test]
    fn no_runtime_class_where_the_profile_names_none() {
        is_clean(&RULE, &[("/spec/runtimeClassName", json!("")), ("/spec/overhead", json!({}))]);
        expect(
            &RULE,
            &[("/spec/runtimeClassName", json!("kata")), ("/spec/overhead", json!({"cpu": "1"}))],
            &[r#"spec.runtimeClassName ("kata"): no remedy"#, r#"spec.overhead ({"cpu":"1"}): no remedy"#],
        );
    }

    #[test]
    fn the_profiles_runtime_class_is_filled_in() {
        for (given, wanted) in [
            (json!(null), vec![r#"spec.runtimeClassName (absent): set spec.runtimeClassName = "gvisor""#]),
            (json!("kata"), vec![r#"spec.runtimeClassName ("kata"): no remedy"#]),
            (json!("gvisor"), vec![]),
        ] {
            expect_with(
                &RULE,
                Role::Analysis,
                |profile| profile.security.runtime_class = Some("gvisor".to_owned()),
                &[("/spec/runtimeClassName", given), ("/spec/overhead", json!({"cpu": "1"}))],
                &wanted,
            );
        }
    }
}
