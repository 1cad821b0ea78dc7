//! The union: what all the NetworkPolicies of a namespace together let through for one pod.

use std::collections::BTreeSet;

use super::drift::differs;
use super::guarded::Apps;
use super::judge::{critical, excess};
use super::make::{policy, policy_name};
use super::read::{Direction, Policy, Rule};
use crate::model::{FieldPath, Finding, Json, PodView, labels};
use crate::policy::PolicySet;

/// What policies let through for one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The directions in which at least one policy isolates the pod; in the others everything passes.
    pub isolated: BTreeSet<Direction>,
    /// The rules that let something through nevertheless.
    pub openings: Vec<Opening>,
}

/// One rule of one policy: each of its peers on each of its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The policy's name.
    pub policy: String,
    /// Where the rule stands in it.
    pub rule: FieldPath,
    /// Which way.
    pub direction: Direction,
    /// The peers as the policy writes them; none for everybody.
    pub peers: Vec<String>,
    /// The ports as the policy writes them; none for all.
    pub ports: Vec<String>,
}

/// What these policies, all those of the pod's namespace, let through for the pod. A selector
/// that is unknown selects the pod: what it opens counts. It does not count as isolating.
pub fn reach(policies: &[Json<'_>], pod: &PodView<'_>) -> Reach {
    let mut reach = Reach { isolated: BTreeSet::new(), openings: Vec::new() };
    let all = policies.iter().map(Policy::read);
    for policy in all.filter(|policy| policy.pods.matches(|key| pod.label(key))) {
        for side in &policy.sides {
            if policy.is_known() {
                reach.isolated.insert(side.direction);
            }
            let openings = side.rules.iter().map(|rule| opening(policy.name, side.direction, rule));
            reach.openings.extend(openings);
        }
    }
    reach
}

/// Why an analysis pod's gate must stay: its own policy is missing or not right, or a policy that
/// selects the pod lets through more than the profile. `policies` are all those of its namespace.
pub fn union_problems(policies: &[Json<'_>], pod: &PodView<'_>, set: &PolicySet) -> Vec<Finding> {
    let app = pod.label(labels::APP).unwrap_or_default();
    let namespace = pod.at(&["metadata", "namespace"]).and_then(Json::text).unwrap_or_default();
    let mut findings: Vec<Finding> = own_policy_problem(policies, app, namespace, set).into_iter().collect();
    let apps = Apps::Only(BTreeSet::from([app.to_owned()]));
    for policy in policies.iter().map(Policy::read) {
        let selects = policy.pods.matches(|key| pod.label(key));
        let excess = excess(&policy, if selects { &apps } else { &Apps::None }, set, |_, _| true);
        findings.extend(excess.into_iter().map(|finding| Finding {
            message: format!("NetworkPolicy `{}`: {}", policy.name, finding.message),
            ..finding
        }));
    }
    findings
}

fn own_policy_problem(policies: &[Json<'_>], app: &str, namespace: &str, set: &PolicySet) -> Option<Finding> {
    let name = policy_name(app);
    let metadata = FieldPath::of(&["metadata"]);
    let Some(found) = policies.iter().find(|policy| policy.text_at(&["metadata", "name"]) == Some(&name)) else {
        let why = format!("NetworkPolicy `{name}` does not exist; the guard makes it");
        return Some(critical(&metadata.key("name"), None, why));
    };
    if let deletion @ Some(_) = found.at(&["metadata", "deletionTimestamp"]) {
        let why = format!("NetworkPolicy `{name}` is being deleted; the guard makes a new one when it is gone");
        return Some(critical(&metadata.key("deletionTimestamp"), deletion, why));
    }
    let desired = policy(app, namespace, &set.analysis, &set.gateway);
    differs(&found.to_value(), &desired).then(|| {
        let why = format!("NetworkPolicy `{name}` is not what the profile says; the guard repairs it");
        critical(&FieldPath::of(&["spec"]), found.get("spec"), why)
    })
}

fn opening(policy: &str, direction: Direction, rule: &Rule<'_>) -> Opening {
    Opening {
        policy: policy.to_owned(),
        rule: rule.path.clone(),
        direction,
        peers: rule.peers.iter().flatten().map(|(_, json, _)| json.to_string()).collect(),
        ports: rule.ports.iter().flatten().map(|(_, json, _)| json.to_string()).collect(),
    }
}
