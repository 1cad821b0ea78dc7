//! Gateways that Flamewarden makes have a policy of their own, and no other opens them.

use super::allowance::Allowance;
use super::guarded::matched_apps;
use super::judge::{critical, too_much};
use super::read::{Direction, Policy, Rule};
use crate::model::{Finding, labels};
use crate::policy::PolicySet;

/// The rules of a policy, those that count, by which it would open a gateway where Flamewarden makes analyses. Elsewhere
/// gateways are FLAME's, which have no policy: there a site's narrows them.
pub(super) fn opened(
    policy: &Policy<'_>,
    policies: &PolicySet,
    counts: impl Fn(Direction, &Rule<'_>) -> bool,
) -> Vec<Finding> {
    let made_here = policies.orchestrator.as_ref().is_some_and(|settings| settings.may_make_in(policy.namespace));
    // Flamewarden's own bear names that nobody else may use.
    let own = policy.name.starts_with(labels::POLICY_PREFIX);
    if own || !made_here || matched_apps(&policy.pods, &policies.gateway).is_none() {
        return Vec::new();
    }
    let rules = policy.sides.iter().flat_map(|side| side.rules.iter().map(|rule| (side.direction, rule)));
    // Names may be asked for by all that is there.
    let allowance = Allowance { policies, namespace: policy.namespace, app: None };
    let opens = |direction: Direction, rule: &Rule<'_>| !too_much(rule, direction, &allowance).is_empty();
    let added = rules.filter(|(direction, rule)| counts(*direction, rule) && opens(*direction, rule));
    added.map(|(_, rule)| critical(&rule.path, Some(rule.json), WHY)).collect()
}

const WHY: &str = "it would open gateways of analyses, each of which has a policy of its own; select none of them, by \
                   `component` or by `app`";
