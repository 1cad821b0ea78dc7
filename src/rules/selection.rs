//! Whether a Service is a guarded identity's, or could send traffic to a guarded pod.

use crate::isolation::could_match_map;
use crate::model::{Json, labels};
use crate::policy::PolicySet;

/// Whether a Service bears a guarded identity's name or labels, or its selector could match a guarded pod.
pub(super) fn is_guarded_service(service: &Json<'_>, policies: &PolicySet) -> bool {
    bears_identity(service, policies) || leads_to_guarded(service, policies)
}

/// Whether an object bears the name or the labels of an analysis or a gateway.
pub(super) fn bears_identity(object: &Json<'_>, policies: &PolicySet) -> bool {
    let label = |key: &str| object.text_at(&["metadata", "labels", key]);
    let named = object.text_at(&["metadata", "name"]).is_some_and(|name| policies.names_identity(name));
    let (component, app) = (label(labels::COMPONENT), label(labels::APP));
    named || policies.profiles().into_iter().any(|profile| profile.selects(component, app))
}

fn leads_to_guarded(service: &Json<'_>, policies: &PolicySet) -> bool {
    let selector = service.at(&["spec", "selector"]);
    policies.profiles().into_iter().any(|profile| !could_match_map(selector, profile).is_none())
}

/// Whether a pod of that name could be an identity's: controllers begin the names of their pods with their own.
pub(super) fn names_its_pod(name: &str, policies: &PolicySet) -> bool {
    let beginnings = name.match_indices('-').filter_map(|(end, _)| name.get(..end));
    name.len() <= LONGEST_NAME && beginnings.chain([name]).any(|beginning| policies.names_identity(beginning))
}

/// No object has a longer name.
const LONGEST_NAME: usize = 253;
