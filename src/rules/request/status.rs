//! `pods/status`: which part of a guarded pod's status may be written by whom.

use std::collections::BTreeSet;

use super::change::judge_finalizer;
use crate::model::{FieldPath, Finding, Hold, Json, PodView, Request, Severity};
use crate::policy::PolicySet;
use crate::rules::caller::{NODE_CONTROLLER, POD_COLLECTOR, is_controller, is_kubelet_of};
use crate::rules::case::Case;
use crate::rules::judgement::Judgement;
use crate::rules::rule::RequestRule;
use crate::rules::unfit::unfit;

pub(super) const STATUS: RequestRule = RequestRule {
    id: "pod-status",
    title: "each part of a guarded pod's status is written by those whose task it is",
    why: "a forged address redirects traffic and policies, a forged label is another identity",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::Always,
};

pub(super) const FINAL_PHASE: RequestRule = RequestRule {
    id: "final-phase",
    title: "that a guarded pod has ended is said by its kubelet, the pod garbage collector or the node controller",
    why: "a pod that counts as ended loses its object and then its policy, while its container may run on",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::Always,
};

/// Judges a write to a pod's status.
pub(in crate::rules) fn judge_status(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let (Some(old), Some(new)) = (request.old, request.object) else { return unfit(request) };
    let policies = case.policies;
    let guarded = [old, new].iter().any(|pod| policies.profile_of(&PodView::new(pod, FieldPath::default())).is_some());
    if !guarded {
        return Judgement::default();
    }
    let mut findings = metadata_changes(request, policies, old, new);
    let writer = Writer::of(request, policies, old.text_at(&["spec", "nodeName"]).unwrap_or_default());
    if writer != Writer::Kubelet {
        findings.extend(field_changes(&writer, old, new));
        findings.extend(final_phase(&writer, old, new));
    }
    let mut judgement = Judgement::refusing(findings);
    judge_finalizer(&mut judgement, request, policies, old, new);
    judgement
}

/// Who writes, as far as the fields of a status ask.
#[derive(Debug, PartialEq, Eq)]
enum Writer {
    Kubelet,
    Scheduler,
    /// May end pods whose node is gone.
    Ender,
    /// Announces disruptions.
    Disrupter,
    Claims,
    Guard,
    Other,
}

impl Writer {
    fn of(request: &Request<'_>, policies: &PolicySet, node: &str) -> Writer {
        let user = &request.user;
        let installation = &policies.installation;
        match () {
            () if is_kubelet_of(user, node) => Writer::Kubelet,
            () if is_controller(user, &[POD_COLLECTOR, NODE_CONTROLLER]) => Writer::Ender,
            () if is_controller(user, &["disruption-controller", "device-taint-eviction-controller"]) => {
                Writer::Disrupter
            }
            () if is_controller(user, &["resource-claim-controller"]) => Writer::Claims,
            () if installation.schedulers.contains(user.name) => Writer::Scheduler,
            () if installation.controller == user.name => Writer::Guard,
            () => Writer::Other,
        }
    }

    /// Whether this writer, which is no kubelet, may change a field. What is not listed is the kubelet's alone.
    fn may_write(&self, field: &str) -> bool {
        use Writer::{Claims, Disrupter, Ender, Guard, Scheduler};
        match field {
            "conditions" => matches!(self, Scheduler | Ender | Disrupter | Guard),
            "phase" | "reason" | "message" => matches!(self, Scheduler | Ender | Disrupter),
            "observedGeneration" => matches!(self, Scheduler | Ender | Disrupter | Guard),
            "nominatedNodeName" | "extendedResourceClaimStatus" => *self == Scheduler,
            "resourceClaimStatuses" => *self == Claims,
            _ => false,
        }
    }
}

/// Metadata is nobody's to change by this way, except the listed annotations of a network's agent. Finalizers may go.
fn metadata_changes<'p>(
    request: &Request<'_>,
    policies: &PolicySet,
    old: &'p Json<'p>,
    new: &'p Json<'p>,
) -> Vec<Finding> {
    let annotated = policies.installation.status_annotators.get(request.user.name);
    let mut findings = Vec::new();
    for part in ["labels", "annotations"] {
        for key in changed_keys(old.at(&["metadata", part]), new.at(&["metadata", part])) {
            if part == "annotations" && annotated.is_some_and(|keys| keys.contains(key)) {
                continue;
            }
            let message = format!("{part} are not changed by way of the status");
            let value = new.at(&["metadata", part, key]);
            findings.push(STATUS.finds(FieldPath::of(&["metadata", part, key]), value, message));
        }
    }
    let items = |pod: &'p Json<'p>, part: &str| pod.at(&["metadata", part]).map_or(&[][..], Json::items);
    let known = items(old, "finalizers");
    let added = items(new, "finalizers").iter().enumerate().filter(|(_, finalizer)| !known.contains(finalizer));
    findings.extend(added.map(|(index, finalizer)| {
        let path = FieldPath::of(&["metadata", "finalizers"]).index(index);
        STATUS.finds(path, Some(finalizer), "finalizers are not added by way of the status")
    }));
    if items(old, "ownerReferences") != items(new, "ownerReferences") {
        let path = FieldPath::of(&["metadata", "ownerReferences"]);
        findings.push(STATUS.finds(path, new.at(&["metadata", "ownerReferences"]), "owners stay as they are"));
    }
    findings
}

fn field_changes(writer: &Writer, old: &Json<'_>, new: &Json<'_>) -> Vec<Finding> {
    changed_keys(old.get("status"), new.get("status"))
        .into_iter()
        .filter(|field| !writer.may_write(field))
        .map(|field| {
            let message = "this field is written by the kubelet of the pod's node, and some by Kubernetes' controllers";
            STATUS.finds(FieldPath::of(&["status", field]), new.at(&["status", field]), message)
        })
        .collect()
}

fn final_phase(writer: &Writer, old: &Json<'_>, new: &Json<'_>) -> Option<Finding> {
    let phase = new.at(&["status", "phase"]);
    let ends = matches!(phase.and_then(Json::text), Some("Succeeded" | "Failed"));
    (ends && phase != old.at(&["status", "phase"]) && *writer != Writer::Ender).then(|| {
        let message = "only the pod's kubelet, the pod garbage collector and the node controller end a pod";
        FINAL_PHASE.finds(FieldPath::of(&["status", "phase"]), phase, message)
    })
}

/// The keys whose values differ, in either object.
pub(super) fn changed_keys<'j>(old: Option<&'j Json<'_>>, new: Option<&'j Json<'_>>) -> BTreeSet<&'j str> {
    let keys = [old, new].into_iter().flatten().flat_map(|object| object.entries()).map(|(key, _)| key.as_ref());
    keys.filter(|key| old.and_then(|old| old.get(key)) != new.and_then(|new| new.get(key))).collect()
}
