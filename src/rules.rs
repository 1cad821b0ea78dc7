//! The rules, and the one judge that webhook, audit and command line ask.

mod caller;
mod case;
mod cel;
mod judge;
mod judgement;
mod mend;
mod object;
mod pod;
mod request;
mod rule;
mod selection;
mod stored;
mod unfit;
mod users;

pub use case::{Case, ScanKnowledge, Target};
pub use cel::{Limits, RuleProblem, UserFinding, UserRule, UserRules, Workers};
pub use judge::judge;
pub use judgement::Judgement;
pub use mend::{MendProblem, mend};
pub use object::{OBJECT_RULES, template_keys};
pub use pod::{FIRM_RULES, HOME, POD_RULES, PodCase, PodRule, Stage, pod_findings, scan_findings, unclassified_fields};
pub use request::{REQUEST_RULES, TargetRef, target_of};
pub use rule::RequestRule;
pub use stored::{stored_pod_judgement, stored_pod_refusals};
pub use users::{take_users_findings, users_rules_for};
