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

/// Who uses what is stored.
pub(super) struct Usage {
    used: BTreeSet<Digest>,
    /// What is unused and may go before its time.
    surplus: BTreeSet<Digest>,
    /// The longest time for which something that fails may go on being started.
    grace: SignedDuration,
}

impl Usage {
    /// What these names lead to is used. Of the rest some are kept, and of more those go that were unused longest.
    pub(super) fn of(known: &Known, names: &BTreeSet<String>, policies: &PolicySet, now: Timestamp) -> Self {
        let grace = profiles(policies).into_values().map(|profile| profile.scan.grace()).max().unwrap_or_default();
        let mut usage = Usage { used: used(known, names, now), surplus: BTreeSet::new(), grace };
        let mut idle: Vec<&ImageScanObject> = known.scans().values().filter(|scan| usage.is_idle(scan)).collect();
        let over = idle.len().saturating_sub(IDLE);
        idle.retain(|scan| !usage.is_graceful(scan, now));
        idle.sort_by_key(|scan| scan.status.unused_since);
        usage.surplus = idle.into_iter().take(over).map(|scan| scan.digest).collect();
        usage
    }

    /// Whether it is not there for nothing.
    pub(super) fn is_used(&self, digest: Digest) -> bool {
        self.used.contains(&digest)
    }

    fn is_idle(&self, scan: &ImageScanObject) -> bool {
        is_own(scan) && scan.status.unused_since.is_some() && !self.is_used(scan.digest)
    }

    /// Whether it is the memory of a grace that counts still.
    fn is_graceful(&self, scan: &ImageScanObject, now: Timestamp) -> bool {
        scan.status.failed_since.is_some_and(|failed| now.duration_since(failed) < self.grace)
    }
}

/// What is to be written down of a scan's use, or that it goes: after so many days without any, and when no grace is left
/// that it is the memory of. What nobody has scanned goes after one.
pub(super) fn unused(scan: &ImageScanObject, usage: &Usage, settings: &Scanner, now: Timestamp) -> Option<Step> {
    if !is_own(scan) {
        return None;
    }
    let note = |since| Some(Step::Note(Box::new(scan.clone()), since));
    match (scan.status.unused_since, usage.is_used(scan.digest)) {
        (None, false) => note(Some(now)),
        (Some(_), true) => note(None),
        (Some(since), false) => {
            // Of an index its images are scanned, and whose pods run it is remembered by it.
            let is_blank = scan.status.scanned_at.is_none() && scan.status.manifests.is_empty();
            let days = if is_blank { 1 } else { i64::from(settings.keep_days) };
            let is_over = now.duration_since(since) >= SignedDuration::from_hours(days * 24);
            let goes = usage.surplus.contains(&scan.digest) || is_over && !usage.is_graceful(scan, now);
            goes.then(|| Step::Discard(Box::new(scan.clone())))
        }
        (None, true) => None,
    }
}

/// The images that these names stand for, with the manifests of indexes; and those of indexes that others have asked for.
fn used(known: &Known, names: &BTreeSet<String>, now: Timestamp) -> BTreeSet<Digest> {
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

/// Whether the controller has made it itself, for no other reason than that an object asked for it.
pub(super) fn is_own(scan: &ImageScanObject) -> bool {
    scan.managed_by.as_deref() == Some(MANAGED_BY)
}

/// So many that nobody uses are kept: each may hold 256 KiB in the cluster's store, and whoever deploys makes more of them
/// by moving a tag.
const IDLE: usize = 500;
const FRESH: SignedDuration = SignedDuration::from_hours(1);
