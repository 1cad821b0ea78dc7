//! Rule `probes`: probes and hooks call the pod itself and no other host.
//!
//! Why: the kubelet makes the call from the node's network, past every NetworkPolicy.
//! No remedy: it asks for another host.

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Finding, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "probes",
    title: "probes and hooks call the pod itself and no other host",
    why: "the kubelet calls from the node's network, which no network policy holds: a probe of another host is a request there",
    severity: Severity::High,
    controls: &[Control::Baseline("Host Probes / Lifecycle Hooks")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for container in pod.containers() {
        for caller in CALLERS {
            let Some(handler) = container.at(caller) else { continue };
            for call in ["httpGet", "tcpSocket"] {
                if let Some(host) = handler.at(&[call, "host"]).filter(|host| !host.is_unset()) {
                    let path = container.path(caller).keys(&[call, "host"]);
                    findings.push(Finding::new(
                        RULE.id,
                        path,
                        Some(host),
                        "leave it out; only the pod itself is called",
                    ));
                }
            }
        }
    }
    findings
}

const CALLERS: &[&[&str]] = &[
    &["livenessProbe"],
    &["readinessProbe"],
    &["startupProbe"],
    &["lifecycle", "postStart"],
    &["lifecycle", "preStop"],
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn no_other_host_is_called() {
        let port = json!({"httpGet": {"port": 8000, "path": "/", "host": ""}});
        is_clean(&RULE, &[("/spec/containers/0/livenessProbe", port)]);
        for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
            let probe = json!({"tcpSocket": {"port": 1, "host": "10.0.0.1"}});
            let wanted = format!(r#"spec.containers[0].{field}.tcpSocket.host ("10.0.0.1"): no remedy"#);
            expect(&RULE, &[(&format!("/spec/containers/0/{field}"), probe)], &[&wanted]);
        }
        let hooks = json!({"postStart": {"httpGet": {"host": "a"}}, "preStop": {"tcpSocket": {"host": "b"}}});
        expect(
            &RULE,
            &[("/spec/containers/0/lifecycle", hooks)],
            &[
                r#"spec.containers[0].lifecycle.postStart.httpGet.host ("a"): no remedy"#,
                r#"spec.containers[0].lifecycle.preStop.tcpSocket.host ("b"): no remedy"#,
            ],
        );
    }
}
