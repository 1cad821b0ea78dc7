//! Rule `resources`: every container asks for, and is limited in, cpu, memory and ephemeral storage.
//!
//! Why: a container without limits takes the node from everybody on it. Remedy: what is missing is
//! filled in; what is too much, nothing, or unreadable has none.

use serde_json::json;

use super::field_table::{RESOURCES, SPEC, refusals};
use super::{BOTH, PodCase, PodRule};
use crate::model::{ContainerView, Control, Edit, FieldPath, Finding, Json, PodView, Severity};
use crate::policy::{Quantity, Resources};

pub(super) const RULE: PodRule = PodRule {
    id: "resources",
    title: "every container asks for, and is limited in, cpu, memory and ephemeral storage",
    why: "without limits one analysis takes the node's memory, processors and disk from everybody else",
    severity: Severity::Medium,
    controls: &[Control::Nsa("Kubernetes Pod security: resource policies")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(spec) = pod.at(&["spec"]) {
        let of_pod = refusals(SPEC, RULE.id, spec);
        findings.extend(of_pod.map(|(key, given)| {
            Finding::new(RULE.id, pod.spec_path(key), Some(given), "name them for each container; leave it out")
        }));
    }
    for container in pod.containers() {
        for name in NAMES {
            findings.extend(Pair::of(&container, name).finding(&case.profile.resources));
        }
        other_findings(&container, &mut findings);
    }
    findings
}

/// Request and limit of one resource of one container.
struct Pair<'a> {
    container: &'a ContainerView<'a>,
    name: &'static str,
    request: Option<&'a Json<'a>>,
    limit: Option<&'a Json<'a>>,
}

impl<'a> Pair<'a> {
    fn of(container: &'a ContainerView<'a>, name: &'static str) -> Self {
        let request = container.at(&["resources", "requests", name]);
        let limit = container.at(&["resources", "limits", name]);
        Pair { container, name, request, limit }
    }

    fn path(&self, list: &str) -> FieldPath {
        self.container.path(&["resources", list, self.name])
    }

    /// The first thing that is wrong; an amount that is wrong itself says nothing about its missing partner.
    fn finding(&self, settings: &Resources) -> Option<Finding> {
        let maximum = settings.maximum.get(self.name);
        for (list, given) in [("requests", self.request), ("limits", self.limit)] {
            let says = given.and_then(|given| wrong(given, maximum));
            if let Some(says) = says {
                return Some(Finding::new(RULE.id, self.path(list), given, says));
            }
        }
        let (request, limit) = (self.request.and_then(Quantity::of), self.limit.and_then(Quantity::of));
        let default_request = settings.requests.get(self.name);
        let default_limit = settings.limits.get(self.name);
        match (request, limit) {
            (Some(request), Some(limit)) if request.exceeds(&limit) => {
                Some(Finding::new(RULE.id, self.path("requests"), self.request, format!("more than the limit {limit}")))
            }
            (Some(_), Some(_)) => None,
            (Some(request), None) => {
                let larger = default_limit.map(|limit| if request.exceeds(limit) { &request } else { limit });
                Some(self.filled("limits", larger, None))
            }
            (None, Some(limit)) => {
                let smaller = default_request.map(|request| if request.exceeds(&limit) { &limit } else { request });
                Some(self.filled("requests", smaller, None))
            }
            (None, None) => {
                let both = default_limit.zip(default_request);
                Some(self.filled("limits", both.map(|(limit, _)| limit), both.map(|(_, request)| request)))
            }
        }
    }

    /// A finding that an amount is missing; `request` is filled in besides where both are.
    fn filled(&self, list: &'static str, amount: Option<&Quantity>, request: Option<&Quantity>) -> Finding {
        let finding = Finding::new(RULE.id, self.path(list), None, "name an amount");
        let Some(amount) = amount else { return finding };
        let also = request.map(|request| Edit::Set(self.path("requests"), json!(request.to_string())));
        finding.mended_by(also).mended_by([Edit::Set(self.path(list), json!(amount.to_string()))])
    }
}

fn wrong(given: &Json<'_>, maximum: Option<&Quantity>) -> Option<String> {
    match Quantity::of(given).filter(|amount| !amount.is_zero()) {
        None => Some("no amount; write it like 100m, 2 or 4Gi".to_owned()),
        Some(amount) => maximum.filter(|maximum| amount.exceeds(maximum)).map(|maximum| format!("at most {maximum}")),
    }
}

/// Devices, huge pages and claims are not for guarded pods.
fn other_findings(container: &ContainerView<'_>, findings: &mut Vec<Finding>) {
    let Some(resources) = container.at(&["resources"]) else { return };
    findings.extend(
        refusals(RESOURCES, RULE.id, resources).map(|(key, given)| {
            Finding::new(RULE.id, container.path(&["resources", key]), Some(given), "leave it out")
        }),
    );
    for list in ["requests", "limits"] {
        let amounts = resources.get(list).map_or(&[][..], Json::entries);
        for (name, given) in amounts.iter().filter(|(name, _)| !NAMES.contains(&name.as_ref())) {
            let path = container.path(&["resources", list, name]);
            findings.push(Finding::new(RULE.id, path, Some(given), "no such resource for guarded pods; leave it out"));
        }
    }
}

const NAMES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::RULE;
    use crate::rules::pod::testing::{expect, is_clean};

    const REST: [&str; 2] = ["memory", "ephemeral-storage"];

    /// Resources with the given cpu, and all that the others need.
    fn with_cpu(request: &Value, limit: &Value) -> Value {
        let mut resources = json!({"requests": {"cpu": request}, "limits": {"cpu": limit}});
        for name in REST {
            resources["requests"][name] = json!("1Gi");
            resources["limits"][name] = json!("1Gi");
        }
        resources
    }

    #[test]
    fn what_is_missing_is_filled_and_what_is_wrong_refused() {
        let (requests, limits) =
            ("spec.containers[0].resources.requests.cpu", "spec.containers[0].resources.limits.cpu");
        let none = Value::Null;
        for (request, limit, wanted) in [
            (none.clone(), none.clone(), format!(r#"{limits} (absent): set {requests} = "100m", set {limits} = "2""#)),
            (json!("1"), none.clone(), format!(r#"{limits} (absent): set {limits} = "2""#)),
            (json!("3000m"), none.clone(), format!(r#"{limits} (absent): set {limits} = "3000m""#)),
            (none.clone(), json!("1"), format!(r#"{requests} (absent): set {requests} = "100m""#)),
            (none.clone(), json!("50m"), format!(r#"{requests} (absent): set {requests} = "50m""#)),
            (json!("2"), json!("1"), format!(r#"{requests} ("2"): no remedy"#)),
            (json!("9"), none.clone(), format!(r#"{requests} ("9"): no remedy"#)),
            (json!("1"), json!("8001m"), format!(r#"{limits} ("8001m"): no remedy"#)),
            (json!("1"), json!("0"), format!(r#"{limits} ("0"): no remedy"#)),
            (json!("0"), none.clone(), format!(r#"{requests} ("0"): no remedy"#)),
            (json!("-1"), json!("1"), format!(r#"{requests} ("-1"): no remedy"#)),
            (json!("1"), json!("a lot"), format!(r#"{limits} ("a lot"): no remedy"#)),
            (json!(9), json!(10), format!("{requests} (9): no remedy")),
        ] {
            expect(&RULE, &[("/spec/containers/0/resources", with_cpu(&request, &limit))], &[&wanted]);
        }
        for (request, limit) in [(json!("1"), json!("1")), (json!(0.5), json!(8)), (json!("1e-1"), json!("8000m"))] {
            is_clean(&RULE, &[("/spec/containers/0/resources", with_cpu(&request, &limit))]);
        }
    }

    #[test]
    fn every_kind_of_container_has_all_three() {
        let lines = |at: &str| {
            [("cpu", "100m", "2"), ("memory", "256Mi", "4Gi"), ("ephemeral-storage", "1Gi", "8Gi")].map(|(name, request, limit)| {
                let at = format!("spec.{at}[0].resources");
                format!(r#"{at}.limits.{name} (absent): set {at}.requests.{name} = "{request}", set {at}.limits.{name} = "{limit}""#)
            })
        };
        let wanted: Vec<String> =
            ["containers", "initContainers", "ephemeralContainers"].iter().flat_map(|at| lines(at)).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        expect(
            &RULE,
            &[
                ("/spec/containers/0/resources", json!({})),
                ("/spec/initContainers", json!([{"name": "a"}])),
                ("/spec/ephemeralContainers", json!([{"name": "b"}])),
            ],
            &wanted,
        );
    }

    #[test]
    fn other_resources_are_refused() {
        let mut resources = with_cpu(&json!("1"), &json!("1"));
        resources["limits"]["nvidia.com/gpu"] = json!("1");
        resources["claims"] = json!([{"name": "gpu"}]);
        expect(
            &RULE,
            &[("/spec/containers/0/resources", resources), ("/spec/resources", json!({"limits": {"cpu": "1"}}))],
            &[
                r#"spec.resources ({"limits":{"cpu":"1"}}): no remedy"#,
                r#"spec.containers[0].resources.claims ([{"name":"gpu"}]): no remedy"#,
                r#"spec.containers[0].resources.limits["nvidia.com/gpu"] ("1"): no remedy"#,
            ],
        );
    }
}
