//! Rule `network-gate`: a new analysis waits at the gate until its network policy is made.
//!
//! Why: a pod that runs before its policy runs without one. Remedy: the gate is added.

use serde_json::json;

use super::{ANALYSIS, PodCase, PodRule, Stage};
use crate::model::{Control, Edit, Finding, PodView, Severity, labels};

pub(super) const RULE: PodRule = PodRule {
    id: "network-gate",
    title: "a new analysis waits at the gate until its network policy is made",
    why: "a pod that starts before its network policy is in force reaches everything until then",
    severity: Severity::Critical,
    controls: &[Control::Nsa("Network separation and hardening: network policies"), Control::Cis("5.3.2")],
    roles: ANALYSIS,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let is_gated =
        || pod.list("schedulingGates").iter().any(|gate| gate.text_at(&["name"]) == Some(labels::NETWORK_GATE));
    if case.stage != Stage::Create || is_gated() {
        return Vec::new();
    }
    let path = pod.spec_path("schedulingGates");
    let message = format!("add the scheduling gate `{}`", labels::NETWORK_GATE);
    let add = Edit::Add(path.clone(), json!({"name": labels::NETWORK_GATE}));
    vec![Finding::new(RULE.id, path, pod.spec("schedulingGates"), message).mended_by([add])]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::policy::Role;
    use crate::rules::pod::Stage;
    use crate::rules::pod::testing::{all_findings, changed, expect, is_clean, policies};

    #[test]
    fn new_analyses_have_the_gate() {
        let add = r#"add {"name":"flamewarden.dev/network-policy"} to spec.schedulingGates"#;
        is_clean(&RULE, &[]);
        expect(&RULE, &[("/spec/schedulingGates", json!(null))], &[&format!("spec.schedulingGates (absent): {add}")]);
        let other = json!([{"name": "flamewarden.dev/scan"}]);
        let wanted = format!(r#"spec.schedulingGates ([{{"name":"flamewarden.dev/scan"}}]): {add}"#);
        expect(&RULE, &[("/spec/schedulingGates", other)], &[&wanted]);
    }

    #[test]
    fn stored_pods_templates_and_gateways_need_none() {
        let gateway = changed(Role::Gateway, &[("/spec/schedulingGates", json!(null))]);
        let of_gateway = all_findings(&gateway, &policies().gateway, Stage::Create);
        assert!(of_gateway.iter().all(|line| !line.starts_with(RULE.id)), "{of_gateway:?}");
        let pod = changed(Role::Analysis, &[("/spec/schedulingGates", json!(null))]);
        for stage in [Stage::Stored, Stage::Template] {
            assert_eq!(all_findings(&pod, &policies().analysis, stage), Vec::<String>::new());
        }
    }
}
