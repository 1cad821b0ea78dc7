//! The rules, and the one judge that webhook, audit and command line ask.

mod caller;
mod cel;
mod judge;
mod judgement;
mod mend;
mod object;
mod pod;
mod request;
mod users;

pub use cel::{Limits, RuleProblem, UserFinding, UserRule, UserRules, Workers};
pub use judge::{Case, Target, judge};
pub use judgement::Judgement;
pub use mend::{MendProblem, mend};
pub use object::OBJECT_RULES;
pub use pod::{FIRM_RULES, POD_RULES, PodCase, PodRule, Stage, pod_findings, unclassified_fields};
pub use request::{Hold, REQUEST_RULES, RequestRule, TargetRef, target_of};
pub use users::{take_users_findings, users_rules_for};

/// A published control that a rule helps to meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Pod Security Standards, profile *baseline*: the control's name.
    Baseline(&'static str),
    /// Pod Security Standards, profile *restricted*: the control's name.
    Restricted(&'static str),
    /// NSA/CISA Kubernetes Hardening Guide, section.
    Nsa(&'static str),
    /// CIS Kubernetes Benchmark, number of the recommendation.
    Cis(&'static str),
}
