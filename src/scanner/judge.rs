//! What a report leads to under the limits in force.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::errand::Evidence;
use crate::model::{Digest, PolicyHash, PolicyVerdict, ScanOutcome, Verdict};
use crate::policy::{PolicySet, Profile};
use crate::scan::{Subject, assess};

/// The profiles whose limits count, each limits once: those in force and those that are accepted too.
pub(super) fn profiles(policies: &PolicySet) -> BTreeMap<PolicyHash, &Profile> {
    let also = policies.also.iter().flat_map(|also| also.profiles());
    also.chain(policies.profiles()).map(|profile| (profile.scan_hash(), profile)).collect()
}

/// The answer under each limits that count, by what a worker has brought for a digest.
pub(super) fn verdicts(
    evidence: &Evidence,
    digest: Digest,
    platform: Option<&str>,
    policies: &PolicySet,
    now: Timestamp,
) -> Vec<PolicyVerdict> {
    let subject = Subject { digest: digest.to_string(), platform: platform.map(str::to_owned) };
    by_profile(policies, |profile| assess(&evidence.report, Some(&evidence.census), Some(&subject), &profile.scan, now))
}

/// The same answer under all limits: there is nothing to hold against them.
pub(super) fn no_report(problem: &str, policies: &PolicySet) -> Vec<PolicyVerdict> {
    by_profile(policies, |_| Verdict::new(ScanOutcome::ScanError, vec![problem.to_owned()], None))
}

fn by_profile(policies: &PolicySet, verdict: impl Fn(&Profile) -> Verdict) -> Vec<PolicyVerdict> {
    let of = |(policy, profile): (PolicyHash, &Profile)| PolicyVerdict {
        policy,
        profile: profile.name.clone(),
        verdict: verdict(profile),
    };
    profiles(policies).into_iter().map(of).collect()
}
