//! The judge: a case and a request in, findings and remedies out.

use jiff::Timestamp;

use super::pod::{Stage, pod_findings};
use crate::model::{Edit, FieldPath, Finding, Json, Operation, PodView, Request};
use crate::policy::{Mode, PolicySet, Profile};

/// Everything besides the request that a judgement may depend on.
pub struct Case<'a> {
    /// The policies in force.
    pub policies: &'a PolicySet,
    /// The object that a request names without bringing it along.
    pub target: Target<'a>,
    /// The moment of the judgement.
    pub now: Timestamp,
}

/// The stored object that a CONNECT, an eviction or a binding names.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// The request brings all that is judged.
    Unneeded,
    /// Read from the API server for this request.
    Found(&'a Json<'a>),
    /// The API server knows no such object.
    Missing,
    /// It could not be read; nobody knows.
    Unread,
}

/// What the judge says of one request.
#[derive(Debug, Default, PartialEq)]
pub struct Judgement {
    /// Any of these refuses.
    pub refusals: Vec<Finding>,
    /// Admitted; the caller is told.
    pub warnings: Vec<Finding>,
    /// Admitted; reported only: rules in audit mode, exceptions, what the stored object already had.
    pub reported: Vec<Finding>,
    /// What the mutating side does about the rest.
    pub remedies: Vec<Edit>,
}

/// Judges one admission request against the policies.
pub fn judge(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    if case.policies.tenancy(request.namespace).is_none() {
        return Judgement::default();
    }
    match (request.resource.group, request.resource.name, request.resource.sub) {
        ("", "pods", "") => judge_pod(request, case),
        _ => Judgement::default(),
    }
}

fn judge_pod(request: &Request<'_>, case: &Case<'_>) -> Judgement {
    let Some(object) = request.object else { return Judgement::default() };
    let pod = PodView::new(object, FieldPath::default());
    let Some(profile) = case.policies.profile_of(&pod) else { return Judgement::default() };
    let stage = if request.operation == Operation::Create { Stage::Create } else { Stage::Stored };
    let mut judgement = Judgement::default();
    for finding in pod_findings(&pod, profile, stage) {
        judgement.sort_in(finding, profile, pod.label("app").unwrap_or_default(), case.now);
    }
    judgement
}

impl Judgement {
    /// Puts a finding where the rule's mode and the exceptions want it.
    fn sort_in(&mut self, finding: Finding, profile: &Profile, app: &str, now: Timestamp) {
        if profile.exception(&finding.rule, app, now).is_some() {
            self.reported.push(finding);
            return;
        }
        match profile.mode(&finding.rule) {
            Mode::Audit => self.reported.push(finding),
            Mode::Warn => self.warnings.push(finding),
            Mode::Enforce => {
                self.remedies.extend(finding.remedy.iter().cloned());
                self.refusals.push(finding);
            }
        }
    }
}
