//! Rule `proc-mount`: `/proc` is masked as usual.
//!
//! Why: an unmasked `/proc` shows and changes what belongs to the node. No remedy: it asks for the host.

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "proc-mount",
    title: "/proc is masked as usual",
    why: "an unmasked /proc shows and sets what belongs to the node's kernel",
    severity: Severity::High,
    controls: &[Control::Baseline("/proc Mount Type")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    pod.containers()
        .filter_map(|container| {
            let given = container.at(&["securityContext", "procMount"]).filter(|value| !value.is_unset())?;
            let path = || container.path(&["securityContext", "procMount"]);
            (given.text() != Some("Default"))
                .then(|| Finding::new(RULE.id, path(), Some(given), "only `Default` is allowed"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn an_unmasked_proc_is_refused() {
        let at = "/spec/containers/0/securityContext/procMount";
        is_clean(&RULE, &[(at, json!("Default"))]);
        is_clean(&RULE, &[(at, json!(""))]);
        expect(
            &RULE,
            &[(at, json!("Unmasked"))],
            &[r#"spec.containers[0].securityContext.procMount ("Unmasked"): no remedy"#],
        );
    }
}
