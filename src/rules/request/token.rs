//! `serviceaccounts/token`: nobody mints a token for an analysis.

use std::borrow::Cow;

use super::named::{PodTarget, bound_pod, pod_target};
use crate::model::{FieldPath, Finding, Hold, Json, PodView, Request, Severity};
use crate::policy::Profile;
use crate::rules::caller::is_kubelet;
use crate::rules::case::Case;
use crate::rules::judgement::{Enforced, Judgement, Scales};
use crate::rules::rule::RequestRule;
use crate::rules::unfit::unfit;

pub(super) const TOKEN: RequestRule = RequestRule {
    id: "service-account-token-request",
    title: "no token is made for a guarded pod or its service account",
    why: "a guarded pod has no business with the API server; a token for it is for somebody else",
    severity: Severity::High,
    controls: &[],
    hold: Hold::AsProfileSays,
};

/// Judges the request for a service account's token.
pub(in crate::rules) fn judge_token(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    if request.object.is_none() {
        return unfit(request);
    }
    // A kubelet's requests are bound to pods of its own node by the API server. Guarded pods get no
    // token volume, so a kubelet asks for them only where they are from before the installation.
    if is_kubelet(&request.user) {
        return Judgement::default();
    }
    let policies = case.policies;
    let owner = policies.profiles().into_iter().find(|profile| runs_as(profile, request.name));
    if let Some(profile) = owner {
        let name = Json::String(Cow::Borrowed(request.name));
        let finding = TOKEN.finds(FieldPath::of(&["name"]), Some(&name), "this service account is a guarded pod's");
        return weighed(finding, profile, "", case);
    }
    if bound_pod(request).is_none() {
        return if names_pod(request) { unfit(request) } else { Judgement::default() };
    }
    match pod_target(request, case) {
        PodTarget::Found(object) => {
            let pod = PodView::new(object, FieldPath::default());
            let Some(profile) = policies.profile_of(&pod) else { return Judgement::default() };
            let path = FieldPath::of(&["spec", "boundObjectRef"]);
            let bound = request.object.and_then(|object| object.at(&["spec", "boundObjectRef"]));
            let finding = TOKEN.finds(path, bound, "the token would be bound to a guarded pod");
            weighed(finding, profile, pod.label("app").unwrap_or_default(), case)
        }
        PodTarget::Missing(finding) | PodTarget::Unread(finding) => Judgement::refusing([finding]),
    }
}

/// Whether a service account is that of guarded pods; `default` is everybody's.
fn runs_as(profile: &Profile, account: &str) -> bool {
    account != "default" && profile.service_accounts.iter().any(|name| name == account)
}

/// Whether the token asks to be bound to a pod, with or without saying which.
fn names_pod(request: &Request<'_>) -> bool {
    let kind = request.object.and_then(|object| object.text_at(&["spec", "boundObjectRef", "kind"]));
    kind == Some("Pod")
}

fn weighed(finding: Finding, profile: &Profile, app: &str, case: &Case<'_>) -> Judgement {
    let mut judgement = Judgement::default();
    judgement.weigh(finding, &Scales { profile, app, now: case.now }, Enforced::Refused);
    judgement
}
