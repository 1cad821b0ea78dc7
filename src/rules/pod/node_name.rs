//! Rule `node-name`: the scheduler binds pods, nobody else.
//!
//! Why: a pod that names its node passes by the scheduler, its gates and its taints. No remedy: it asks for a host.

use super::{BOTH, PodCase, PodRule, Stage};
use crate::model::{Control, Finding, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "node-name",
    title: "the scheduler binds pods, nobody else",
    why: "a pod that names its node passes the scheduler, and with it every gate",
    severity: Severity::High,
    controls: &[Control::Nsa("Kubernetes Pod security")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    // The scheduler has bound a stored pod through pods/binding.
    let given = pod.spec("nodeName").filter(|given| !given.is_unset() && case.stage != Stage::Stored);
    given
        .map(|given| Finding::new(RULE.id, pod.spec_path("nodeName"), Some(given), "leave it out"))
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::policy::Role;
    use crate::rules::pod::Stage;
    use crate::rules::pod::testing::{all_findings, changed, expect, is_clean, policies};

    #[test]
    fn new_pods_name_no_node() {
        is_clean(&RULE, &[("/spec/nodeName", json!(""))]);
        expect(&RULE, &[("/spec/nodeName", json!("n1"))], &[r#"spec.nodeName ("n1"): no remedy"#]);
    }

    #[test]
    fn stored_pods_are_on_their_node() {
        let pod = changed(Role::Analysis, &[("/spec/nodeName", json!("n1"))]);
        let profile = policies().analysis;
        let of = |stage| all_findings(&pod, &profile, stage);
        assert_eq!(of(Stage::Stored), Vec::<String>::new());
        assert_eq!(of(Stage::Template), [r#"node-name: spec.nodeName ("n1"): no remedy"#]);
    }
}
