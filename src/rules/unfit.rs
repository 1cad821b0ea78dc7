//! The rule on a request's form, for every resource.

use std::borrow::Cow;

use super::judgement::Judgement;
use super::rule::RequestRule;
use crate::model::{FieldPath, Hold, Json, Request, Severity};

/// Refuses a request that lacks what its operation must bring, or whose operation is unknown for its resource.
pub(super) fn unfit(request: &Request<'_>) -> Judgement {
    let resource = request.resource;
    let slash = if resource.sub.is_empty() { "" } else { "/" };
    let what = format!("{} {}{slash}{}", request.operation.word(), resource.name, resource.sub);
    let message = format!("`{what}` is not known in this form, or lacks its object; nothing about it can be judged");
    let name = Json::String(Cow::Borrowed(request.name));
    Judgement::refusing([RULE.finds(FieldPath::of(&["name"]), Some(&name), message)])
}

pub(super) const RULE: RequestRule = RequestRule {
    id: "request-form",
    title: "a request has the form that its resource and operation have",
    why: "what cannot be judged could be anything",
    severity: Severity::High,
    controls: &[],
    hold: Hold::Always,
};
