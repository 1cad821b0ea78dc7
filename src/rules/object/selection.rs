//! Whether a Service is a guarded identity's, or could send traffic to a guarded pod.

use crate::model::{Json, labels};
use crate::policy::{PolicySet, Profile};

/// Whether a Service bears a guarded identity's name or labels, or its selector could match a guarded pod.
pub(in crate::rules) fn is_guarded_service(service: &Json<'_>, policies: &PolicySet) -> bool {
    bears_identity(service, policies)
        || service.at(&["spec", "selector"]).is_some_and(|selector| could_match(selector, policies))
}

/// Whether an object bears the name or the labels of an analysis or a gateway.
pub(super) fn bears_identity(object: &Json<'_>, policies: &PolicySet) -> bool {
    let label = |key: &str| object.text_at(&["metadata", "labels", key]);
    let named = object.text_at(&["metadata", "name"]).is_some_and(|name| policies.names_identity(name));
    let (component, app) = (label(labels::COMPONENT), label(labels::APP));
    named || policies.profiles().into_iter().any(|profile| profile.selects(component, app))
}

/// Whether labels that must all be equal could be those of a guarded pod, whether or not there is one now.
fn could_match(selector: &Json<'_>, policies: &PolicySet) -> bool {
    let fits = |profile: &Profile| {
        selector.entries().iter().all(|(key, value)| match (key.as_ref(), value.text()) {
            (labels::COMPONENT, value) => value.is_none_or(|value| value == profile.guards.component),
            (labels::APP, value) => value.is_none_or(|value| profile.analysis_of(value).is_some()),
            (key, _) => profile.metadata.labels.iter().any(|known| known == key),
        })
    };
    policies.profiles().into_iter().any(fits)
}
