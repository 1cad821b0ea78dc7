//! The rules on what is done to pods, and by whom, besides what a pod must be.

mod binding;
mod change;
mod connection;
mod deletion;
mod named;
mod pod;
mod status;
mod target;
mod token;
mod unlabelled;

pub(super) use binding::judge_binding;
pub(super) use change::{judge_finalizer, label_changes, owner_changes, same_before};
pub(super) use connection::judge_connection;
pub(super) use deletion::{judge_deletion, judge_eviction};
pub(super) use pod::{GATEWAY_CREATOR, judge_changed_pod, judge_new_pod};
pub(super) use status::judge_status;
pub use target::{TargetRef, target_of};
pub(super) use token::judge_token;
pub(super) use unlabelled::{KNOWN_PART, Maker, unlabelled_findings};

use super::rule::RequestRule;
use super::unfit;

/// Every rule on requests. Order is the order in which documents list them.
pub const REQUEST_RULES: &[&RequestRule] = &[
    &unfit::RULE,
    &change::IDENTITY,
    &change::GATE,
    &change::FINALIZER,
    &change::OWNER,
    &change::IMAGE,
    &GATEWAY_CREATOR,
    &unlabelled::IMAGE_LABEL,
    &KNOWN_PART,
    &status::STATUS,
    &status::FINAL_PHASE,
    &deletion::FORCED,
    &binding::BINDING,
    &connection::CONNECTION,
    &named::TARGET,
    &token::TOKEN,
];
