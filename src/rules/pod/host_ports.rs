//! Rule `host-ports`: no port of the node.
//!
//! Why: a host port is reached round every NetworkPolicy. No remedy: it asks for the host.

use super::field_table::{PORT, refusals};
use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "host-ports",
    title: "no container listens on a port of the node",
    why: "a port of the node is reached past every network policy, by whoever reaches the node",
    severity: Severity::High,
    controls: &[Control::Baseline("Host Ports"), Control::Cis("5.2.12")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for container in pod.containers() {
        for (index, port) in container.list("ports").iter().enumerate() {
            findings.extend(refusals(PORT, RULE.id, port).map(|(key, given)| {
                let path = container.path(&["ports"]).index(index).key(key);
                Finding::new(RULE.id, path, Some(given), "leave it out")
            }));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn ports_of_the_node_are_refused() {
        is_clean(&RULE, &[("/spec/containers/0/ports", json!([{"containerPort": 8000, "hostPort": 0, "hostIP": ""}]))]);
        expect(
            &RULE,
            &[("/spec/containers/0/ports", json!([{}, {"hostPort": 80, "hostIP": "127.0.0.1"}]))],
            &[
                r#"spec.containers[0].ports[1].hostIP ("127.0.0.1"): no remedy"#,
                "spec.containers[0].ports[1].hostPort (80): no remedy",
            ],
        );
    }
}
