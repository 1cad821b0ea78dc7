//! Pods made and changed: CREATE is judged whole, UPDATE by what it changes.

use super::change::{
    claimed_labels, gate_lifts, identity_changes, image_changes, judge_finalizer, label_changes, only_ends,
    owner_changes, same_before,
};
use super::unlabelled::{Maker, unlabelled_findings};
use crate::model::{FieldPath, Hold, PodView, Request, Severity, labels};
use crate::policy::{PolicySet, Profile, Role, Tenancy};
use crate::rules::caller::{WORKLOAD_CONTROLLERS, is_controller};
use crate::rules::case::Case;
use crate::rules::judgement::{Enforced, Judgement, Scales};
use crate::rules::pod::{Stage, pod_findings};
use crate::rules::rule::RequestRule;
use crate::rules::unfit::unfit;

pub(in crate::rules) const GATEWAY_CREATOR: RequestRule = RequestRule {
    id: "gateway-creator",
    title: "gateways come only from the profile's creators, by a Deployment",
    why: "an analysis may talk to whatever bears its gateway's labels; who makes one is its peer",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::Always,
};

/// Judges a pod that is about to be stored for the first time.
pub(in crate::rules) fn judge_new_pod(request: &Request<'_>, case: &Case<'_>, tenancy: Tenancy) -> Judgement {
    let Some(object) = request.object else { return unfit(request) };
    let pod = PodView::new(object, FieldPath::default());
    let mut judgement = Judgement::default();
    let Some(profile) = case.policies.profile_of(&pod) else {
        let findings = unlabelled_findings(&pod, case.policies, tenancy, maker(request, case.policies));
        judgement.weigh_all(findings, &scales(&case.policies.analysis, &pod, case), Enforced::Refused);
        return judgement;
    };
    let scales = scales(profile, &pod, case);
    let from_template = is_controller(&request.user, &["replicaset-controller"]);
    if profile.role == Role::Gateway && !from_template && !case.policies.is_creator(request.user.name) {
        let message = "let FLAME's Pod Orchestrator or Flamewarden make the gateway's Deployment";
        judgement.weigh(GATEWAY_CREATOR.finds_user(request, message), &scales, Enforced::Refused);
    }
    judgement.weigh_all(owner_changes(request, WORKLOAD_CONTROLLERS, None, object), &scales, Enforced::Refused);
    judgement.weigh_all(claimed_labels(request, object), &scales, Enforced::Refused);
    judgement.weigh_all(pod_findings(&pod, profile, Stage::Create, case.scans, case.now), &scales, Enforced::Mended);
    judgement
}

/// Judges a new version of a stored pod, whichever of `pods`, `pods/ephemeralcontainers` and `pods/resize` brings it.
pub(in crate::rules) fn judge_changed_pod(request: &Request<'_>, case: &Case<'_>, tenancy: Tenancy) -> Judgement {
    let (Some(old), Some(new)) = (request.old, request.object) else { return unfit(request) };
    let (before, after) = (PodView::new(old, FieldPath::default()), PodView::new(new, FieldPath::default()));
    let policies = case.policies;
    let (was, is) = (policies.profile_of(&before), policies.profile_of(&after));
    let Some(profile) = is.or(was) else { return judge_changed_other(request, case, tenancy) };

    let mut judgement = Judgement::default();
    let scales = scales(profile, &after, case);
    judge_finalizer(&mut judgement, request, policies, old, new);
    if only_ends(old, new) {
        return judgement;
    }
    judgement.weigh_all(identity_changes(old, new), &scales, Enforced::Refused);
    let relabelled = label_changes(request, old, new, &[labels::APP, labels::COMPONENT]);
    judgement.weigh_all(relabelled, &scales, Enforced::Refused);
    judgement.weigh_all(image_changes(request, policies, &before, &after), &scales, Enforced::Refused);
    judgement.weigh_all(gate_lifts(request, policies, old, new), &scales, Enforced::Refused);
    judgement.weigh_all(owner_changes(request, WORKLOAD_CONTROLLERS, Some(old), new), &scales, Enforced::Refused);
    let found = |pod: &PodView<'_>, profile: Option<&Profile>| {
        profile.map_or(Vec::new(), |profile| pod_findings(pod, profile, Stage::Stored, case.scans, case.now))
    };
    let (stored, fresh) = same_before(found(&after, is), &found(&before, was), old, new);
    judgement.reported.extend(stored);
    judgement.weigh_all(fresh, &scales, Enforced::Refused);
    judgement
}

/// A pod that no profile guards, before and after: only what makes it suspicious anew is refused.
fn judge_changed_other(request: &Request<'_>, case: &Case<'_>, tenancy: Tenancy) -> Judgement {
    let (Some(old), Some(new)) = (request.old, request.object) else { return unfit(request) };
    let mut judgement = Judgement::default();
    if only_ends(old, new) {
        return judgement;
    }
    let (before, after) = (PodView::new(old, FieldPath::default()), PodView::new(new, FieldPath::default()));
    let same = |keys: &[&str]| old.at(keys) == new.at(keys);
    let untouched = same(&["spec"]) && same(&["metadata", "labels"]);
    let by = if untouched { Maker::Trusted } else { maker(request, case.policies) };
    let known = unlabelled_findings(&before, case.policies, tenancy, Maker::Trusted);
    let findings = unlabelled_findings(&after, case.policies, tenancy, by);
    let (stored, fresh) = same_before(findings, &known, old, new);
    judgement.reported.extend(stored);
    judgement.weigh_all(fresh, &scales(&case.policies.analysis, &after, case), Enforced::Refused);
    judgement
}

/// Whether whoever makes this pod answers for it in a dedicated namespace.
fn maker(request: &Request<'_>, policies: &PolicySet) -> Maker {
    let trusted = policies.is_creator(request.user.name) || is_controller(&request.user, WORKLOAD_CONTROLLERS);
    if trusted { Maker::Trusted } else { Maker::Other(request.user.name.to_owned()) }
}

fn scales<'a>(profile: &'a Profile, pod: &PodView<'a>, case: &Case<'_>) -> Scales<'a> {
    Scales { profile, app: pod.label("app").unwrap_or_default(), now: case.now }
}
