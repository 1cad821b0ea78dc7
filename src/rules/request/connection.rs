//! Ways into a running pod: exec, attach, port-forward and the API server's proxies.

use std::borrow::Cow;

use super::named::{PodTarget, named, pod_target};
use crate::model::{FieldPath, Finding, Hold, Json, PodView, Request, Severity, labels};
use crate::policy::PolicySet;
use crate::rules::caller::breaks_glass;
use crate::rules::case::Case;
use crate::rules::judgement::{Enforced, Judgement, Scales};
use crate::rules::rule::RequestRule;
use crate::rules::selection::is_guarded_service;
use crate::rules::unfit::unfit;

pub(super) const CONNECTION: RequestRule = RequestRule {
    id: "connection",
    title: "nobody enters a guarded pod by exec, attach, port-forward or proxy",
    why: "it is a way to medical data past the gateway and the network policies",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::AsProfileSays,
};

/// Judges a CONNECT to a pod or through a Service.
pub(in crate::rules) fn judge_connection(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    if named(request).is_none_or(|(_, name)| name.is_empty()) {
        return unfit(request);
    }
    let object = match pod_target(request, case) {
        PodTarget::Found(object) => object,
        PodTarget::Missing(finding) | PodTarget::Unread(finding) => return Judgement::refusing([finding]),
    };
    if !is_guarded(request, object, case.policies) {
        return Judgement::default();
    }
    let finding = entry(request);
    let may_in_need = matches!(request.resource.sub, "exec" | "attach" | "portforward");
    if may_in_need && breaks_glass(&request.user) {
        return Judgement { broken_glass: vec![finding], ..Judgement::default() };
    }
    let pod = PodView::new(object, FieldPath::default());
    let profile = case.policies.profile_of(&pod).unwrap_or(&case.policies.analysis);
    let scales = Scales { profile, app: pod.label(labels::APP).unwrap_or_default(), now: case.now };
    let mut judgement = Judgement::default();
    judgement.weigh(finding, &scales, Enforced::Refused);
    judgement
}

fn is_guarded(request: &Request<'_>, object: &Json<'_>, policies: &PolicySet) -> bool {
    match request.resource.name {
        // Where a Service without a selector leads, its endpoints say, and they name addresses alone.
        "services" => is_guarded_service(object, policies) || selects_nothing(object),
        _ => policies.profile_of(&PodView::new(object, FieldPath::default())).is_some(),
    }
}

fn selects_nothing(service: &Json<'_>) -> bool {
    service.at(&["spec", "selector"]).is_none_or(|selector| selector.entries().is_empty())
}

fn entry(request: &Request<'_>) -> Finding {
    let message = match request.resource.sub {
        "proxy" => "reach an analysis through its gateway".to_owned(),
        way => format!("read its logs instead; group `{}` may {way} in an emergency", labels::BREAK_GLASS),
    };
    let name = Json::String(Cow::Borrowed(request.name));
    CONNECTION.finds(FieldPath::of(&["name"]), Some(&name), message)
}
