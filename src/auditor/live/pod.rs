//! How a stored pod stands: by its profile, by what it may reach, and by where it is. Pure.

use jiff::Timestamp;

use super::reach::Reaches;
use crate::auditor::rules::OUTSIDE;
use crate::model::{FieldPath, Finding, Json, PodView, labels};
use crate::policy::{PolicySet, Role};
use crate::report::{Object, Outcome};
use crate::rules::{ScanKnowledge, stored_pod_judgement, stored_pod_refusals};

/// By what pods are judged.
#[derive(Clone, Copy)]
pub(crate) struct Measure<'a> {
    pub(crate) policies: &'a PolicySet,
    pub(crate) scans: ScanKnowledge<'a>,
    pub(crate) now: Timestamp,
}

/// What is found on a guarded pod of a guarded namespace; none for a pod that no profile guards.
pub(crate) fn guarded(pod: &Json<'_>, reaches: &Reaches<'_>, measure: Measure<'_>) -> Option<Vec<(Outcome, Finding)>> {
    let view = PodView::new(pod, FieldPath::default());
    let profile = measure.policies.profile_of(&view)?;
    if is_over(pod) {
        return Some(Vec::new());
    }
    let judgement = stored_pod_judgement(&view, profile, measure.scans, measure.now);
    // Only where something refuses, the policies that are accepted too are asked.
    let refusals = match judgement.refusals.is_empty() {
        true => Vec::new(),
        false => stored_pod_refusals(
            &view,
            measure.policies,
            |policies| policies.profile_of(&view),
            measure.scans,
            measure.now,
        ),
    };
    let mut findings: Vec<(Outcome, Finding)> = refusals.into_iter().map(|found| (Outcome::Violated, found)).collect();
    // A pod that waits behind the guard's gate has no policy of its own yet, and sends nothing.
    if profile.role == Role::Analysis && !waits(pod) {
        findings.extend(reaches.judge(&view).into_iter().map(|found| (Outcome::Violated, found)));
    }
    findings.extend(judgement.warnings.into_iter().map(|found| (Outcome::Warning, found)));
    findings.extend(judgement.reported.into_iter().map(|found| (Outcome::Reported, found)));
    Some(findings)
}

/// What is found on a pod of a namespace that is not guarded; none for a pod that no profile guards.
pub(crate) fn outside(pod: &Json<'_>, policies: &PolicySet) -> Option<Vec<(Outcome, Finding)>> {
    let view = PodView::new(pod, FieldPath::default());
    policies.profile_of(&view)?;
    if is_over(pod) {
        return Some(Vec::new());
    }
    let namespace = pod.at(&["metadata", "namespace"]);
    let why =
        "it bears a guarded label in a namespace that is not guarded; take the label away, or guard the namespace";
    Some(vec![(Outcome::Violated, OUTSIDE.finds(FieldPath::of(&["metadata", "namespace"]), namespace, why))])
}

/// What is found on a namespace with more such pods than are told; the same however many there are.
pub(crate) fn more_outside(namespace: String, told: usize) -> (Object, Vec<(Outcome, Finding)>) {
    let object =
        Object { api_version: "v1".to_owned(), kind: "Namespace".to_owned(), name: namespace, ..Object::default() };
    let why = "more of its pods bear a guarded label than are told each; it is not guarded, so take the labels away, or guard it";
    let finding = OUTSIDE.finds(FieldPath::default(), None, why);
    (object, vec![(Outcome::Violated, Finding { value: format!("more than {told}"), ..finding })])
}

/// Whether its containers have ended for good.
fn is_over(pod: &Json<'_>) -> bool {
    matches!(pod.text_at(&["status", "phase"]), Some("Succeeded" | "Failed"))
}

/// Whether the guard's gate keeps it from being scheduled.
fn waits(pod: &Json<'_>) -> bool {
    let gates = pod.at(&["spec", "schedulingGates"]).map(Json::items).unwrap_or_default();
    gates.iter().any(|gate| gate.text_at(&["name"]) == Some(labels::NETWORK_GATE))
}
