//! Which stored object must be read before a request can be judged.

use super::binding::binds_as_schedulers_do;
use super::deletion::asks_for_haste;
use super::named::named;
use crate::model::Request;
use crate::policy::PolicySet;
use crate::rules::caller::is_kubelet;

/// An object to read from the API server before a request can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetRef<'a> {
    /// Its resource in the plural, such as `pods`.
    pub resource: &'static str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// The object that must be read to judge a request; none where it brings all that is needed.
pub fn target_of<'a>(request: &Request<'a>, policies: &PolicySet) -> Option<TargetRef<'a>> {
    policies.tenancy(request.namespace)?;
    let (resource, name) = named(request)?;
    let needed = match (request.resource.name, request.resource.sub) {
        ("pods", "eviction") => request.object.is_some_and(asks_for_haste),
        ("pods", "binding") | ("bindings", "") => !binds_as_schedulers_do(request, policies),
        ("serviceaccounts", "token") => !is_kubelet(&request.user),
        // Where a Service leads, it does not say itself.
        ("services", "proxy") => false,
        _ => true,
    };
    (needed && is_objects(name)).then_some(TargetRef { resource, namespace: request.namespace, name })
}

/// Whether an object can have that name. Another text could lead elsewhere when it is put into a path, and whoever
/// asks for a token writes it as he likes; what has such a name is not read, and so nobody knows it.
fn is_objects(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [name.bytes().next(), name.bytes().next_back()];
    name.len() <= LONGEST_NAME
        && ends.iter().all(|end| end.is_some_and(plain))
        && name.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'.'))
}

const LONGEST_NAME: usize = 253;
