//! Rule `user-namespace`: where the profile asks for it, pods have a user namespace of their own.
//!
//! Why: root in such a pod is nobody on the node. Remedy: `hostUsers: false`.

use serde_json::json;

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Edit, Finding, Json, PodView, Severity};
use crate::policy::Want;

pub(super) const RULE: PodRule = PodRule {
    id: "user-namespace",
    title: "pods have a user namespace of their own where the profile asks for it",
    why: "root in the container is a user of the node without one",
    severity: Severity::Medium,
    controls: &[Control::Nsa("Kubernetes Pod security: hardening container engines")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let given = pod.spec("hostUsers");
    if case.profile.security.user_namespace != Want::Required || given.and_then(Json::boolean) == Some(false) {
        return Vec::new();
    }
    let path = pod.spec_path("hostUsers");
    vec![Finding::new(RULE.id, path.clone(), given, "set it to false").mended_by([Edit::Set(path, json!(false))])]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::policy::{Role, Want};
    use crate::rules::pod::testing::{expect_with, is_clean};

    #[test]
    fn a_user_namespace_is_made_where_asked() {
        is_clean(&RULE, &[("/spec/hostUsers", json!(true))]);
        for (given, wanted) in [
            (json!(null), vec!["spec.hostUsers (absent): set spec.hostUsers = false"]),
            (json!(true), vec!["spec.hostUsers (true): set spec.hostUsers = false"]),
            (json!(false), vec![]),
        ] {
            expect_with(
                &RULE,
                Role::Analysis,
                |profile| profile.security.user_namespace = Want::Required,
                &[("/spec/hostUsers", given)],
                &wanted,
            );
        }
    }
}
