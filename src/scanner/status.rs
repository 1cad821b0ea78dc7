//! The status of an `ImageScan` as it is written: what of it is known now, and what is no longer.

use jiff::Timestamp;
use serde_json::Value;

use super::errand::Evidence;
use super::judge::Judged;
use super::kept::Kept;
use crate::model::{Condition, ImageScanStatus, PolicyVerdict, Tag};

/// The condition that says whether there is a report.
const SCANNED: &str = "Scanned";

/// The status after a scan.
pub(super) fn scanned(
    mut status: ImageScanStatus,
    evidence: Option<&Evidence>,
    judged: &Judged,
    now: Timestamp,
) -> ImageScanStatus {
    status.scanned_at = evidence.and_then(|evidence| evidence.report.taken).or(Some(now));
    let database = evidence.and_then(|evidence| evidence.report.database.as_ref());
    status.database_built = database.and_then(|database| database.built);
    status.failures = 0;
    let message =
        if evidence.is_some() { "There is a report of it" } else { "Its scan is attested by a key of the profile" };
    let said = Said { status: "True", reason: "Scanned", message: message.to_owned() };
    with_condition(&mut status, said, now);
    self::judged(status, judged, now)
}

/// The status with other verdicts.
pub(super) fn judged(mut status: ImageScanStatus, judged: &Judged, now: Timestamp) -> ImageScanStatus {
    status.failed_since = judged.fails.then(|| status.failed_since.unwrap_or(now));
    status.verdicts.clone_from(&judged.verdicts);
    status
}

/// The status after an attempt that has failed; verdicts of an earlier report hold until their end.
pub(super) fn failed(
    mut status: ImageScanStatus,
    problem: &str,
    verdicts: Vec<PolicyVerdict>,
    now: Timestamp,
) -> ImageScanStatus {
    status.failures = status.failures.saturating_add(1);
    if status.scanned_at.is_none() {
        status.verdicts = verdicts;
    }
    let said = Said { status: "False", reason: "ScanFailed", message: problem.chars().take(MESSAGE).collect() };
    with_condition(&mut status, said, now);
    status
}

/// The status with a tag that was looked up; those that are no longer believed go.
pub(super) fn tagged(mut status: ImageScanStatus, tag: Option<Tag>, now: Timestamp) -> ImageScanStatus {
    let name = tag.as_ref().map(|tag| tag.name.clone());
    status.tags.retain(|known| now < known.until && Some(&known.name) != name.as_ref());
    status.tags.extend(tag);
    // Those that are believed longest.
    status.tags.sort_by(|a, b| b.until.cmp(&a.until).then_with(|| a.name.cmp(&b.name)));
    status.tags.truncate(TAGS);
    status
}

/// The status with more of those whose pods have run it.
pub(super) fn remembering(mut status: ImageScanStatus, new: impl IntoIterator<Item = String>) -> ImageScanStatus {
    status.ran_by.extend(new);
    let over = status.ran_by.len().saturating_sub(OWNERS);
    status.ran_by.drain(..over);
    status
}

/// What becomes of the stored report.
#[derive(Debug)]
pub(super) enum Report {
    /// It stays.
    AsItIs,
    /// This takes its place.
    Now(Kept),
}

/// A merge patch that makes a stored status this one; what it says nothing of goes.
pub(super) fn patch(status: &ImageScanStatus, report: &Report) -> Value {
    let mut patch = serde_json::to_value(status).unwrap_or_default();
    if let Some(fields) = patch.as_object_mut() {
        for field in FIELDS {
            fields.entry(*field).or_insert(Value::Null);
        }
        if let Report::Now(kept) = report {
            fields.insert("report".to_owned(), kept.patch());
        }
    }
    patch
}

/// What a condition says.
struct Said {
    status: &'static str,
    reason: &'static str,
    message: String,
}

fn with_condition(status: &mut ImageScanStatus, said: Said, now: Timestamp) {
    let before = status.conditions.iter().find(|one| one.kind == SCANNED && one.status == said.status);
    let since = before.map_or(now, |before| before.last_transition_time);
    status.conditions = vec![Condition {
        kind: SCANNED.to_owned(),
        status: said.status.to_owned(),
        reason: said.reason.to_owned(),
        message: said.message,
        last_transition_time: since,
        observed_generation: 1,
    }];
}

/// The fields of a status, as `model::ImageScanStatus` writes them.
const FIELDS: &[&str] = &[
    "platform",
    "manifests",
    "tags",
    "verdicts",
    "scannedAt",
    "databaseBuilt",
    "failedSince",
    "ranBy",
    "unusedSince",
    "failures",
    "conditions",
];
const MESSAGE: usize = 1024;
/// As the schema has them.
const TAGS: usize = 64;
const OWNERS: usize = 64;
