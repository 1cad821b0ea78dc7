//! Which of the stored scans nobody uses any more, since when, and when they go.
//!
//! Only what the controller has made itself goes, which its label says: whoever made another has his reasons. What a name
//! has led to within the last hour is used, so that a registry that is down for a moment changes nothing.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::judge::profiles;
use super::known::Known;
use super::plan::{Step, digest_of};
use crate::isolation::MANAGED_BY;
use crate::model::{Digest, ImageScanObject};
use crate::policy::{PolicySet, Scanner};

/// The images that these names stand for, with the manifests of indexes; and those of indexes that others have asked for.
pub(super) fn used(known: &Known, names: &BTreeSet<String>, now: Timestamp) -> BTreeSet<Digest> {
    let by_digest: BTreeSet<Digest> = names.iter().filter_map(|name| digest_of(name)).collect();
    let mut used = BTreeSet::new();
    for (digest, scan) in known.scans() {
        let is_fresh = |until: Timestamp| now < until.saturating_add(FRESH).unwrap_or(until);
        let mut tags = scan.status.tags.iter();
        let is_used = by_digest.contains(digest) || tags.any(|tag| names.contains(&tag.name) && is_fresh(tag.until));
        if is_used {
            used.insert(*digest);
        }
        if is_used || !is_own(scan) {
            used.extend(scan.status.manifests.iter().map(|one| one.digest));
        }
    }
    used
}

/// What is to be written down of a scan's use, or that it goes: after so many days without any, and when no grace is left
/// that it is the memory of.
pub(super) fn unused(
    scan: &ImageScanObject,
    used: &BTreeSet<Digest>,
    settings: &Scanner,
    policies: &PolicySet,
    now: Timestamp,
) -> Option<Step> {
    if !is_own(scan) {
        return None;
    }
    let note = |since| Some(Step::Note(Box::new(scan.clone()), since));
    match (scan.status.unused_since, used.contains(&scan.digest)) {
        (None, false) => note(Some(now)),
        (Some(_), true) => note(None),
        (Some(since), false) => {
            let days = SignedDuration::from_hours(i64::from(settings.keep_days) * 24);
            let grace = profiles(policies).into_values().map(|profile| profile.scan.grace()).max().unwrap_or_default();
            let is_graceful = scan.status.failed_since.is_some_and(|failed| now.duration_since(failed) < grace);
            let goes = now.duration_since(since) >= days && !is_graceful;
            goes.then(|| Step::Discard(Box::new(scan.clone())))
        }
        (None, true) => None,
    }
}

/// Whether the controller has made it itself, for no other reason than that an object asked for it.
pub(super) fn is_own(scan: &ImageScanObject) -> bool {
    scan.managed_by.as_deref() == Some(MANAGED_BY)
}

const FRESH: SignedDuration = SignedDuration::from_hours(1);
