//! The union: what all the NetworkPolicies of a namespace together let through for one pod.

use std::collections::BTreeSet;

use super::drift::differs;
use super::guarded::{Apps, CONTROLLERS_LABELS};
use super::judge::{SELECTOR, critical, excess};
use super::make::{policy, policy_name};
use super::read::{Direction, Policy, Rule};
use super::selector::Selector;
use crate::model::{FieldPath, Finding, Json, PodView, labels, parse_within, part};
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
    let mut union = Union::of(pod, set);
    policies.iter().for_each(|policy| union.add(policy));
    union.problems()
}

/// The same, one policy after the other, so that nobody has to hold them all.
pub struct Union<'p> {
    pod: &'p PodView<'p>,
    set: &'p PolicySet,
    app: &'p str,
    /// What is wrong with the pod's own policy; none before it was seen.
    own: Option<Vec<Finding>>,
    others: Vec<Finding>,
}

impl<'p> Union<'p> {
    /// No policy was seen yet.
    pub fn of(pod: &'p PodView<'p>, set: &'p PolicySet) -> Self {
        Union { pod, set, app: pod.label(labels::APP).unwrap_or_default(), own: None, others: Vec::new() }
    }

    /// One more policy of the pod's namespace.
    pub fn add(&mut self, policy: &Json<'_>) {
        if self.own.is_none() && policy.text_at(&["metadata", "name"]) == Some(&policy_name(self.app)) {
            self.own = Some(self.own_problem(policy).into_iter().collect());
        }
        let policy = Policy::read(policy);
        let selects = self.could_select(&policy.pods);
        let apps = if selects { Apps::Only(BTreeSet::from([self.app.to_owned()])) } else { Apps::None };
        let excess = excess(&policy, &apps, self.set, |_, _| true);
        self.others.extend(excess.into_iter().map(|finding| Finding {
            message: format!("NetworkPolicy `{}`: {}", policy.name, finding.message),
            ..finding
        }));
    }

    /// One more policy, by its text, of which the end may be missing. One that is too large to judge may let anything
    /// through for the pods that its selector could select, and nothing for others.
    pub fn add_text(&mut self, text: &[u8]) {
        if let Some(policy) = parse_within(text, JUDGED) {
            return self.add(&policy);
        }
        let selector = part(text, &["spec", "podSelector"], SELECTOR);
        // All that a selector asks for must hold, so its labels alone can say that it does not select a pod.
        let labels = || part(text, &["spec", "podSelector", "matchLabels"], LABELS);
        let selector = match selector {
            Some(selector) => Selector::read(Some(&selector)),
            None => labels().map_or(Selector::Unknown, |labels| Selector::read_map(Some(&labels))),
        };
        if !self.could_select(&selector) {
            return;
        }
        let name = part(text, &["metadata", "name"], 1);
        let name = name.as_ref().and_then(Json::text).unwrap_or_default();
        let why = format!("NetworkPolicy `{name}`: too large to be judged; it may let anything through, so split it");
        self.others.push(critical(&FieldPath::of(&["spec"]), None, why));
    }

    /// What keeps the gate closed, of all that was seen.
    pub fn problems(self) -> Vec<Finding> {
        let name = policy_name(self.app);
        let mut findings = self.own.unwrap_or_else(|| {
            let why = format!("NetworkPolicy `{name}` does not exist; the guard makes it");
            vec![critical(&FieldPath::of(&["metadata", "name"]), None, why)]
        });
        findings.extend(self.others);
        findings
    }

    /// Whether a selector matches the pod as it is, or as it could become: its binding brings labels of its node, and
    /// of the keys that the profile knows only those of the identity and of controllers are sure to stay.
    fn could_select(&self, selector: &Selector) -> bool {
        let known = &self.set.analysis.metadata.labels;
        let stays = |key: &str| key == labels::APP || key == labels::COMPONENT || CONTROLLERS_LABELS.contains(&key);
        let comes = |key: &str| !stays(key) && known.iter().any(|known| known == key);
        selector.terms().is_none_or(|terms| {
            terms
                .iter()
                .all(|(key, values)| values.accept(self.pod.label(key)) || (comes(key) && !values.is_never_present()))
        })
    }

    fn own_problem(&self, found: &Json<'_>) -> Option<Finding> {
        let name = policy_name(self.app);
        if let deletion @ Some(_) = found.at(&["metadata", "deletionTimestamp"]) {
            let why = format!("NetworkPolicy `{name}` is being deleted; the guard makes a new one when it is gone");
            return Some(critical(&FieldPath::of(&["metadata", "deletionTimestamp"]), deletion, why));
        }
        let namespace = self.pod.at(&["metadata", "namespace"]).and_then(Json::text).unwrap_or_default();
        let desired = policy(self.app, namespace, &self.set.analysis, &self.set.gateway);
        differs(&found.to_value(), &desired).then(|| {
            let why = format!("NetworkPolicy `{name}` is not what the profile says; the guard repairs it");
            critical(&FieldPath::of(&["spec"]), found.get("spec"), why)
        })
    }
}

fn opening(policy: &str, direction: Direction, rule: &Rule<'_>) -> Opening {
    Opening {
        policy: policy.to_owned(),
        rule: rule.path.clone(),
        direction,
        peers: rule.peers.iter().flatten().map(|(_, json, _)| written(json)).collect(),
        ports: rule.ports.iter().flatten().map(|(_, json, _)| written(json)).collect(),
    }
}

/// As it stands there, and of what is longer than anybody would write the beginning.
fn written(json: &Json<'_>) -> String {
    let whole = serde_json::to_string(json).ok().filter(|text| text.len() <= WRITTEN);
    whole.unwrap_or_else(|| json.to_string())
}

/// Of one peer, in bytes.
const WRITTEN: usize = 4096;
/// How many values of a policy are judged; twice what admission takes of one that could select an analysis.
const JUDGED: usize = 100_000;
/// How many labels of a selector are read where all that it asks for is too much: no object that is stored has more.
const LABELS: usize = 500_000;
