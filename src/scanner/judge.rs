//! What a report, and what others have signed, lead to under the limits in force.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::errand::Evidence;
use crate::model::{ImageRef, PolicyHash, PolicyVerdict, ScanOutcome, Verdict};
use crate::policy::{PolicySet, Profile};
use crate::registry::Attached;
use crate::scan::{Attachment, Subject, Trust, assess, trust};

/// What is known of one image.
pub(super) struct Found<'a> {
    /// What its report must be of.
    pub(super) subject: &'a Subject,
    /// Where it was had from.
    pub(super) image: &'a ImageRef<'a>,
    /// What a worker has brought.
    pub(super) evidence: Option<&'a Evidence>,
    /// What is attached to it in its registry.
    pub(super) attached: &'a [Attached],
}

/// The profiles whose limits count, each limits once: those in force and those that are accepted too.
pub(super) fn profiles(policies: &PolicySet) -> BTreeMap<PolicyHash, &Profile> {
    let also = policies.also.iter().flat_map(|also| also.profiles());
    also.chain(policies.profiles()).map(|profile| (profile.scan_hash(), profile)).collect()
}

/// Whether any of them asks what others have signed.
pub(super) fn asks_for_trust(policies: &PolicySet) -> bool {
    profiles(policies).into_values().any(asks)
}

fn asks(profile: &Profile) -> bool {
    profile.scan.attestations.is_some() || profile.scan.image_signature.is_some()
}

/// Whether what others have signed makes a scan of one's own unnecessary, under every limits.
pub(super) fn is_spared(found: &Found<'_>, policies: &PolicySet, now: Timestamp) -> bool {
    profiles(policies).into_values().all(|profile| trusted(found, profile, now).spares_a_scan())
}

/// The answer under each limits that count.
pub(super) fn verdicts(found: &Found<'_>, policies: &PolicySet, now: Timestamp) -> Vec<PolicyVerdict> {
    by_profile(policies, |profile| {
        let own = found
            .evidence
            .map(|Evidence { report, census }| assess(report, Some(census), Some(found.subject), &profile.scan, now));
        let verdict = if asks(profile) { trusted(found, profile, now).verdict(own) } else { own };
        verdict.unwrap_or_else(|| Verdict::new(ScanOutcome::NoResult, Vec::new(), None))
    })
}

/// The same answer under all limits: there is nothing to hold against them.
pub(super) fn no_report(problem: &str, policies: &PolicySet) -> Vec<PolicyVerdict> {
    by_profile(policies, |_| Verdict::new(ScanOutcome::ScanError, vec![problem.to_owned()], None))
}

fn trusted(found: &Found<'_>, profile: &Profile, now: Timestamp) -> Trust {
    let attached: Vec<Attachment<'_>> = found.attached.iter().map(attachment).collect();
    trust(&attached, found.subject, found.image, &profile.scan, now)
}

fn attachment(one: &Attached) -> Attachment<'_> {
    Attachment { media_type: &one.media_type, annotations: &one.annotations, content: &one.content }
}

fn by_profile(policies: &PolicySet, verdict: impl Fn(&Profile) -> Verdict) -> Vec<PolicyVerdict> {
    let of = |(policy, profile): (PolicyHash, &Profile)| PolicyVerdict {
        policy,
        profile: profile.name.clone(),
        verdict: verdict(profile),
    };
    profiles(policies).into_iter().map(of).collect()
}
