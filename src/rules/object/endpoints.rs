//! Endpoints and EndpointSlices of guarded Services: only Kubernetes' own controllers write them.

use super::writing::Writing;
use crate::model::{Hold, Json, Request, Severity};
use crate::policy::PolicySet;
use crate::rules::caller::{CLEANERS, is_controller};
use crate::rules::case::Case;
use crate::rules::judgement::Judgement;
use crate::rules::rule::RequestRule;
use crate::rules::selection::{bears_identity, names_its_pod};
use crate::rules::unfit::unfit;

pub(super) const WRITER: RequestRule = RequestRule {
    id: "endpoints-writer",
    title: "Endpoints and EndpointSlices of guarded Services are written by Kubernetes' endpoint controllers",
    why: "a hand-made one joins a Service and takes its traffic (CVE-2021-25740)",
    severity: Severity::High,
    controls: &[],
    hold: Hold::Always,
};

/// Judges Endpoints or an EndpointSlice made, changed or deleted.
pub(super) fn judge_endpoints(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let Some(writing) = Writing::of(request) else { return unfit(request) };
    let guarded = writing.sides().any(|endpoints| is_guarded(endpoints, case.policies));
    let own = is_controller(&request.user, CONTROLLERS) || is_controller(&request.user, CLEANERS);
    if !guarded || own || !writing.matters() {
        return Judgement::default();
    }
    Judgement::refusing([WRITER.finds_user(request, "let the Service's selector say where it leads")])
}

/// Whether they are a guarded Service's, by name, label or owner, or point to a guarded pod by its name.
fn is_guarded(endpoints: &Json<'_>, policies: &PolicySet) -> bool {
    let is_name = |name: Option<&str>| name.is_some_and(|name| policies.names_identity(name));
    let slices = endpoints.get("endpoints").map_or(&[][..], |list| list.items()).iter();
    let subsets = endpoints.get("subsets").map_or(&[][..], |list| list.items()).iter();
    let addresses = subsets.flat_map(|subset| {
        let items = |key: &str| subset.get(key).map_or(&[][..], |list| list.items());
        items("addresses").iter().chain(items("notReadyAddresses"))
    });
    let targets = slices.chain(addresses).map(|endpoint| endpoint.text_at(&["targetRef", "name"]));
    let owners = endpoints.at(&["metadata", "ownerReferences"]).map_or(&[][..], |list| list.items());
    bears_identity(endpoints, policies)
        || is_name(endpoints.text_at(&["metadata", "labels", SERVICE_NAME]))
        || owners.iter().any(|owner| owner.text_at(&["kind"]) == Some("Service") && is_name(owner.text_at(&["name"])))
        || targets.flatten().any(|name| names_its_pod(name, policies))
}

const CONTROLLERS: &[&str] = &["endpoint-controller", "endpointslice-controller", "endpointslicemirroring-controller"];
const SERVICE_NAME: &str = "kubernetes.io/service-name";
