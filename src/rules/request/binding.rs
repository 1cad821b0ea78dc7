//! Bindings: who puts a guarded pod on a node, and which labels come with it.

use super::named::{PodTarget, pod_target};
use crate::model::{FieldPath, Finding, Hold, Json, Request, Severity, labels};
use crate::policy::PolicySet;
use crate::rules::case::Case;
use crate::rules::judgement::Judgement;
use crate::rules::rule::RequestRule;
use crate::rules::unfit::unfit;

pub(super) const BINDING: RequestRule = RequestRule {
    id: "binding",
    title: "guarded pods are bound by the schedulers, and a binding brings topology labels only",
    why: "a binding chooses the node and overwrites the pod's labels",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::Always,
};

/// Judges `pods/binding` and the legacy `bindings`.
pub(in crate::rules) fn judge_binding(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let Some(binding) = request.object else { return unfit(request) };
    if binds_as_schedulers_do(request, case.policies) {
        return Judgement::default();
    }
    match pod_target(request, case) {
        PodTarget::Found(pod) if !becomes_guarded(pod, binding, case.policies) => Judgement::default(),
        PodTarget::Found(_) => Judgement::refusing(faults(request, case.policies, binding)),
        PodTarget::Missing(finding) | PodTarget::Unread(finding) => Judgement::refusing([finding]),
    }
}

/// Whether a binding is a scheduler's and carries nothing but topology: then it passes for every pod.
pub(super) fn binds_as_schedulers_do(request: &Request<'_>, policies: &PolicySet) -> bool {
    request.object.is_some_and(|binding| faults(request, policies, binding).is_empty())
}

fn faults(request: &Request<'_>, policies: &PolicySet, binding: &Json<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !policies.installation.schedulers.contains(request.user.name) {
        findings.push(BINDING.finds_user(request, "leave it to the cluster's scheduler"));
    }
    let keys = |part: &str| binding.at(&["metadata", part]).map_or(&[][..], |map| map.entries());
    for (key, value) in keys("labels").iter().filter(|(key, _)| !labels::TOPOLOGY.contains(&key.as_ref())) {
        let path = FieldPath::of(&["metadata", "labels", key]);
        findings.push(BINDING.finds(path, Some(value), "leave the label out; it would overwrite the pod's"));
    }
    for (key, value) in keys("annotations") {
        let path = FieldPath::of(&["metadata", "annotations", key]);
        findings.push(BINDING.finds(path, Some(value), "leave the annotation out; it would be copied to the pod"));
    }
    findings
}

/// Whether a profile guards the pod, or would with the labels that the binding brings.
fn becomes_guarded(pod: &Json<'_>, binding: &Json<'_>, policies: &PolicySet) -> bool {
    let own = |key: &str| pod.text_at(&["metadata", "labels", key]);
    let brought = |key: &str| binding.text_at(&["metadata", "labels", key]).or(own(key));
    policies.profiles().into_iter().any(|profile| {
        profile.selects(own(labels::COMPONENT), own(labels::APP))
            || profile.selects(brought(labels::COMPONENT), brought(labels::APP))
    })
}
