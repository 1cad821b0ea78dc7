//! Rule `dns`: names are resolved by the cluster's DNS, and pods bear their own name.
//!
//! Why: another resolver is a way out, and an entry in `/etc/hosts` makes another host look like the gateway.
//! No remedy: it asks for another host.

use super::field_table::{SPEC, refusals};
use super::{BOTH, PodCase, PodRule};
use crate::isolation::gateway_app;
use crate::model::{Control, Finding, Json, PodView, Severity};
use crate::policy::Role;

pub(super) const RULE: PodRule = PodRule {
    id: "dns",
    title: "names are resolved by the cluster's DNS, and pods bear their own name",
    why: "a resolver of the analysis' own choice is a way out: each name that is asked for carries data",
    severity: Severity::High,
    controls: &[Control::Nsa("Network separation and hardening")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let Some(spec) = pod.at(&["spec"]) else { return Vec::new() };
    let mut findings: Vec<Finding> = refusals(SPEC, RULE.id, spec)
        .filter(|(key, given)| !(*key == "hostAliases" && names_gateway_alone(given, case)))
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

/// Whether the only other name that the pod resolves itself is its gateway's, where it may ask nobody for names.
/// The address is not judged: the pod's network policy lets it reach its gateway alone.
fn names_gateway_alone(aliases: &Json<'_>, case: &PodCase<'_>) -> bool {
    let gateway = gateway_app(case.app);
    let [alias] = aliases.items() else { return false };
    let names = alias.get("hostnames").map_or(&[][..], Json::items);
    let is_gateway = |name: &Json<'_>| name.text() == Some(gateway.as_str());
    case.profile.role == Role::Analysis
        && case.profile.network.dns.is_empty()
        && !names.is_empty()
        && names.iter().all(is_gateway)
        && alias.entries().iter().all(|(key, _)| matches!(key.as_ref(), "ip" | "hostnames"))
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
    use crate::policy::Role;
    use crate::rules::pod::testing::{expect, expect_with, is_clean};

    #[test]
    fn without_dns_an_analysis_may_know_its_own_gateway_by_address_and_nothing_else() {
        let without = |profile: &mut crate::policy::Profile| profile.network.dns.clear();
        let alias = |names: &[&str]| json!([{"ip": "10.0.0.9", "hostnames": names}]);
        let own = "nginx-analysis-1";
        expect_with(&RULE, Role::Analysis, without, &[("/spec/hostAliases", alias(&[own]))], &[]);
        for (aliases, shown) in [
            (alias(&["kong"]), r#"[{"hostnames":["kong"],"ip":"10.0.0.9"}]"#),
            (alias(&[own, "kong"]), r#"[{"hostnames":["nginx-analysis-1","kong"],"ip":"10.0.0.9"}]"#),
            (alias(&[]), r#"[{"hostnames":[],"ip":"10.0.0.9"}]"#),
        ] {
            let want = format!("spec.hostAliases ({shown}): no remedy");
            expect_with(&RULE, Role::Analysis, without, &[("/spec/hostAliases", aliases)], &[&want]);
        }
        let shown = r#"[{"hostnames":["nginx-analysis-1"],"ip":"10.0.0.9"}]"#;
        let want = format!("spec.hostAliases ({shown}): no remedy");
        expect(&RULE, &[("/spec/hostAliases", alias(&[own]))], &[&want]);
        let gateways = alias(&["nginx-nginx-analysis-1"]);
        let want = r#"spec.hostAliases ([{"hostnames":["nginx-nginx-analysis-1"],"ip":"10.0.0.9"}]): no remedy"#;
        expect_with(&RULE, Role::Gateway, without, &[("/spec/hostAliases", gateways)], &[want]);
    }

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
