//! Rule `privileged`: no container is privileged.
//!
//! Why: a privileged container is root on the node. No remedy: it asks for the host.

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "privileged",
    title: "no container is privileged",
    why: "a privileged container is root on the node",
    severity: Severity::Critical,
    controls: &[Control::Baseline("Privileged Containers"), Control::Cis("5.2.2")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    pod.containers()
        .filter_map(|container| {
            let given = container.at(&["securityContext", "privileged"]).filter(|value| !value.is_unset())?;
            let path = container.path(&["securityContext", "privileged"]);
            Some(Finding::new(RULE.id, path, Some(given), "privileged containers are root on the node; leave it out"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn privileged_containers_are_refused() {
        let at = "/spec/containers/0/securityContext/privileged";
        is_clean(&RULE, &[(at, json!(false))]);
        expect(&RULE, &[(at, json!(true))], &["spec.containers[0].securityContext.privileged (true): no remedy"]);
    }
}
