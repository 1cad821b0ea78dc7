//! The rules on pods and pod templates: one list, one file each.

mod capabilities;
mod pull_secret;

use std::borrow::Cow;

use super::Control;
use crate::model::{Finding, PodView, Severity};
use crate::policy::{Profile, Role};

/// One rule on pods. A finding carries its own remedy, so that what is found and what is mended cannot differ.
pub struct PodRule {
    /// Id, as it stands in refusals, modes and exceptions.
    pub id: &'static str,
    /// What holds where the rule holds.
    pub title: &'static str,
    /// How bad it is when it doesn't.
    pub severity: Severity,
    /// Published controls that it helps to meet.
    pub controls: &'static [Control],
    /// The roles whose pods it judges.
    pub roles: &'static [Role],
    /// All that is wrong.
    pub check: fn(&PodView<'_>, &PodCase<'_>) -> Vec<Finding>,
}

/// What a pod rule may know besides the pod.
pub struct PodCase<'a> {
    /// The profile that guards the pod.
    pub profile: &'a Profile,
    /// The pod's `app`; empty where it has none.
    pub app: &'a str,
    /// At which point of its life the pod is judged.
    pub stage: Stage,
}

/// At which point of its life a pod is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A pod that is about to be stored for the first time.
    Create,
    /// A stored pod, or a new version of one.
    Stored,
    /// The template of a workload; pods made from it come by CREATE.
    Template,
}

/// Every rule on pods. Order is the order in which findings are shown.
pub const POD_RULES: &[PodRule] = &[pull_secret::RULE, capabilities::RULE];

/// Everything that the built-in rules have to say of a guarded pod.
pub fn pod_findings(pod: &PodView<'_>, profile: &Profile, stage: Stage) -> Vec<Finding> {
    let case = PodCase { profile, app: pod.label("app").unwrap_or_default(), stage };
    let rules = POD_RULES.iter().filter(|rule| rule.roles.contains(&profile.role));
    rules.flat_map(|rule| (rule.check)(pod, &case).into_iter().map(|finding| stamped(finding, rule))).collect()
}

const ANALYSIS: &[Role] = &[Role::Analysis];
const BOTH: &[Role] = &[Role::Analysis, Role::Gateway];

fn stamped(mut finding: Finding, rule: &PodRule) -> Finding {
    finding.rule = Cow::Borrowed(rule.id);
    finding.severity = rule.severity;
    finding
}
