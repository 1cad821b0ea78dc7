//! Rule `capabilities`: every container drops ALL capabilities and adds none.
//!
//! Why: a capability is a piece of root. Remedy: drop ALL, add none.

use serde_json::json;

use super::{BOTH, PodCase, PodRule};
use crate::model::{ContainerView, Control, Edit, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "capabilities",
    title: "every container drops ALL capabilities and adds none",
    why: "each capability is a part of root's power: raw sockets forge addresses, others read every file",
    severity: Severity::High,
    controls: &[Control::Restricted("Capabilities"), Control::Cis("5.2.9")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    pod.containers().filter_map(|container| finding(&container)).collect()
}

fn finding(container: &ContainerView<'_>) -> Option<Finding> {
    let given = container.at(&["securityContext", "capabilities"]);
    let adds = given.and_then(|given| given.get("add")).is_some_and(|add| !add.is_unset());
    let drops = drops_all(given);
    if drops && !adds {
        return None;
    }
    let path = container.path(&["securityContext", "capabilities"]);
    let drop_all = (!drops).then(|| Edit::Set(path.key("drop"), json!(["ALL"])));
    let add_none = adds.then(|| Edit::Remove(path.key("add")));
    let finding = Finding::new(RULE.id, path, given, "drop ALL capabilities and add none");
    Some(finding.mended_by(drop_all.into_iter().chain(add_none)))
}

/// Runtimes read `ALL` in any case, but none of them reads `CAP_ALL` so; the exact word is what everybody reads alike.
fn drops_all(capabilities: Option<&Json<'_>>) -> bool {
    let drop = capabilities.and_then(|capabilities| capabilities.get("drop"));
    drop.is_some_and(|drop| drop.items().iter().any(|item| item.text() == Some("ALL")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn all_is_dropped_and_none_is_added() {
        let at = "/spec/containers/0/securityContext/capabilities";
        is_clean(&RULE, &[(at, json!({"drop": ["NET_RAW", "ALL"], "add": []}))]);
        let path = "spec.containers[0].securityContext.capabilities";
        let set = format!(r#"set {path}.drop = ["ALL"]"#);
        for (given, shown, remedy) in [
            (json!(null), "absent", set.clone()),
            (json!({}), "{}", set.clone()),
            (json!({"drop": ["all"]}), r#"{"drop":["all"]}"#, set.clone()),
            (json!({"drop": ["CAP_ALL"]}), r#"{"drop":["CAP_ALL"]}"#, set.clone()),
            (json!({"drop": ["NET_RAW"]}), r#"{"drop":["NET_RAW"]}"#, set.clone()),
            (
                json!({"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
                r#"{"add":["SYS_ADMIN"],"drop":["ALL"]}"#,
                format!("remove {path}.add"),
            ),
            (json!({"add": [""]}), r#"{"add":[""]}"#, format!("{set}, remove {path}.add")),
        ] {
            expect(&RULE, &[(at, given)], &[&format!("{path} ({shown}): {remedy}")]);
        }
    }

    #[test]
    fn every_kind_of_container_is_looked_at() {
        expect(
            &RULE,
            &[("/spec/initContainers", json!([{"name": "a"}])), ("/spec/ephemeralContainers", json!([{"name": "b"}]))],
            &[
                r#"spec.initContainers[0].securityContext.capabilities (absent): set spec.initContainers[0].securityContext.capabilities.drop = ["ALL"]"#,
                r#"spec.ephemeralContainers[0].securityContext.capabilities (absent): set spec.ephemeralContainers[0].securityContext.capabilities.drop = ["ALL"]"#,
            ],
        );
    }
}
