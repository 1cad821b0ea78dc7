//! Rule `grace-period`: a pod that is told to end has ended soon.
//!
//! Why: its policy stays as long as it lives, and with no grace at all its container outlives its record.
//! Remedy: the longest time that the profile allows.

use serde_json::json;

use super::{BOTH, PodCase, PodRule};
use crate::model::{Control, Edit, FieldPath, Finding, Json, PodView, Severity};

pub(super) const RULE: PodRule = PodRule {
    id: "grace-period",
    title: "a pod that is told to end has ended soon",
    why: "until it has ended, a pod that is told to end goes on reading and sending",
    severity: Severity::Medium,
    controls: &[Control::Nsa("Kubernetes Pod security")],
    roles: BOTH,
    check,
};

fn check(pod: &PodView<'_>, case: &PodCase<'_>) -> Vec<Finding> {
    let maximum = case.profile.security.grace_maximum;
    let mut findings = Vec::new();
    let given = pod.spec("terminationGracePeriodSeconds");
    if !is_short(given.map_or(Some(DEFAULT), Json::integer), maximum) {
        let path = pod.spec_path("terminationGracePeriodSeconds");
        findings.push(finding(path.clone(), given, maximum).mended_by([Edit::Set(path, json!(maximum))]));
    }
    for container in pod.containers() {
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            let keys = [probe, "terminationGracePeriodSeconds"];
            if let Some(given) = container.at(&keys).filter(|given| !is_short(given.integer(), maximum)) {
                let path = container.path(&keys);
                findings.push(finding(path.clone(), Some(given), maximum).mended_by([Edit::Remove(path)]));
            }
        }
    }
    findings
}

fn is_short(seconds: Option<i64>, maximum: i64) -> bool {
    seconds.is_some_and(|seconds| (1..=maximum).contains(&seconds))
}

fn finding(path: FieldPath, given: Option<&Json<'_>>, maximum: i64) -> Finding {
    Finding::new(RULE.id, path, given, format!("name 1 to {maximum} seconds"))
}

/// What the API server fills in.
const DEFAULT: i64 = 30;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::RULE;
    use crate::policy::Role;
    use crate::rules::pod::testing::{expect, expect_with, is_clean};

    #[test]
    fn the_grace_period_is_short_but_not_nothing() {
        let path = "spec.terminationGracePeriodSeconds";
        is_clean(&RULE, &[("/spec/terminationGracePeriodSeconds", json!(1))]);
        is_clean(&RULE, &[("/spec/terminationGracePeriodSeconds", json!(null))]);
        for given in [0, -1, 31, 86400] {
            let wanted = format!("{path} ({given}): set {path} = 30");
            expect(&RULE, &[("/spec/terminationGracePeriodSeconds", json!(given))], &[&wanted]);
        }
        expect_with(
            &RULE,
            Role::Analysis,
            |profile| profile.security.grace_maximum = 10,
            &[("/spec/terminationGracePeriodSeconds", json!(null))],
            &[&format!("{path} (absent): set {path} = 10")],
        );
    }

    #[test]
    fn a_probe_allows_no_longer_one() {
        let path = "spec.containers[0].livenessProbe.terminationGracePeriodSeconds";
        is_clean(&RULE, &[("/spec/containers/0/livenessProbe", json!({"terminationGracePeriodSeconds": 30}))]);
        expect(
            &RULE,
            &[("/spec/containers/0/livenessProbe", json!({"terminationGracePeriodSeconds": 600}))],
            &[&format!("{path} (600): remove {path}")],
        );
    }
}
