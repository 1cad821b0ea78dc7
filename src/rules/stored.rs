//! What a stored pod has against it, for those who look at it again: the guard at its gate, the auditor in a cluster.

use jiff::Timestamp;

use super::ScanKnowledge;
use super::judgement::{Enforced, Judgement, Scales};
use super::pod::{Stage, pod_findings};
use crate::model::labels::APP;
use crate::model::{Finding, PodView};
use crate::policy::{PolicySet, Profile};

/// What refuses a stored pod by the modes and exceptions of a profile of the policies in force: nothing where the
/// policies that are accepted too have nothing against it, as at admission. `profile` chooses the profile; by a set
/// without one nothing is found. What may be reached is not judged here.
pub fn stored_pod_refusals(
    pod: &PodView<'_>,
    policies: &PolicySet,
    profile: impl Fn(&PolicySet) -> Option<&Profile>,
    scans: ScanKnowledge<'_>,
    now: Timestamp,
) -> Vec<Finding> {
    let also = policies.also.as_ref().and_then(|also| profile(also));
    let refusals = |profile: &Profile| stored_pod_judgement(pod, profile, scans, now).refusals;
    match profile(policies).map(refusals) {
        Some(found) if !found.is_empty() && also.is_some_and(|also| refusals(also).is_empty()) => Vec::new(),
        found => found.unwrap_or_default(),
    }
}

/// All that a profile has to say of a stored pod.
pub fn stored_pod_judgement(
    pod: &PodView<'_>,
    profile: &Profile,
    scans: ScanKnowledge<'_>,
    now: Timestamp,
) -> Judgement {
    let mut judgement = Judgement::default();
    let scales = Scales { profile, app: pod.label(APP).unwrap_or_default(), now };
    judgement.weigh_all(pod_findings(pod, profile, Stage::Stored, scans, now), &scales, Enforced::Refused);
    judgement
}
