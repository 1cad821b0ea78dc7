//! The rules on what is done to pods, and by whom, besides what a pod must be.

mod binding;
mod change;
mod connection;
mod deletion;
mod pod;
mod status;
mod target;
mod token;
mod unlabelled;

use std::borrow::Cow;

pub(super) use binding::judge_binding;
pub(super) use change::{drops_isolation, same_before};
pub(super) use connection::judge_connection;
pub(super) use deletion::{judge_deletion, judge_eviction};
pub(super) use pod::{GATEWAY_CREATOR, judge_changed_pod, judge_new_pod};
pub(super) use status::judge_status;
pub use target::{TargetRef, target_of};
pub(super) use token::judge_token;
pub(super) use unlabelled::{Maker, unlabelled_findings};

use super::judgement::Judgement;
use super::{Control, object};
use crate::model::{FieldPath, Finding, Json, Request, Severity};

/// One rule on requests. Its findings are made where the request is judged; this is what documents say of it.
#[derive(Debug, PartialEq)]
pub struct RequestRule {
    /// Id, as it stands in refusals, modes and exceptions.
    pub id: &'static str,
    /// What holds where the rule holds.
    pub title: &'static str,
    /// What happens where it doesn't.
    pub why: &'static str,
    /// How bad that is.
    pub severity: Severity,
    /// Published controls that it helps to meet.
    pub controls: &'static [Control],
    /// Whether a profile's modes and exceptions can soften it.
    pub hold: Hold,
}

/// Whether a rule can be softened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It always enforces: isolation, gates and identity rest on it.
    Always,
    /// A profile may give it a mode and exceptions.
    AsProfileSays,
}

/// Every rule on requests. Order is the order in which documents list them.
pub const REQUEST_RULES: &[&RequestRule] = &[
    &UNFIT,
    &change::IDENTITY,
    &change::GATE,
    &change::FINALIZER,
    &change::OWNER,
    &GATEWAY_CREATOR,
    &unlabelled::IMAGE_LABEL,
    &unlabelled::KNOWN_PART,
    &status::STATUS,
    &status::FINAL_PHASE,
    &deletion::FORCED,
    &binding::BINDING,
    &connection::CONNECTION,
    &target::TARGET,
    &token::TOKEN,
];

/// The rule of that id, if it is one on requests.
pub(super) fn rule_of(id: &str) -> Option<&'static RequestRule> {
    REQUEST_RULES.iter().chain(object::OBJECT_RULES).find(|rule| rule.id == id).copied()
}

impl RequestRule {
    /// A finding of this rule about a value of the object.
    pub(super) fn finds(&self, path: FieldPath, value: Option<&Json<'_>>, message: impl Into<String>) -> Finding {
        let mut finding = Finding::new(self.id, path, value, message);
        finding.severity = self.severity;
        finding
    }

    /// A finding of this rule about who asks.
    pub(super) fn finds_user(&self, request: &Request<'_>, message: impl Into<String>) -> Finding {
        let name = Json::String(Cow::Borrowed(request.user.name));
        self.finds(FieldPath::of(&["userInfo", "username"]), Some(&name), message)
    }
}

/// Refuses a request that lacks what its operation must bring, or whose operation is unknown for its resource.
pub(super) fn unfit(request: &Request<'_>) -> Judgement {
    let resource = request.resource;
    let slash = if resource.sub.is_empty() { "" } else { "/" };
    let what = format!("{} {}{slash}{}", request.operation.word(), resource.name, resource.sub);
    let message = format!("`{what}` is not known in this form, or lacks its object; nothing about it can be judged");
    let name = Json::String(Cow::Borrowed(request.name));
    Judgement::refusing([UNFIT.finds(FieldPath::of(&["name"]), Some(&name), message)])
}

const UNFIT: RequestRule = RequestRule {
    id: "request-form",
    title: "a request has the form that its resource and operation have",
    why: "what cannot be judged could be anything",
    severity: Severity::High,
    controls: &[],
    hold: Hold::Always,
};
