//! The stored object that a request names without bringing it along, and what is said where it cannot be read.

use std::borrow::Cow;

use crate::model::{FieldPath, Finding, Hold, Json, Operation, Request, Severity};
use crate::rules::case::{Case, Target};
use crate::rules::rule::RequestRule;

pub(super) const TARGET: RequestRule = RequestRule {
    id: "target-known",
    title: "the pod or Service that a request names is there and can be read",
    why: "what nobody can look at may be an analysis",
    severity: Severity::High,
    controls: &[],
    hold: Hold::Always,
};

/// The named pod or Service, or the finding that says why it is not known.
pub(super) enum PodTarget<'a> {
    Found(&'a Json<'a>),
    Missing(Finding),
    Unread(Finding),
}

/// What is known of the object that the request names.
pub(super) fn pod_target<'a>(request: &Request<'_>, case: &Case<'a>) -> PodTarget<'a> {
    let name = named(request).map_or(request.name, |(_, name)| name);
    let found =
        |message: &str| TARGET.finds(FieldPath::of(&["name"]), Some(&Json::String(Cow::Borrowed(name))), message);
    match case.target {
        Target::Found(object) => PodTarget::Found(object),
        Target::Missing => PodTarget::Missing(found("there is no such object; it may be gone or not be there yet")),
        Target::Unread | Target::Unneeded => {
            PodTarget::Unread(found("it could not be read from the API server, so nobody knows what it is; try again"))
        }
    }
}

/// The resource and the name of the object that a request names; an empty name where it names none.
pub(super) fn named<'a>(request: &Request<'a>) -> Option<(&'static str, &'a str)> {
    Some(match (request.resource.group, request.resource.name, request.resource.sub) {
        ("", "pods", "exec" | "attach" | "portforward" | "proxy") => ("pods", connection_name(request)),
        ("", "services", "proxy") => ("services", connection_name(request)),
        ("", "pods", "eviction" | "binding") => ("pods", request.name),
        ("", "bindings", "") => ("pods", own_name(request)),
        ("", "serviceaccounts", "token") => ("pods", bound_pod(request).unwrap_or_default()),
        _ => return None,
    })
}

/// The name in a CONNECT: of a proxy perhaps with scheme and port, `https:name:8080`.
fn connection_name<'a>(request: &Request<'a>) -> &'a str {
    if request.operation != Operation::Connect || request.resource.sub != "proxy" {
        return request.name;
    }
    let mut parts = request.name.split(':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(name), _, None, None) => name,
        (Some("" | "http" | "https"), Some(name), Some(_), None) => name,
        _ => "",
    }
}

/// The pod that a token would be bound to.
pub(super) fn bound_pod<'a>(request: &Request<'a>) -> Option<&'a str> {
    let bound = request.object?.at(&["spec", "boundObjectRef"])?;
    let is_pod = bound.text_at(&["kind"]).is_some_and(|kind| kind == "Pod");
    if is_pod { bound.text_at(&["name"]) } else { None }
}

/// The name that the object gives itself; the legacy `bindings` has no other.
fn own_name<'a>(request: &Request<'a>) -> &'a str {
    request.object.and_then(|object| object.text_at(&["metadata", "name"])).unwrap_or_default()
}
