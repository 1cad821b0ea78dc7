//! Pods deleted and evicted: not at once while their container may run.

use super::named::{PodTarget, pod_target};
use crate::model::{FieldPath, Finding, Hold, Json, PodView, Request, Severity, labels};
use crate::rules::caller::{NAMESPACE_CONTROLLER, POD_COLLECTOR, breaks_glass, is_controller, is_kubelet_of};
use crate::rules::case::Case;
use crate::rules::judgement::Judgement;
use crate::rules::rule::RequestRule;
use crate::rules::unfit::unfit;

pub(super) const FORCED: RequestRule = RequestRule {
    id: "forced-deletion",
    title: "a guarded pod that is bound and has not ended is deleted with grace",
    why: "with grace 0 its object goes at once, and its policy after it, while the container runs on",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::Always,
};

/// Judges the deletion of a pod; a collection's deletion comes as one request for each.
pub(in crate::rules) fn judge_deletion(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let Some(pod) = request.old else { return unfit(request) };
    judge_ending(request, case, pod, request.options)
}

/// Judges an eviction, which names the pod and brings the deletion's options along.
pub(in crate::rules) fn judge_eviction(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let Some(eviction) = request.object else { return unfit(request) };
    // Without a grace of its own it takes the pod's, which is at least 1 for every pod that admission lets in.
    // Were those judged too, a drain of other software's pods would need the webhook.
    if !asks_for_haste(eviction) {
        return Judgement::default();
    }
    match pod_target(request, case) {
        PodTarget::Found(pod) => judge_ending(request, case, pod, eviction.get("deleteOptions")),
        PodTarget::Missing(finding) | PodTarget::Unread(finding) => Judgement::refusing([finding]),
    }
}

/// Whether an eviction asks for no grace at all, or for something that is no number.
pub(super) fn asks_for_haste(eviction: &Json<'_>) -> bool {
    let grace = eviction.at(&["deleteOptions", GRACE]);
    grace.is_some_and(|grace| grace.integer().is_none_or(|grace| grace == 0))
}

fn judge_ending(request: &Request<'_>, case: &Case<'_>, pod: &Json<'_>, options: Option<&Json<'_>>) -> Judgement {
    let guarded = case.policies.profile_of(&PodView::new(pod, FieldPath::default())).is_some();
    if !guarded || !runs(pod) || effective_grace(pod, options) != 0 {
        return Judgement::default();
    }
    let node = pod.text_at(&["spec", "nodeName"]).unwrap_or_default();
    let user = &request.user;
    if is_kubelet_of(user, node) || is_controller(user, &[POD_COLLECTOR, NAMESPACE_CONTROLLER]) {
        return Judgement::default();
    }
    let finding = forced(options);
    if breaks_glass(user) {
        return Judgement { broken_glass: vec![finding], ..Judgement::default() };
    }
    Judgement::refusing([finding])
}

fn forced(options: Option<&Json<'_>>) -> Finding {
    let given = options.and_then(|options| options.get(GRACE));
    let message =
        format!("give it a second at least (`--grace-period=1`); group `{}` may force a deletion", labels::BREAK_GLASS);
    FORCED.finds(FieldPath::of(&["options", GRACE]), given, message)
}

/// Whether a container of the pod may be running: it is bound to a node and has not ended.
fn runs(pod: &Json<'_>) -> bool {
    let bound = pod.text_at(&["spec", "nodeName"]).is_some_and(|node| !node.is_empty());
    bound && !matches!(pod.text_at(&["status", "phase"]), Some("Succeeded" | "Failed"))
}

/// The seconds between signal and removal, as the API server counts them: the call's, else the pod's, else none.
/// A negative number counts as one second. What is no number counts as none.
fn effective_grace(pod: &Json<'_>, options: Option<&Json<'_>>) -> i64 {
    let called = options.and_then(|options| options.get(GRACE));
    // A pod that is being deleted already keeps its grace unless the call shortens it.
    let pending =
        pod.at(&["metadata", "deletionTimestamp"]).and_then(|_| pod.at(&["metadata", "deletionGracePeriodSeconds"]));
    let given = called.or(pending).or_else(|| pod.at(&["spec", "terminationGracePeriodSeconds"]));
    given.and_then(Json::integer).unwrap_or(0)
}

const GRACE: &str = "gracePeriodSeconds";
