//! Rule `network-policy`: no NetworkPolicy gives an analysis that could exist more than its profile does.
//!
//! Why: policies add up, so one wide policy opens what all others close. Remedy: name the
//! analysis's own gateway and its ports, or a selector that matches no analysis.

use super::allowance::{Allowance, Allowed};
use super::gateway;
use super::guarded::{Apps, matched_apps};
use super::read::{Direction, Peer, Policy, Ports, Rule, Unknown};
use super::selector::Selector;
use crate::model::{FieldPath, Finding, Json, Severity};
use crate::policy::PolicySet;

/// Id of the rule.
pub const RULE: &str = "network-policy";

/// All that a NetworkPolicy of a guarded namespace would add to what the profile of analyses allows.
pub fn judge_policy(policy: &Json<'_>, policies: &PolicySet) -> Vec<Finding> {
    let endless = endless_selector(policy, policies);
    let policy = Policy::read(policy);
    let apps = matched_apps(&policy.pods, &policies.analysis);
    let mut findings = excess(&policy, &apps, policies, |_, _| true);
    // A rule that is too much for analyses needs no second word.
    let opened = gateway::opened(&policy, policies, |_, _| true);
    findings.extend(
        opened.into_iter().filter(|one| findings.iter().all(|other| other.path != one.path)).collect::<Vec<_>>(),
    );
    findings.extend(endless);
    findings
}

/// A selector that asks for so much that the guard could not tell whom it selects. Its `matchLabels` are read however
/// many they are.
pub(super) fn endless_selector(policy: &Json<'_>, policies: &PolicySet) -> Option<Finding> {
    let selector = policy.at(&["spec", "podSelector"])?;
    let mut left = SELECTOR / 2;
    if fits(selector, &mut left) {
        return None;
    }
    let labels = Selector::read_map(selector.get("matchLabels"));
    let why = "asks for more than can be judged; it may select any analysis, so split the policy";
    let finding = critical(&FieldPath::of(&["spec", "podSelector"]), None, why);
    (!matched_apps(&labels, &policies.analysis).is_none()).then_some(finding)
}

/// Whether a value consists of no more values than are left.
fn fits(json: &Json<'_>, left: &mut usize) -> bool {
    let Some(fewer) = left.checked_sub(1) else { return false };
    *left = fewer;
    json.items().iter().all(|item| fits(item, left)) && json.entries().iter().all(|(_, value)| fits(value, left))
}

/// How many values of a selector are read where the whole policy is too large.
pub(super) const SELECTOR: usize = 10_000;

/// What is too much for pods with these values of `app`, in those rules that `counts` names,
/// and all that is unknown outside of rules: it may change whom the policy is for.
pub(super) fn excess(
    policy: &Policy<'_>,
    apps: &Apps,
    policies: &PolicySet,
    counts: impl Fn(Direction, &Rule<'_>) -> bool,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = policy.unknown.iter().map(unknown_part).collect();
    if apps.is_none() {
        return findings;
    }
    let allowance = Allowance { policies, namespace: policy.namespace, app: apps.single() };
    for side in &policy.sides {
        let rules = side.rules.iter().filter(|rule| counts(side.direction, rule));
        findings.extend(rules.flat_map(|rule| too_much(rule, side.direction, &allowance)));
    }
    findings
}

pub(super) fn too_much(rule: &Rule<'_>, direction: Direction, allowance: &Allowance<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = rule.unknown.iter().map(unknown_part).collect();
    let Some(peers) = &rule.peers else {
        let field = direction.peers();
        let why = format!("without `{field}` a rule is for everybody; {}", advice(direction, allowance));
        findings.push(critical(&rule.path, Some(rule.json), why));
        return findings;
    };
    // What a port is told depends on the peers by what they are allowed alone, which is of few kinds.
    let mut kinds: Vec<Allowed> = Vec::new();
    for (path, json, peer) in peers {
        let allowed = allowance.of(peer, direction);
        if allowed.is_nothing() {
            let who = match peer {
                Peer::Pods { .. } => "these pods are",
                Peer::Block(_) => "an address block is",
                Peer::Unknown => "what this names is",
            };
            let why = format!("{who} no peer of an analysis; {}", advice(direction, allowance));
            findings.push(critical(path, Some(json), why));
        } else if !kinds.contains(&allowed) {
            kinds.push(allowed);
        }
    }
    findings.extend(wrong_ports(rule, &kinds, direction, allowance));
    findings
}

/// The rule's ports that one of these does not cover.
fn wrong_ports(rule: &Rule<'_>, allowed: &[Allowed], direction: Direction, allowance: &Allowance<'_>) -> Vec<Finding> {
    let Some(ports) = &rule.ports else {
        if allowed.iter().all(|allowed| allowed.covers(None)) {
            return Vec::new();
        }
        let why = format!("without `ports` a rule is for all of them; {}", advice(direction, allowance));
        return vec![critical(&rule.path.key("ports"), None, why)];
    };
    let wrong = ports.iter().filter(|(_, _, port)| !allowed.iter().all(|allowed| allowed.covers(Some(port))));
    wrong
        .map(|(path, json, port)| {
            let what = match port {
                Ports::Range(..) => "more ports than these peers may be reached on",
                Ports::Named => "a port's name stands for whatever number the receiving pod gives it",
                Ports::Unknown => "no port that Flamewarden knows",
            };
            critical(path, Some(json), format!("{what}; {}", advice(direction, allowance)))
        })
        .collect()
}

/// What the rule should say instead.
fn advice(direction: Direction, allowance: &Allowance<'_>) -> String {
    let ports: Vec<String> = allowance.gateway_ports(direction).iter().map(u16::to_string).collect();
    let ports = ports.join(", ");
    match allowance.app {
        Some(app) => format!("allow only pods with `app: {}` on TCP {ports}", super::make::gateway_app(app)),
        None => format!("select one analysis and allow only its own gateway on TCP {ports}, or select no analysis"),
    }
}

fn unknown_part(part: &Unknown<'_>) -> Finding {
    critical(&part.path, part.value, "nothing that Flamewarden knows; it may let anything through, so leave it out")
}

pub(super) fn critical(path: &FieldPath, value: Option<&Json<'_>>, why: impl Into<String>) -> Finding {
    Finding { severity: Severity::Critical, ..Finding::new(RULE, path.clone(), value, why) }
}
