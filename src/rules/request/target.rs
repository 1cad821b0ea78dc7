//! Which stored object a request names without bringing it along, and what is said where it cannot be read.

use std::borrow::Cow;

use super::binding::binds_as_schedulers_do;
use super::deletion::asks_for_haste;
use crate::model::{FieldPath, Finding, Hold, Json, Operation, Request, Severity};
use crate::policy::PolicySet;
use crate::rules::caller::is_kubelet;
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

/// An object to read from the API server before a request can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetRef<'a> {
    /// `pods` or `services`.
    pub resource: &'static str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// The object that must be read to judge a request; none where it brings all that is needed.
pub fn target_of<'a>(request: &Request<'a>, policies: &PolicySet) -> Option<TargetRef<'a>> {
    policies.tenancy(request.namespace)?;
    let (resource, name) = match (request.resource.group, request.resource.name, request.resource.sub) {
        ("", "pods", "exec" | "attach" | "portforward" | "proxy") => ("pods", connection_name(request)),
        ("", "services", "proxy") => ("services", connection_name(request)),
        ("", "pods", "eviction") if request.object.is_some_and(asks_for_haste) => ("pods", request.name),
        ("", "pods", "binding") if !binds_as_schedulers_do(request, policies) => ("pods", request.name),
        ("", "bindings", "") if !binds_as_schedulers_do(request, policies) => ("pods", own_name(request)),
        ("", "serviceaccounts", "token") if !is_kubelet(&request.user) => ("pods", bound_pod(request).unwrap_or("")),
        _ => return None,
    };
    (!name.is_empty()).then_some(TargetRef { resource, namespace: request.namespace, name })
}

/// The named pod or Service, or the finding that says why it is not known.
pub(super) enum PodTarget<'a> {
    Found(&'a Json<'a>),
    Missing(Finding),
    Unread(Finding),
}

/// What is known of the object that the request names.
pub(super) fn pod_target<'a>(request: &Request<'_>, case: &Case<'a>) -> PodTarget<'a> {
    let name = target_of(request, case.policies).map_or(request.name, |target| target.name).to_owned();
    let found =
        |message: &str| TARGET.finds(FieldPath::of(&["name"]), Some(&Json::String(Cow::Owned(name.clone()))), message);
    match case.target {
        Target::Found(object) => PodTarget::Found(object),
        Target::Missing => PodTarget::Missing(found("there is no such object; it may be gone or not be there yet")),
        Target::Unread | Target::Unneeded => {
            PodTarget::Unread(found("it could not be read from the API server, so nobody knows what it is; try again"))
        }
    }
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
