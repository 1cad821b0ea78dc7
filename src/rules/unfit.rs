//! The rule on a request's form, for every resource.

use std::borrow::Cow;

use super::judgement::Judgement;
use super::rule::RequestRule;
use crate::model::{FieldPath, Hold, Json, Request, Severity};

/// Refuses an object of so many parts that judging it would be a burden. What is being deleted goes on.
pub(super) fn oversized(request: &Request<'_>) -> Option<Judgement> {
    let object = request.object.filter(|object| object.at(&["metadata", "deletionTimestamp"]).is_none())?;
    let mut left = MOST_PARTS;
    if count_down(object, &mut left) {
        return None;
    }
    let message = format!("has more than {MOST_PARTS} fields and items; make several smaller objects of it");
    Some(Judgement::refusing([RULE.finds(FieldPath::default(), None, message)]))
}

/// Whether a value has no more parts than are left.
fn count_down(value: &Json<'_>, left: &mut usize) -> bool {
    let Some(fewer) = left.checked_sub(1) else { return false };
    *left = fewer;
    match value {
        Json::Array(items) => items.iter().all(|item| count_down(item, left)),
        Json::Object(entries) => entries.iter().all(|(_, value)| count_down(value, left)),
        _ => true,
    }
}

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

/// The largest slices of endpoints, 1,000 of them, have 20,000; a pod has some hundred.
const MOST_PARTS: usize = 50_000;
