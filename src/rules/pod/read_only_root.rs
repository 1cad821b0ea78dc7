//! Rule `read-only-root`: where the profile asks for it, root file systems are read-only.
//!
//! Why: what cannot be written cannot be changed by who breaks in. Remedy: `readOnlyRootFilesystem: true`.

use serde_json::json;

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Edit, Finding, Json, PodView, Severity};
use crate::policy::Want;

pub(super) const RULE: PodRule = PodRule {
    id: "read-only-root",
    title: "root file systems are read-only where the profile asks for it",
    why: "what cannot be written to cannot be made to run something else",
    severity: Severity::Low,
    controls: &[Control::Nsa("Kubernetes Pod security: immutable container file systems")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    if case.profile.security.read_only_root_filesystem != Want::Required {
        return Vec::new();
    }
    pod.containers()
        .filter_map(|container| {
            let given = container.at(&["securityContext", "readOnlyRootFilesystem"]);
            if given.and_then(Json::boolean) == Some(true) {
                return None;
            }
            let path = container.path(&["securityContext", "readOnlyRootFilesystem"]);
            let finding = Finding::new(RULE.id, path.clone(), given, "set it to true");
            Some(finding.mended_by([Edit::Set(path, json!(true))]))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::policy::{Role, Want};
    use crate::rules::pod::testing::{expect_with, is_clean};

    #[test]
    fn the_root_file_system_is_read_only_where_asked() {
        let at = "/spec/containers/0/securityContext/readOnlyRootFilesystem";
        let path = "spec.containers[0].securityContext.readOnlyRootFilesystem";
        is_clean(&RULE, &[(at, json!(false))]);
        for (given, shown) in [(json!(false), "false"), (json!(null), "absent")] {
            expect_with(
                &RULE,
                Role::Analysis,
                |profile| profile.security.read_only_root_filesystem = Want::Required,
                &[(at, given)],
                &[&format!("{path} ({shown}): set {path} = true")],
            );
        }
        expect_with(
            &RULE,
            Role::Analysis,
            |profile| profile.security.read_only_root_filesystem = Want::Required,
            &[(at, json!(true))],
            &[],
        );
    }
}
