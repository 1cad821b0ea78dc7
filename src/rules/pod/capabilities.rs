//! Rule `capabilities`: every container drops ALL capabilities and adds none.
//!
//! Why: a capability is a piece of root. Remedy: drop ALL, add none.

use serde_json::json;

use super::{BOTH, PodCase, PodRule};
use crate::model::{ContainerView, Edit, Finding, Json, PodView, Severity};
use crate::rules::Control;

pub(super) const RULE: PodRule = PodRule {
    id: "capabilities",
    title: "every container drops ALL capabilities and adds none",
    severity: Severity::High,
    controls: &[Control::Restricted("Capabilities"), Control::Cis("5.2.9")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    pod.containers()
        .filter(|container| !drops_all(container))
        .map(|container| {
            let path = container.path(&["securityContext", "capabilities"]);
            let given = container.at(&["securityContext", "capabilities"]);
            Finding::new(RULE.id, path.clone(), given, "drop ALL capabilities and add none")
                .mended_by([Edit::Set(path, json!({"drop": ["ALL"]}))])
        })
        .collect()
}

fn drops_all(container: &ContainerView<'_>) -> bool {
    let Some(capabilities) = container.at(&["securityContext", "capabilities"]) else { return false };
    let adds_none = capabilities.get("add").is_none_or(Json::is_unset);
    let drops = capabilities.get("drop").map_or(&[][..], |list| list.items());
    adds_none && drops.iter().any(|item| item.text() == Some("ALL"))
}
