//! Rule `container-ports`: only the ports that the network policy opens.
//!
//! Why: a listed port is what Services and people take for reachable. No remedy: we cannot know what was meant.

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, Json, PodView, Severity};
use crate::policy::{Profile, Role};

pub(super) const RULE: PodRule = PodRule {
    id: "container-ports",
    title: "containers list only the ports that the network policy opens, TCP",
    why: "a port that is listed and not open promises what the network policy refuses",
    severity: Severity::Low,
    controls: &[Control::Nsa("Network separation and hardening")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for container in pod.containers() {
        for (index, port) in container.list("ports").iter().enumerate() {
            if !is_open(port, case.profile) {
                let path = container.path(&["ports"]).index(index);
                findings.push(Finding::new(RULE.id, path, Some(port), message(case.profile)));
            }
        }
    }
    findings
}

fn is_open(port: &Json<'_>, profile: &Profile) -> bool {
    let number = port.get("containerPort").and_then(Json::integer);
    let is_tcp = port.get("protocol").is_none_or(|protocol| matches!(protocol.text(), Some("" | "TCP")));
    is_tcp && ports(profile).iter().any(|open| number == Some(i64::from(*open)))
}

fn ports(profile: &Profile) -> &[u16] {
    match profile.role {
        Role::Analysis => std::slice::from_ref(&profile.network.port),
        Role::Gateway => &profile.network.gateway_ports,
    }
}

fn message(profile: &Profile) -> String {
    let ports: Vec<String> = ports(profile).iter().map(u16::to_string).collect();
    format!("only port {} TCP may be listed", ports.join(" or "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::policy::Role;
    use crate::rules::pod::testing::{expect, expect_with, is_clean};

    #[test]
    fn only_open_ports_are_listed() {
        let at = "/spec/containers/0/ports";
        is_clean(&RULE, &[(at, json!([{"containerPort": 8000, "name": "web"}]))]);
        expect_with(&RULE, Role::Gateway, |_| {}, &[(at, json!([{"containerPort": 80, "protocol": "TCP"}]))], &[]);
        for (port, shown) in [
            (json!({"containerPort": 8001}), r#"{"containerPort":8001}"#),
            (json!({"containerPort": 8000, "protocol": "UDP"}), r#"{"containerPort":8000,"protocol":"UDP"}"#),
            (json!({}), "{}"),
        ] {
            expect(&RULE, &[(at, json!([port]))], &[&format!("spec.containers[0].ports[0] ({shown}): no remedy")]);
        }
    }
}
