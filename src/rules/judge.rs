//! The judge: a case and a request in, a judgement out. This file says which requests are judged where.

use jiff::Timestamp;

use super::judgement::Judgement;
use super::{object, request as requests};
use crate::model::{Json, Operation, Request};
use crate::policy::PolicySet;

/// Everything besides the request that a judgement may depend on.
pub struct Case<'a> {
    /// The policies in force.
    pub policies: &'a PolicySet,
    /// The object that a request names without bringing it along; [`target_of`](super::target_of) says which.
    pub target: Target<'a>,
    /// The moment of the judgement.
    pub now: Timestamp,
}

/// The stored object that a CONNECT, an eviction, a binding or a token names.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// The request brings all that is judged.
    Unneeded,
    /// Read from the API server for this request.
    Found(&'a Json<'a>),
    /// The API server knows no such object.
    Missing,
    /// It could not be read; nobody knows.
    Unread,
}

/// Judges one admission request against the policies.
pub fn judge(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    use Operation::{Connect, Create, Delete, Update};
    let Some(tenancy) = case.policies.tenancy(request.namespace) else { return Judgement::default() };
    let resource = request.resource;
    match (resource.group, resource.name, resource.sub, request.operation) {
        ("", "pods", "", Create) => requests::judge_new_pod(request, case, tenancy),
        ("", "pods", "" | "ephemeralcontainers" | "resize", Update) => {
            requests::judge_changed_pod(request, case, tenancy)
        }
        ("", "pods", "", Delete) => requests::judge_deletion(request, case),
        ("", "pods", "status", Update) => requests::judge_status(request, case),
        ("", "pods", "eviction", Create) => requests::judge_eviction(request, case),
        ("", "pods", "binding", Create) | ("", "bindings", "", Create) => requests::judge_binding(request, case),
        ("", "pods", "exec" | "attach" | "portforward" | "proxy", Connect) | ("", "services", "proxy", Connect) => {
            requests::judge_connection(request, case)
        }
        ("", "serviceaccounts", "token", Create) => requests::judge_token(request, case),
        ("", "pods" | "bindings", ..) | ("", "serviceaccounts", "token", _) => requests::unfit(request),
        _ => object::judge_object(request, case, tenancy),
    }
}
