//! Compares two versions of a policy: what does the new one let through that the old one did not?

use std::collections::BTreeSet;

use super::gateway;
use super::guarded::matched_apps;
use super::judge::{endless_selector, excess};
use super::read::{Direction, Policy, Rule};
use crate::model::{Finding, Json};
use crate::policy::PolicySet;

/// What a new version of a policy lets through that the old one did not.
///
/// A finding of the new version is old only where the old version had the whole rule, in force,
/// for all the pods that the new one selects; the same place and value alone do not say so.
pub fn added_reach(old: &Json<'_>, new: &Json<'_>, policies: &PolicySet) -> Vec<Finding> {
    let spec_of = |policy: &Json<'_>| policy.get("spec").map(Json::to_value);
    if spec_of(old) == spec_of(new) {
        return Vec::new();
    }
    let (before, after) = (Policy::read(old), Policy::read(new));
    let apps = matched_apps(&after.pods, &policies.analysis);
    let same_pods = after.pods.is_within(&before.pods);
    let known: BTreeSet<(Direction, String)> =
        before.sides.iter().flat_map(|side| side.rules.iter().map(|rule| (side.direction, text(rule)))).collect();
    let is_added = |direction, rule: &Rule<'_>| !(same_pods && known.contains(&(direction, text(rule))));
    let mut findings = excess(&after, &apps, policies, is_added);
    findings.extend(gateway::opened(&after, policies, is_added));
    let selector_of = |policy: &Json<'_>| policy.at(&["spec", "podSelector"]).map(Json::to_value);
    if selector_of(old) != selector_of(new) {
        findings.extend(endless_selector(new, policies));
    }
    findings
}

/// The whole rule, so that equal rules have equal texts.
fn text(rule: &Rule<'_>) -> String {
    rule.json.to_value().to_string()
}
