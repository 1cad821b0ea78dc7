//! What is known of images' scans, as admission asks for it: a verdict by digest, a digest by tag, from memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use jiff::{SignedDuration, Timestamp};

use crate::model::{Digest, ImageRef, ImageScanObject, PolicyHash, ScanOutcome, Verdict};

/// The scans that the cluster's `ImageScan` objects tell of.
#[derive(Debug, Clone, Default)]
pub struct Scans {
    known: HashMap<Digest, Scan>,
    tags: BTreeMap<String, BTreeMap<Digest, Timestamp>>,
}

/// Scans that are read at each admission while a watch takes in what is new.
#[derive(Debug, Default)]
pub struct ScanMemory(RwLock<Scans>);

/// What one `ImageScan` object tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// The verdicts by the hashes of the policies that they were made under.
    pub verdicts: Vec<(PolicyHash, Verdict)>,
    /// Of an index: the manifests of the platforms that its image may run on.
    pub manifests: Vec<Digest>,
    /// Tags that stood for it, and until when that is believed.
    pub tags: Vec<(String, Timestamp)>,
    /// Since when something in it fails.
    pub failed_since: Option<Timestamp>,
    /// Whose pods have run it before: uids of the pods' controllers.
    pub ran_by: Vec<String>,
}

/// For whom an image that fails may be started all the same.
#[derive(Debug, Clone, Copy)]
pub struct Grace<'a> {
    /// The uid of the controller whose pod it is.
    pub controller: &'a str,
    /// For how long from the first report that failed.
    pub lasts: SignedDuration,
}

/// What is known of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked<'a> {
    /// There is no verdict of it under these limits.
    Unknown,
    /// The verdict; of an index the first of its manifests' that does not admit, or else the one that ends first.
    Known(&'a Verdict),
}

impl Scans {
    /// What is known of a digest under limits at `now`.
    pub fn look(&self, digest: Digest, policy: PolicyHash, now: Timestamp) -> Looked<'_> {
        let Some(scan) = self.known.get(&digest) else { return Looked::Unknown };
        if scan.manifests.is_empty() {
            return scan.verdict(policy);
        }
        let mut found: Option<&Verdict> = None;
        for manifest in &scan.manifests {
            // An index does not lead to another one here, so that nothing goes round in circles.
            let of = self.known.get(manifest).map_or(Looked::Unknown, |scan| scan.verdict(policy));
            let Looked::Known(verdict) = of else { return Looked::Unknown };
            if !verdict.admits(now) {
                return Looked::Known(verdict);
            }
            let until = |verdict: &Verdict| verdict.until.unwrap_or(Timestamp::MAX);
            found = found.filter(|found| until(found) <= until(verdict)).or(Some(verdict));
        }
        found.map_or(Looked::Unknown, Looked::Known)
    }

    /// The answer on an image as pods name it, by tag or digest, with the gravest of its grounds.
    pub fn of_image(&self, image: &str, policy: PolicyHash, now: Timestamp) -> (ScanOutcome, Option<&str>) {
        let none = (ScanOutcome::NoResult, None);
        let Ok(image) = ImageRef::parse(image) else { return none };
        let digest = image.digest.map_or_else(|| self.resolved(&image.tagged(), now), Digest::parse);
        let looked = digest.map_or(Looked::Unknown, |digest| self.look(digest, policy, now));
        match looked {
            Looked::Unknown => none,
            Looked::Known(verdict) => (looked.outcome(now), verdict.grounds.first().map(String::as_str)),
        }
    }

    /// Whether an image that fails may be started at `now` all the same, since pods of this controller ran it before it
    /// failed, so long ago at most, and nothing in it fails that gets no grace.
    pub fn is_in_grace(&self, digest: Digest, policy: PolicyHash, grace: Grace<'_>, now: Timestamp) -> bool {
        let Some(scan) = self.known.get(&digest).filter(|scan| scan.ran_by.iter().any(|uid| uid == grace.controller))
        else {
            return false;
        };
        let may = |scan: &Scan| match scan.verdict(policy) {
            Looked::Known(verdict) if verdict.outcome == ScanOutcome::Fail => {
                !verdict.graceless && scan.failed_since.is_some_and(|since| now.duration_since(since) < grace.lasts)
            }
            Looked::Known(verdict) => verdict.admits(now),
            Looked::Unknown => false,
        };
        let part = |digest: &Digest| self.known.get(digest).is_some_and(may);
        if scan.manifests.is_empty() { may(scan) } else { scan.manifests.iter().all(part) }
    }

    /// What a tag is believed to stand for at `now`: the digest for which that is believed longest.
    pub fn resolved(&self, name: &str, now: Timestamp) -> Option<Digest> {
        let believed = self.tags.get(name)?.iter().filter(|(_, until)| now < **until);
        believed.max_by_key(|(_, until)| **until).map(|(digest, _)| *digest)
    }

    /// Takes in what an object tells now.
    pub fn put(&mut self, digest: Digest, scan: Scan) {
        self.remove(digest);
        for (name, until) in &scan.tags {
            self.tags.entry(name.clone()).or_default().insert(digest, *until);
        }
        self.known.insert(digest, scan);
    }

    /// Forgets what an object told.
    pub fn remove(&mut self, digest: Digest) {
        let Some(gone) = self.known.remove(&digest) else { return };
        for (name, _) in gone.tags {
            if let Some(digests) = self.tags.get_mut(&name) {
                digests.remove(&digest);
            }
            if self.tags.get(&name).is_some_and(BTreeMap::is_empty) {
                self.tags.remove(&name);
            }
        }
    }

    /// Forgets what objects told that are there no longer.
    pub fn keep(&mut self, is_there: impl Fn(Digest) -> bool) {
        let gone: Vec<Digest> = self.known.keys().copied().filter(|digest| !is_there(*digest)).collect();
        gone.into_iter().for_each(|digest| self.remove(digest));
    }
}

impl ScanMemory {
    /// What is known now; for the time of one judgement.
    pub fn read(&self) -> RwLockReadGuard<'_, Scans> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in something new.
    pub fn change(&self, work: impl FnOnce(&mut Scans)) {
        work(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Scan {
    /// What an object tells.
    pub fn of(object: &ImageScanObject) -> Self {
        let status = &object.status;
        Scan {
            verdicts: status.verdicts.iter().map(|one| (one.policy, one.verdict.clone())).collect(),
            manifests: status.manifests.iter().map(|one| one.digest).collect(),
            tags: status.tags.iter().map(|tag| (tag.name.clone(), tag.until)).collect(),
            failed_since: status.failed_since,
            ran_by: status.ran_by.clone(),
        }
    }

    fn verdict(&self, policy: PolicyHash) -> Looked<'_> {
        let found = self.verdicts.iter().find(|(hash, _)| *hash == policy);
        found.map_or(Looked::Unknown, |(_, verdict)| Looked::Known(verdict))
    }
}

impl Looked<'_> {
    /// The answer at `now`: what has outlived its end is stale.
    pub fn outcome(&self, now: Timestamp) -> ScanOutcome {
        match self {
            Looked::Unknown => ScanOutcome::NoResult,
            Looked::Known(verdict) => match verdict.outcome {
                ScanOutcome::Pass | ScanOutcome::Excepted if !verdict.admits(now) => ScanOutcome::Stale,
                outcome => outcome,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: PolicyHash = PolicyHash([1; 8]);

    fn digest(number: u8) -> Digest {
        Digest::parse(&format!("sha256:{}", format!("{number:02x}").repeat(32))).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    fn of(outcome: ScanOutcome, until: &str) -> Scan {
        Scan { verdicts: vec![(HASH, Verdict::new(outcome, Vec::new(), Some(at(until))))], ..Scan::default() }
    }

    #[test]
    fn a_verdict_holds_for_its_digest_its_limits_and_its_time() {
        let mut scans = Scans::default();
        scans.put(digest(1), of(ScanOutcome::Pass, "12:00:00"));
        scans.put(digest(2), of(ScanOutcome::Fail, "12:00:00"));
        for (what, asked, hash, now, want) in [
            ("known", digest(1), HASH, "11:59:59", ScanOutcome::Pass),
            ("its end", digest(1), HASH, "12:00:00", ScanOutcome::Stale),
            ("other limits", digest(1), PolicyHash([2; 8]), "11:00:00", ScanOutcome::NoResult),
            ("another digest", digest(3), HASH, "11:00:00", ScanOutcome::NoResult),
            ("failing", digest(2), HASH, "11:00:00", ScanOutcome::Fail),
            ("failing for good", digest(2), HASH, "13:00:00", ScanOutcome::Fail),
        ] {
            assert_eq!(scans.look(asked, hash, at(now)).outcome(at(now)), want, "{what}");
        }
        scans.remove(digest(1));
        assert_eq!(scans.look(digest(1), HASH, at("11:00:00")), Looked::Unknown);
        assert_eq!(scans.known.len(), 1);
    }

    #[test]
    fn what_ran_before_goes_on_for_a_while_for_whom_it_ran_and_where_nothing_forbids_it() {
        let failing = |graceless: bool, since: Option<&str>| Scan {
            verdicts: vec![(HASH, Verdict { graceless, ..Verdict::new(ScanOutcome::Fail, Vec::new(), None) })],
            failed_since: since.map(at),
            ran_by: vec!["rs".to_owned()],
            ..Scan::default()
        };
        let index = |parts: &[u8]| Scan {
            manifests: parts.iter().map(|one| digest(*one)).collect(),
            ran_by: vec!["rs".to_owned()],
            ..Scan::default()
        };
        let mut scans = Scans::default();
        scans.put(digest(1), failing(false, Some("10:00:00")));
        scans.put(digest(2), failing(true, Some("10:00:00")));
        scans.put(digest(3), failing(false, None));
        scans.put(digest(4), of(ScanOutcome::Pass, "23:00:00"));
        scans.put(digest(5), index(&[1, 4]));
        scans.put(digest(6), index(&[2, 4]));
        scans.put(digest(7), index(&[1, 9]));
        for (what, asked, controller, hours, now, want) in [
            ("it ran", 1, "rs", 2, "11:59:59", true),
            ("the end", 1, "rs", 2, "12:00:00", false),
            ("others", 1, "other", 2, "11:00:00", false),
            ("no grace", 1, "rs", 0, "10:00:00", false),
            ("known to be exploited", 2, "rs", 2, "11:00:00", false),
            ("nobody knows since when", 3, "rs", 2, "11:00:00", false),
            ("never seen to run", 4, "rs", 2, "11:00:00", false),
            ("an index", 5, "rs", 2, "11:00:00", true),
            ("with a part that gets none", 6, "rs", 2, "11:00:00", false),
            ("with a part that nobody knows", 7, "rs", 2, "11:00:00", false),
            ("not known", 8, "rs", 2, "11:00:00", false),
        ] {
            let grace = Grace { controller, lasts: SignedDuration::from_hours(hours) };
            assert_eq!(scans.is_in_grace(digest(asked), HASH, grace, at(now)), want, "{what}");
        }
    }

    #[test]
    fn an_index_is_as_good_as_the_worst_of_its_manifests() {
        let index = |manifests: &[u8]| Scan {
            manifests: manifests.iter().map(|one| digest(*one)).collect(),
            ..of(ScanOutcome::Pass, "23:00:00")
        };
        let mut scans = Scans::default();
        scans.put(digest(1), of(ScanOutcome::Pass, "12:00:00"));
        scans.put(digest(2), of(ScanOutcome::Pass, "11:00:00"));
        scans.put(digest(3), of(ScanOutcome::Fail, "12:00:00"));
        for (what, manifests, want, until) in [
            ("both pass", &[1, 2][..], ScanOutcome::Pass, Some("11:00:00")),
            ("in another order", &[2, 1], ScanOutcome::Pass, Some("11:00:00")),
            ("one fails", &[1, 3], ScanOutcome::Fail, Some("12:00:00")),
            ("one is not known", &[1, 4], ScanOutcome::NoResult, None),
            ("an index in it", &[1, 9], ScanOutcome::NoResult, None),
        ] {
            scans.put(digest(8), index(manifests));
            scans.put(digest(9), Scan { verdicts: Vec::new(), ..index(&[1]) });
            let now = at("10:00:00");
            let looked = scans.look(digest(8), HASH, now);
            assert_eq!(looked.outcome(now), want, "{what}");
            let ends = match looked {
                Looked::Known(verdict) => verdict.until,
                Looked::Unknown => None,
            };
            assert_eq!(ends, until.map(at), "{what}");
        }
    }

    #[test]
    fn a_tag_stands_for_what_it_was_resolved_to_last_and_not_for_long() {
        let tagged = |until: &str| Scan { tags: vec![("r.example/a:1".to_owned(), at(until))], ..Scan::default() };
        let mut scans = Scans::default();
        scans.put(digest(1), tagged("10:00:00"));
        scans.put(digest(2), tagged("11:00:00"));
        let resolved = |scans: &Scans, now: &str| scans.resolved("r.example/a:1", at(now));
        assert_eq!(resolved(&scans, "09:00:00"), Some(digest(2)));
        assert_eq!(resolved(&scans, "11:00:00"), None);
        scans.put(digest(2), Scan::default());
        assert_eq!(resolved(&scans, "09:00:00"), Some(digest(1)));
        scans.remove(digest(1));
        assert_eq!(resolved(&scans, "09:00:00"), None);
        assert_eq!(scans.resolved("r.example/a:2", at("09:00:00")), None);
    }
}
