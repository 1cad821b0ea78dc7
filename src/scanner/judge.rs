//! What a report, and what others have signed, lead to under the limits in force.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::errand::Evidence;
use super::others::{Believed, Others};
use crate::model::{ImageRef, ImageScanObject, PolicyHash, PolicyVerdict, ScanOutcome, Verdict, one_line};
use crate::policy::{ContentHash, Installation, PolicySet, Profile, ScanPolicy};
use crate::registry::{Attached, Attachments, InIndex};
use crate::scan::{Attachment, Beside, Signature, Subject, Trust, assess, trust};
use crate::telemetry::whole;

/// What is known of one image.
pub(super) struct Found<'a> {
    /// What its report must be of.
    pub(super) subject: &'a Subject,
    /// Where it was had from.
    pub(super) image: &'a ImageRef<'a>,
    /// What a worker has brought.
    pub(super) evidence: Option<&'a Evidence>,
    /// What is believed of what others have said.
    pub(super) believed: &'a Believed,
}

/// What follows from that.
pub(super) struct Judged {
    /// The answer under each limits that count.
    pub(super) verdicts: Vec<PolicyVerdict>,
    /// Whether something that others may say yet could let it run. Where one's own scan fails nothing could.
    pub(super) awaits: bool,
    /// What scans say of it, the gravest under any limits.
    pub(super) standing: Standing,
}

/// What scans say of an image, for the time of grace. That it is not signed or approved is nothing that they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Nothing in it fails.
    Passes,
    /// It cannot be told now, whatever was before.
    Unclear,
    /// Something in it fails, excepted or not: who has an exception knows when that ends, and gets no grace on top.
    Fails,
}

/// The profiles whose limits count, each limits once.
pub(super) fn profiles(policies: &PolicySet) -> BTreeMap<PolicyHash, &Profile> {
    counting(policies).map(|profile| (profile.scan_hash(), profile)).collect()
}

/// The profiles in force, and then those that are accepted too.
fn counting(policies: &PolicySet) -> impl Iterator<Item = &Profile> {
    policies.profiles().into_iter().chain(policies.also.iter().flat_map(|also| also.profiles()))
}

/// Whether any of them asks what is attached to images.
pub(super) fn asks_for_attached(policies: &PolicySet) -> bool {
    profiles(policies).into_values().any(|profile| {
        let ScanPolicy { attestations, image_signature, .. } = &profile.scan;
        attestations.is_some() || image_signature.is_some()
    })
}

/// Whether any of them asks what the Hub approved.
pub(super) fn asks_for_approval(policies: &PolicySet) -> bool {
    profiles(policies).into_values().any(|profile| profile.scan.content_hash.is_some())
}

/// Whether an image may be a sidecar's and no analysis's: the Hub has not built it, and the Installation names it.
pub(super) fn is_sidecar_alone(image: &ImageRef<'_>, policies: &PolicySet) -> bool {
    let Installation { sidecar_images, analysis_registries, .. } = &policies.installation;
    let may_be_analysis = analysis_registries.iter().any(|registry| image.is_below(registry));
    !may_be_analysis && sidecar_images.iter().any(|entry| image.is_of(entry))
}

/// Whether an image runs at `now` since the Hub approved it.
pub(super) fn is_approved(scan: &ImageScanObject, policies: &PolicySet, now: Timestamp) -> bool {
    let asking: BTreeMap<_, _> =
        profiles(policies).into_iter().filter(|(_, profile)| profile.scan.content_hash.is_some()).collect();
    scan.status.verdicts.iter().any(|one| asking.contains_key(&one.policy) && one.verdict.admits(now))
}

/// Whether any of them asks for a signature.
pub(super) fn asks_for_signatures(policies: &PolicySet) -> bool {
    profiles(policies).into_values().any(|profile| profile.scan.image_signature.is_some())
}

/// Whether a profile asks what others say.
pub(super) fn asks(profile: &Profile) -> bool {
    let ScanPolicy { attestations, image_signature, content_hash, .. } = &profile.scan;
    attestations.is_some() || image_signature.is_some() || content_hash.is_some()
}

/// What is believed of what others have said of an image, which is had from `image`, under all limits that count. A
/// verdict among that says itself until when it holds.
pub(super) fn believed(
    others: &Others,
    subject: &Subject,
    image: &ImageRef<'_>,
    policies: &PolicySet,
    now: Timestamp,
) -> Believed {
    let of = |(policy, profile): (PolicyHash, &Profile)| {
        (policy, trusted(&others.attached, subject, image, &profile.scan, now))
    };
    let trust = profiles(policies).into_iter().map(of).collect();
    Believed { trust, approval: others.approval(), said: others.digest() }
}

/// Whether what others have signed makes a scan of one's own unnecessary, under every limits.
pub(super) fn is_spared(believed: &Believed) -> bool {
    !believed.trust.is_empty() && believed.trust.values().all(Trust::spares_a_scan)
}

/// The answers under all limits that count.
pub(super) fn judged(found: &Found<'_>, policies: &PolicySet, now: Timestamp) -> Judged {
    let (mut awaits, mut standing) = (false, Standing::Passes);
    let verdicts = by_profile(policies, |profile| {
        let own = found
            .evidence
            .map(|Evidence { report, census }| assess(report, Some(census), Some(found.subject), &profile.scan, now));
        let own_fails = own.as_ref().is_some_and(|own| own.outcome == ScanOutcome::Fail);
        // What is not known of these limits counts as nothing attached.
        let nothing = || trust(&[], found.subject, found.image, &profile.scan, now);
        let verdict = if asks(profile) {
            let trusted = found.believed.trust.get(&profile.scan_hash()).cloned().unwrap_or_else(nothing);
            standing = standing.max(Standing::of(trusted.by_scans(own.clone()).as_ref()));
            trusted.verdict(own)
        } else {
            standing = standing.max(Standing::of(own.as_ref()));
            own
        };
        let verdict = verdict.unwrap_or_else(|| Verdict::new(ScanOutcome::NoResult, Vec::new(), None));
        let verdict = match profile.scan.content_hash {
            Some(ContentHash::Hub) => found.believed.approval.clone().verdict(verdict),
            None => verdict,
        };
        awaits |= asks(profile) && !own_fails && !verdict.admits(now);
        verdict
    });
    Judged { verdicts, awaits, standing }
}

impl Standing {
    fn of(scans: Option<&Verdict>) -> Self {
        match scans.map(|verdict| verdict.outcome) {
            Some(ScanOutcome::Fail | ScanOutcome::Excepted) => Standing::Fails,
            Some(ScanOutcome::Pass) => Standing::Passes,
            _ => Standing::Unclear,
        }
    }
}

/// The same answer under all limits: there is nothing to hold against them.
pub(super) fn no_report(problem: &str, policies: &PolicySet) -> Vec<PolicyVerdict> {
    by_profile(policies, |_| Verdict::new(ScanOutcome::ScanError, vec![problem.to_owned()], None))
}

fn trusted(found: &Attachments, subject: &Subject, image: &ImageRef<'_>, policy: &ScanPolicy, now: Timestamp) -> Trust {
    let mut all = vec![(subject.digest.clone(), attachments(&found.image))];
    let mut unread = Vec::new();
    for InIndex { digest, attached } in &found.indexes {
        match attached {
            Ok(attached) => all.push((digest.to_string(), attachments(attached))),
            Err(problem) => {
                unread.push(format!("what is attached to the index {digest} is not known: {}", whole(problem)))
            }
        }
    }
    let places: Vec<Beside<'_>> = all.iter().map(|(digest, attached)| Beside { digest, attached }).collect();
    let mut trust = trust(&places, subject, image, policy, now);
    if let Signature::Missing(reasons) = &mut trust.signature {
        reasons.extend(unread);
    }
    trust
}

fn attachments(all: &[Attached]) -> Vec<Attachment<'_>> {
    all.iter().map(attachment).collect()
}

fn attachment(one: &Attached) -> Attachment<'_> {
    Attachment { media_type: &one.media_type, annotations: &one.annotations, content: &one.content }
}

fn by_profile(policies: &PolicySet, mut verdict: impl FnMut(&Profile) -> Verdict) -> Vec<PolicyVerdict> {
    let of = |(policy, profile): (PolicyHash, &Profile)| PolicyVerdict {
        policy,
        profile: names(policies, policy),
        verdict: verdict(profile),
    };
    profiles(policies).into_iter().map(of).collect()
}

/// The profiles that have these limits, each once.
fn names(policies: &PolicySet, policy: PolicyHash) -> String {
    let mut names: Vec<&str> = Vec::new();
    for profile in counting(policies).filter(|profile| profile.scan_hash() == policy) {
        if !names.contains(&profile.name.as_str()) {
            names.push(&profile.name);
        }
    }
    one_line(&names.join(", "), NAMES)
}

/// As the schema has it.
const NAMES: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{ImageSignature, SignedFor};

    fn policies() -> PolicySet {
        PolicySet::parse([
            ("a", include_str!("../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../tests/fixtures/installation.yaml")),
            ("s", "apiVersion: flamewarden.dev/v1alpha1\nkind: Scanner\nspec: {}\n"),
        ])
        .unwrap()
    }

    #[test]
    fn an_image_that_is_not_signed_does_not_run_and_nothing_in_it_fails() {
        let mut policies = policies();
        let signature = ImageSignature { keys: Vec::new(), repositories: SignedFor::default() };
        policies.gateway.scan.image_signature = Some(signature);
        let subject = Subject { digest: format!("sha256:{}", "0".repeat(64)), platform: None };
        let image = ImageRef::parse("harbor.example/node/a").unwrap();
        let believed = believed(&Others::default(), &subject, &image, &policies, Timestamp::UNIX_EPOCH);
        let found = Found { subject: &subject, image: &image, evidence: None, believed: &believed };
        let Judged { verdicts, awaits, standing } = judged(&found, &policies, Timestamp::UNIX_EPOCH);
        let outcomes: Vec<ScanOutcome> = verdicts.iter().map(|one| one.verdict.outcome).collect();
        assert_eq!((outcomes, awaits, standing), (vec![ScanOutcome::Fail], true, Standing::Unclear));
    }

    #[test]
    fn a_sidecar_s_image_that_could_be_an_analysis_s_has_to_be_approved() {
        let mut policies = policies();
        let listed = ["busybox:1.37", "harbor.example/node/stats:1", "tools.example/node/"];
        policies.installation.sidecar_images = listed.map(str::to_owned).to_vec();
        for (image, want) in [
            ("docker.io/library/busybox:1", true),
            ("tools.example/node/stats:1", true),
            ("harbor.example/node/stats:1", false),
            ("harbor.example/node/55555555-0000-4000-8000-000000000001:1", false),
            ("docker.io/library/alpine:1", false),
        ] {
            assert_eq!(is_sidecar_alone(&ImageRef::parse(image).unwrap(), &policies), want, "{image}");
        }
    }
}
