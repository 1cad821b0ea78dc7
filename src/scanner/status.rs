//! The status of an `ImageScan` as it is written: what of it is known now, and what is no longer.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::errand::Evidence;
use super::judge::{Judged, Standing};
use super::kept::Kept;
use crate::model::{Condition, ImageScanStatus, PolicyVerdict, Tag, one_line};

/// The condition that says whether there is a report.
const SCANNED: &str = "Scanned";

/// The status after a scan that was begun at `begun`, by this process's clock: what a worker says of the time is weighed in
/// the verdicts, and steers nobody's scans.
pub(super) fn scanned(
    mut status: ImageScanStatus,
    evidence: Option<&Evidence>,
    judged: &Judged,
    begun: Timestamp,
    now: Timestamp,
) -> ImageScanStatus {
    status.scanned_at = Some(begun);
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
    status.failed_since = match judged.standing {
        Standing::Passes => None,
        Standing::Unclear => status.failed_since,
        Standing::Fails => status.failed_since.or(Some(now)),
    };
    with_verdicts(&mut status, judged.verdicts.clone());
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
        with_verdicts(&mut status, verdicts);
    }
    let said = Said { status: "False", reason: "ScanFailed", message: problem.chars().take(MESSAGE).collect() };
    with_condition(&mut status, said, now);
    status
}

/// What a table of scans shows has to be one text.
fn with_verdicts(status: &mut ImageScanStatus, verdicts: Vec<PolicyVerdict>) {
    let summary = match verdicts.as_slice() {
        [one] => one.verdict.outcome.words().to_owned(),
        all => {
            let each: Vec<String> =
                all.iter().map(|one| format!("{} ({})", one.verdict.outcome.words(), one.profile)).collect();
            each.join(", ")
        }
    };
    status.summary = Some(one_line(&summary, MESSAGE)).filter(|summary| !summary.is_empty());
    status.verdicts = verdicts;
}

/// When a scan was tried last, as far as the status says; of several failures in a row the first.
pub(super) fn attempted(status: &ImageScanStatus) -> Option<Timestamp> {
    let failed = status.conditions.iter().find(|one| one.kind == SCANNED && one.status == "False");
    status.scanned_at.max(failed.map(|failed| failed.last_transition_time))
}

/// The status with a tag that was looked up; those that are no longer believed go. Where there is no room, one goes that
/// nobody asks for, and without any there is none for the new one.
pub(super) fn tagged(
    mut status: ImageScanStatus,
    tag: Option<Tag>,
    asked: &BTreeSet<String>,
    now: Timestamp,
) -> ImageScanStatus {
    let name = tag.as_ref().map(|tag| tag.name.clone());
    status.tags.retain(|known| now < known.until && Some(&known.name) != name.as_ref());
    // Those come first that are believed longest.
    let by_end = |a: &Tag, b: &Tag| b.until.cmp(&a.until).then_with(|| a.name.cmp(&b.name));
    status.tags.sort_by(by_end);
    if let Some(tag) = tag {
        let unasked = status.tags.iter().rposition(|known| !asked.contains(&known.name));
        if let Some(unasked) = unasked.filter(|_| status.tags.len() >= TAGS) {
            status.tags.remove(unasked);
        }
        if status.tags.len() < TAGS {
            status.tags.push(tag);
            status.tags.sort_by(by_end);
        }
    }
    status
}

/// Whose pods have run it, with those whose pods run it now. Where there is no room, those go first whose pods do not, the
/// oldest before others; where all do, there is none for more.
pub(super) fn remembering(known: &[String], running: &BTreeSet<String>) -> Vec<String> {
    let new = running.iter().filter(|uid| !known.contains(uid));
    let mut all: Vec<String> = known.iter().chain(new).cloned().collect();
    let mut over = all.len().saturating_sub(OWNERS);
    all.retain(|uid| {
        let goes = over > 0 && !running.contains(uid);
        over -= usize::from(goes);
        !goes
    });
    all.truncate(OWNERS);
    all
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
    "otherManifests",
    "tags",
    "summary",
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
pub(super) const TAGS: usize = 64;
const OWNERS: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Digest, PlatformManifest, PolicyHash, ScanOutcome, Verdict};
    use crate::scanner::kept;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    fn verdicts(outcome: ScanOutcome) -> Vec<PolicyVerdict> {
        let verdict = Verdict::new(outcome, Vec::new(), None);
        vec![PolicyVerdict { policy: PolicyHash([1; 8]), profile: "p".to_owned(), verdict }]
    }

    fn answer(outcome: ScanOutcome, standing: Standing) -> Judged {
        Judged { verdicts: verdicts(outcome), awaits: false, standing }
    }

    fn passes() -> Judged {
        answer(ScanOutcome::Pass, Standing::Passes)
    }

    #[test]
    fn a_table_shows_what_each_profile_says() {
        let of = |outcome: ScanOutcome, profile: &str| PolicyVerdict {
            profile: profile.to_owned(),
            ..verdicts(outcome).remove(0)
        };
        let mut status = ImageScanStatus::default();
        for (verdicts, want) in [
            (vec![of(ScanOutcome::Pass, "a, g")], Some("pass")),
            (vec![of(ScanOutcome::Fail, "a"), of(ScanOutcome::Pass, "g")], Some("fail (a), pass (g)")),
            (vec![], None),
        ] {
            with_verdicts(&mut status, verdicts);
            assert_eq!(status.summary.as_deref(), want);
        }
    }

    #[test]
    fn a_scan_is_dated_by_its_beginning_here_and_not_by_what_its_worker_says() {
        for taken in ["2000-01-01T00:00:00Z", "2099-01-01T00:00:00Z"] {
            let text = json!({
                "report": {"version": "0", "taken": taken, "source": {"other": "x"}, "matches": [], "endOfLife": 0}, "packages": {},
            });
            let evidence = kept::evidence(&text.to_string()).unwrap();
            let status = ImageScanStatus { failures: 3, ..ImageScanStatus::default() };
            let status = scanned(status, Some(&evidence), &passes(), at("10:00:00"), at("10:05:00"));
            assert_eq!((status.scanned_at, status.failures), (Some(at("10:00:00")), 0));
        }
    }

    #[test]
    fn it_has_failed_since_the_first_time_in_a_row() {
        let mut status = ImageScanStatus::default();
        for (now, standing, want) in [
            ("09:00:00", Standing::Unclear, None),
            ("10:00:00", Standing::Passes, None),
            ("11:00:00", Standing::Fails, Some("11:00:00")),
            ("12:00:00", Standing::Fails, Some("11:00:00")),
            ("12:30:00", Standing::Unclear, Some("11:00:00")),
            ("12:40:00", Standing::Fails, Some("11:00:00")),
            ("13:00:00", Standing::Passes, None),
            ("14:00:00", Standing::Fails, Some("14:00:00")),
        ] {
            status = judged(status, &answer(ScanOutcome::Fail, standing), at(now));
            assert_eq!(status.failed_since, want.map(at), "{now}");
        }
    }

    #[test]
    fn verdicts_of_a_report_outlive_attempts_that_fail_and_the_attempt_is_remembered() {
        let none = failed(ImageScanStatus::default(), "late", verdicts(ScanOutcome::ScanError), at("10:00:00"));
        assert_eq!(none.verdicts, verdicts(ScanOutcome::ScanError));
        let again = failed(none, &"x".repeat(2000), verdicts(ScanOutcome::ScanError), at("11:00:00"));
        assert_eq!((again.failures, attempted(&again)), (2, Some(at("10:00:00"))));
        assert_eq!(again.conditions[0].message.len(), MESSAGE);
        let passes = scanned(again, None, &passes(), at("12:00:00"), at("12:00:01"));
        assert_eq!(attempted(&passes), Some(at("12:00:00")));
        let fails = failed(passes, "late", verdicts(ScanOutcome::ScanError), at("13:00:00"));
        assert_eq!((fails.verdicts.clone(), attempted(&fails)), (verdicts(ScanOutcome::Pass), Some(at("13:00:00"))));
    }

    #[test]
    fn a_tag_takes_the_place_of_one_that_nobody_asks_for_and_of_no_other() {
        let tag = |name: &str, until: &str| Tag { name: name.to_owned(), until: at(until) };
        let full: Vec<Tag> = (0..TAGS).map(|number| tag(&format!("r/a:{number:02}"), "11:00:00")).collect();
        let status = |tags: &[Tag]| ImageScanStatus { tags: tags.to_vec(), ..ImageScanStatus::default() };
        let asked = |but: &[usize]| {
            let names = full.iter().enumerate().filter(|(number, _)| !but.contains(number));
            names.map(|(_, tag)| tag.name.clone()).collect::<BTreeSet<String>>()
        };
        let (now, new) = (at("10:00:00"), tag("r/a:new", "10:30:00"));
        let after = |tags: &[Tag], asked: &BTreeSet<String>, new: &Tag| {
            tagged(status(tags), Some(new.clone()), asked, now).tags
        };
        assert_eq!(after(&[], &[].into(), &new), std::slice::from_ref(&new));
        assert_eq!(after(&full, &asked(&[]), &new), full, "all are asked for");
        let gone =
            |number: usize| full.iter().enumerate().filter(move |(other, _)| *other != number).map(|(_, tag)| tag);
        let want: Vec<Tag> = gone(7).chain([&new]).cloned().collect();
        assert_eq!(after(&full, &asked(&[7]), &new), want, "one is not");
        let longer = tag("r/a:07", "12:00:00");
        let want: Vec<Tag> = [&longer].into_iter().chain(gone(7)).cloned().collect();
        assert_eq!(after(&full, &asked(&[]), &longer), want, "the same again");
        let ended = tag("r/a:old", "10:00:00");
        assert_eq!(after(&[ended, new.clone()], &[].into(), &longer), [longer, new], "one has ended");
    }

    #[test]
    fn those_whose_pods_run_it_no_more_are_forgotten_before_others() {
        let names =
            |numbers: std::ops::Range<usize>| numbers.map(|number| format!("{number:03}")).collect::<Vec<String>>();
        for (what, known, running, want) in [
            ("the first", names(0..0), names(0..2), names(0..2)),
            ("known", names(0..2), names(0..2), names(0..2)),
            ("the oldest goes", names(0..64), names(64..65), names(1..65)),
            (
                "not those that run",
                names(0..64),
                [names(0..60), names(90..91)].concat(),
                [names(0..60), names(61..64), names(90..91)].concat(),
            ),
            ("no room", names(0..64), names(0..65), names(0..64)),
        ] {
            let running: BTreeSet<String> = running.into_iter().collect();
            let remembered = remembering(&known, &running);
            assert_eq!(remembered, want, "{what}");
            assert_eq!(remembering(&remembered, &running), want, "{what}, once more");
        }
    }

    #[test]
    fn a_patch_takes_away_what_the_status_says_nothing_of() {
        let status = ImageScanStatus { platform: Some("linux/amd64".to_owned()), ..ImageScanStatus::default() };
        let written = patch(&status, &Report::AsItIs);
        assert_eq!(written.as_object().unwrap().len(), FIELDS.len());
        assert_eq!((&written["platform"], &written["failedSince"]), (&json!("linux/amd64"), &Value::Null));
        assert_eq!(patch(&status, &Report::Now(Kept::Nowhere)).get("report"), Some(&Value::Null));
    }

    #[test]
    fn every_field_of_a_status_is_one_that_a_patch_takes_away() {
        let now = at("10:00:00");
        let manifest = || PlatformManifest { digest: Digest::of(b""), platform: String::new() };
        let status = ImageScanStatus {
            platform: Some(String::new()),
            manifests: vec![manifest()],
            other_manifests: vec![manifest()],
            tags: vec![Tag { name: String::new(), until: now }],
            summary: Some(String::new()),
            verdicts: verdicts(ScanOutcome::Pass),
            scanned_at: Some(now),
            database_built: Some(now),
            failed_since: Some(now),
            ran_by: vec![String::new()],
            unused_since: Some(now),
            ..failed(ImageScanStatus::default(), "", Vec::new(), now)
        };
        let written = serde_json::to_value(status).unwrap();
        let fields: BTreeSet<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, FIELDS.iter().copied().collect());
    }
}
