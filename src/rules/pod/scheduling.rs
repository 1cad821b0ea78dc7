//! Rule `scheduling`: pods go where the cluster puts them, and drive nobody out.
//!
//! Why: who chooses the node chooses the neighbours, and a high priority drives others out.
//! No remedy: it asks for another place.

use super::field_table::{SPEC, refusals};
use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, Json, PodView, Severity, labels};
use crate::policy::Scheduling;

pub(super) const RULE: PodRule = PodRule {
    id: "scheduling",
    title: "pods go where the cluster puts them, and drive nobody out",
    why: "priority drives others out, and a chosen node may be one that is less protected",
    severity: Severity::Medium,
    controls: &[Control::Nsa("Kubernetes Pod security"), Control::Cis("5.7.3")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let Some(spec) = pod.at(&["spec"]) else { return Vec::new() };
    let mut findings: Vec<Finding> = refusals(SPEC, RULE.id, spec)
        .map(|(key, given)| Finding::new(RULE.id, pod.spec_path(key), Some(given), "leave it out"))
        .collect();
    let settings = &case.profile.scheduling;
    for (key, given) in spec.entries().iter().filter(|(_, given)| !given.is_unset()) {
        let says = match key.as_ref() {
            "schedulerName" => (given.text() != Some(SCHEDULER)).then_some("only the default scheduler is allowed"),
            "priorityClassName" => {
                (given.text() != settings.priority_class.as_deref()).then_some("not the profile's priority class")
            }
            "priority" => {
                settings.priority_class.is_none().then_some("no priority without the profile's priority class")
            }
            "preemptionPolicy" => {
                (!matches!(given.text(), Some("Never" | "PreemptLowerPriority"))).then_some("unknown policy")
            }
            "os" => (given.text_at(&["name"]) != Some("linux")).then_some("only Linux is allowed"),
            _ => None,
        };
        findings.extend(says.map(|says| Finding::new(RULE.id, pod.spec_path(key), Some(given), says)));
    }
    node_selector(pod, settings, &mut findings);
    items(
        pod,
        "tolerations",
        "not a toleration that the profile names",
        |item| is_tolerated(item, settings),
        &mut findings,
    );
    items(pod, "schedulingGates", "only Flamewarden's gates are allowed", is_gate, &mut findings);
    findings
}

fn node_selector(pod: &PodView<'_>, settings: &Scheduling, findings: &mut Vec<Finding>) {
    for (key, given) in pod.spec("nodeSelector").map_or(&[][..], Json::entries) {
        if settings.node_selector.get(key.as_ref()).map(String::as_str) != given.text() {
            let path = pod.path(&["spec", "nodeSelector", key]);
            findings.push(Finding::new(RULE.id, path, Some(given), "not in the profile's node selector"));
        }
    }
}

fn items(pod: &PodView<'_>, key: &str, says: &str, is_good: impl Fn(&Json<'_>) -> bool, findings: &mut Vec<Finding>) {
    for (index, item) in pod.list(key).iter().enumerate().filter(|(_, item)| !is_good(item)) {
        findings.push(Finding::new(RULE.id, pod.spec_path(key).index(index), Some(item), says));
    }
}

/// The API server itself gives every pod the two of nodes that are not ready or unreachable.
fn is_tolerated(given: &Json<'_>, settings: &Scheduling) -> bool {
    let is_usual =
        matches!(given.text_at(&["key"]), Some("node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable"))
            && given.text_at(&["operator"]) == Some("Exists")
            && given.text_at(&["effect"]) == Some("NoExecute")
            && given.get("value").is_none_or(Json::is_unset);
    is_usual || (!settings.tolerations.is_empty() && settings.tolerations.contains(&given.to_value()))
}

fn is_gate(given: &Json<'_>) -> bool {
    matches!(given.text_at(&["name"]), Some(labels::NETWORK_GATE | labels::SCAN_GATE))
}

const SCHEDULER: &str = "default-scheduler";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::RULE;
    use crate::policy::Role;
    use crate::rules::pod::testing::{expect, expect_with, is_clean};

    fn usual() -> Value {
        json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    }

    #[test]
    fn what_every_pod_gets_is_fine() {
        is_clean(
            &RULE,
            &[
                ("/spec/tolerations", json!([usual()])),
                ("/spec/priority", json!(0)),
                ("/spec/preemptionPolicy", json!("PreemptLowerPriority")),
                ("/spec/os", json!({"name": "linux"})),
                (
                    "/spec/schedulingGates",
                    json!([{"name": "flamewarden.dev/network-policy"}, {"name": "flamewarden.dev/scan"}]),
                ),
            ],
        );
    }

    #[test]
    fn nobody_chooses_place_or_priority() {
        for (field, value, wanted) in [
            ("affinity", json!({"podAffinity": {}}), r#"affinity ({"podAffinity":{}})"#),
            ("topologySpreadConstraints", json!([{}]), "topologySpreadConstraints ([{}])"),
            ("resourceClaims", json!([{"name": "gpu"}]), r#"resourceClaims ([{"name":"gpu"}])"#),
            ("workloadRef", json!({"name": "x"}), r#"workloadRef ({"name":"x"})"#),
            ("schedulingGroup", json!({"podGroupName": "x"}), r#"schedulingGroup ({"podGroupName":"x"})"#),
            ("evictionResponders", json!([{"name": "x"}]), r#"evictionResponders ([{"name":"x"}])"#),
            ("schedulerName", json!("mine"), r#"schedulerName ("mine")"#),
            ("priorityClassName", json!("system-node-critical"), r#"priorityClassName ("system-node-critical")"#),
            ("priority", json!(1000), "priority (1000)"),
            ("preemptionPolicy", json!("Always"), r#"preemptionPolicy ("Always")"#),
            ("os", json!({"name": "windows"}), r#"os ({"name":"windows"})"#),
            ("nodeSelector", json!({"disk": "ssd"}), r#"nodeSelector.disk ("ssd")"#),
            ("tolerations", json!([usual(), {"operator": "Exists"}]), r#"tolerations[1] ({"operator":"Exists"})"#),
            ("schedulingGates", json!([{"name": "x"}]), r#"schedulingGates[0] ({"name":"x"})"#),
        ] {
            expect(&RULE, &[(&format!("/spec/{field}"), value)], &[&format!("spec.{wanted}: no remedy")]);
        }
    }

    #[test]
    fn another_toleration_is_another_node() {
        for (key, value) in [
            ("key", json!("node-role.kubernetes.io/control-plane")),
            ("operator", json!("Equal")),
            ("effect", json!("NoSchedule")),
            ("value", json!("x")),
        ] {
            let mut toleration = usual();
            toleration[key] = value;
            let wanted = format!("spec.tolerations[0] ({toleration}): no remedy");
            expect(&RULE, &[("/spec/tolerations", json!([toleration]))], &[&wanted]);
        }
        expect_with(
            &RULE,
            Role::Analysis,
            |profile| profile.scheduling.tolerations = vec![json!({"key": "analyses", "operator": "Exists"})],
            &[("/spec/tolerations", json!([{"operator": "Exists"}]))],
            &[r#"spec.tolerations[0] ({"operator":"Exists"}): no remedy"#],
        );
    }

    #[test]
    fn what_the_profile_names_is_fine() {
        expect_with(
            &RULE,
            Role::Analysis,
            |profile| {
                profile.scheduling.node_selector.insert("pool".to_owned(), "analyses".to_owned());
                profile.scheduling.tolerations = vec![json!({"key": "analyses", "operator": "Exists"})];
                profile.scheduling.priority_class = Some("low".to_owned());
            },
            &[
                ("/spec/nodeSelector", json!({"pool": "analyses"})),
                ("/spec/tolerations", json!([{"key": "analyses", "operator": "Exists"}])),
                ("/spec/priorityClassName", json!("low")),
                ("/spec/priority", json!(-10)),
            ],
            &[],
        );
    }
}
