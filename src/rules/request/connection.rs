//! Ways into a running pod: exec, attach, port-forward and the API server's proxies.

use std::borrow::Cow;

use super::named::{PodTarget, named, pod_target};
use crate::model::{FieldPath, Finding, Hold, Json, PodView, Request, Severity, labels};
use crate::rules::caller::breaks_glass;
use crate::rules::case::Case;
use crate::rules::judgement::{Enforced, Judgement, Scales};
use crate::rules::rule::RequestRule;
use crate::rules::unfit::unfit;

pub(super) const CONNECTION: RequestRule = RequestRule {
    id: "connection",
    title: "nobody enters a guarded pod by exec, attach, port-forward or proxy, or goes through the proxy of any Service next to it",
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
    let through_service = request.resource.name == "services";
    let (profile, app) = if through_service {
        // Where a Service leads, its endpoints say. Those of anybody's own Service are anybody's to write, and name
        // whatever address he likes, so it is of no use to look at the Service.
        (&case.policies.analysis, "")
    } else {
        let object = match pod_target(request, case) {
            PodTarget::Found(object) => object,
            PodTarget::Missing(finding) | PodTarget::Unread(finding) => return Judgement::refusing([finding]),
        };
        let pod = PodView::new(object, FieldPath::default());
        let Some(profile) = case.policies.profile_of(&pod) else { return Judgement::default() };
        (profile, pod.label(labels::APP).unwrap_or_default())
    };
    let finding = entry(request);
    let may_in_need = through_service || matches!(request.resource.sub, "exec" | "attach" | "portforward");
    if may_in_need && breaks_glass(&request.user) {
        return Judgement { broken_glass: vec![finding], ..Judgement::default() };
    }
    let mut judgement = Judgement::default();
    judgement.weigh(finding, &Scales { profile, app, now: case.now }, Enforced::Refused);
    judgement
}

fn entry(request: &Request<'_>) -> Finding {
    let message = match (request.resource.name, request.resource.sub) {
        ("services", _) => format!(
            "forward a port to a pod of your own instead; group `{}` may go through a Service in an emergency",
            labels::BREAK_GLASS
        ),
        (_, "proxy") => "reach an analysis through its gateway".to_owned(),
        (_, way) => format!("read its logs instead; group `{}` may {way} in an emergency", labels::BREAK_GLASS),
    };
    let name = Json::String(Cow::Borrowed(request.name));
    CONNECTION.finds(FieldPath::of(&["name"]), Some(&name), message)
}
