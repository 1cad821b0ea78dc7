//! Rule `host-namespaces`: no namespace of the node, and none shared between containers.
//!
//! Why: a pod in the node's network stands outside every NetworkPolicy. No remedy: it asks for the host.

use super::field_table::{SPEC, refusals};
use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "host-namespaces",
    title: "no namespace of the node, and none shared between containers",
    why: "in a namespace of the node a process sees its network, processes or memory, past every policy",
    severity: Severity::Critical,
    controls: &[Control::Baseline("Host Namespaces"), Control::Cis("5.2.3"), Control::Cis("5.2.5")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    let Some(spec) = pod.at(&["spec"]) else { return Vec::new() };
    refusals(SPEC, RULE.id, spec)
        .map(|(key, given)| Finding::new(RULE.id, pod.spec_path(key), Some(given), "leave it out"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn namespaces_of_the_node_are_refused() {
        is_clean(&RULE, &[("/spec/hostNetwork", json!(false)), ("/spec/hostPID", json!(null))]);
        for field in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
            let wanted = format!("spec.{field} (true): no remedy");
            expect(&RULE, &[(&format!("/spec/{field}"), json!(true))], &[&wanted]);
        }
    }
}
