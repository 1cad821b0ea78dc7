//! Rule `dns`: names are resolved by the cluster's DNS, and pods bear their own name.
//!
//! Why: another resolver is a way out, and an entry in `/etc/hosts` makes another host look like the gateway.
//! No remedy: it asks for another host.

use super::field_table::{SPEC, refusals};
use super::{BOTH, PodCase, PodRule};
use crate::model::{Finding, PodView, Severity};
use crate::rules::Control;

pub(super) const RULE: PodRule = PodRule {
    id: "dns",
    title: "names are resolved by the cluster's DNS, and pods bear their own name",
    severity: Severity::High,
    controls: &[Control::Nsa("Network separation and hardening")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, _: &PodCase<'_>) -> Vec<Finding> {
    let Some(spec) = pod.at(&["spec"]) else { return Vec::new() };
    let mut findings: Vec<Finding> = refusals(SPEC, RULE.id, spec)
        .map(|(key, given)| Finding::new(RULE.id, pod.spec_path(key), Some(given), "leave it out"))
        .collect();
    let set = |key: &str| pod.spec(key).filter(|given| !given.is_unset());
    if let Some(given) = set("dnsPolicy").filter(|given| given.text() != Some("ClusterFirst")) {
        findings.push(Finding::new(RULE.id, pod.spec_path("dnsPolicy"), Some(given), "only ClusterFirst is allowed"));
    }
    if let Some(given) = set("hostname").filter(|given| !is_own_name(pod, given.text())) {
        findings.push(Finding::new(
            RULE.id,
            pod.spec_path("hostname"),
            Some(given),
            "only the pod's own name is allowed",
        ));
    }
    findings
}

/// StatefulSets and indexed Jobs set the host name to the pod's name or its beginning.
fn is_own_name(pod: &PodView<'_>, hostname: Option<&str>) -> bool {
    let own = ["name", "generateName"].into_iter().filter_map(|key| pod.object().text_at(&["metadata", key]));
    let begins =
        |name: &str, start: &str| name.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    hostname.is_some_and(|hostname| own.into_iter().any(|name| begins(name, hostname)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    #[test]
    fn only_the_clusters_dns_answers() {
        is_clean(
            &RULE,
            &[
                ("/spec/hostname", json!("analysis-1")),
                ("/spec/dnsPolicy", json!("ClusterFirst")),
                ("/spec/subdomain", json!("")),
            ],
        );
        is_clean(&RULE, &[("/spec/hostname", json!("analysis-1-x")), ("/spec/dnsPolicy", json!(""))]);
        for (field, value, shown) in [
            ("dnsPolicy", json!("None"), r#""None""#),
            ("dnsPolicy", json!("Default"), r#""Default""#),
            ("dnsPolicy", json!("ClusterFirstWithHostNet"), r#""ClusterFirstWithHostNet""#),
            ("dnsConfig", json!({"nameservers": ["8.8.8.8"]}), r#"{"nameservers":["8.8.8.8"]}"#),
            ("hostAliases", json!([{"ip": "1.2.3.4"}]), r#"[{"ip":"1.2.3.4"}]"#),
            ("hostname", json!("kong"), r#""kong""#),
            ("hostname", json!("analysis-1-"), r#""analysis-1-""#),
            ("hostnameOverride", json!("kong"), r#""kong""#),
            ("subdomain", json!("kong"), r#""kong""#),
            ("setHostnameAsFQDN", json!(true), "true"),
        ] {
            expect(&RULE, &[(&format!("/spec/{field}"), value)], &[&format!("spec.{field} ({shown}): no remedy")]);
        }
    }
}
