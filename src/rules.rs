//! The rules, and the one judge that webhook, audit and command line ask.

mod cel;
mod judge;
mod mend;
mod pod;

pub use cel::{Limits, RuleProblem, UserFinding, UserRule, UserRules, Workers};
pub use judge::{Case, Judgement, Target, judge};
pub use mend::{MendProblem, mend};
pub use pod::{POD_RULES, PodCase, PodRule, Stage, pod_findings};

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
