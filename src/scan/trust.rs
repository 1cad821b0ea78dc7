//! What others have signed of an image, held against whom its profile believes.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::assess::Subject;
use super::attested::{Attested, gravest, judged};
use super::census::Census;
use super::predicate::Listed;
use super::signature::{Beside, Signature, signed};
use super::statement::Statement;
use crate::model::{ImageRef, ScanOutcome, Verdict};
use crate::policy::{ScanPolicy, SignerKey};

/// Something that is attached to an image in its registry.
#[derive(Debug, Clone, Copy)]
pub struct Attachment<'a> {
    /// The layer's media type.
    pub media_type: &'a str,
    /// The layer's annotations.
    pub annotations: &'a BTreeMap<String, String>,
    /// The layer itself.
    pub content: &'a [u8],
}

/// What others have signed of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The scan that counts like one's own; none where nobody who is believed attested one.
    pub attested: Option<Attested>,
    /// Whether the image is signed as asked.
    pub signature: Signature,
    /// Why what else is attached as a scan does not count.
    pub passed_over: Vec<String>,
}

/// What is believed of what is attached to the image of `subject`, which is pulled as `image`, and to indexes that name
/// it by their bytes. What is attested of an index says nothing of the one image in it.
pub fn trust(
    places: &[Beside<'_>],
    subject: &Subject,
    image: &ImageRef<'_>,
    policy: &ScanPolicy,
    now: Timestamp,
) -> Trust {
    let keys = policy.attestations.as_ref().map(|section| section.keys.as_slice()).unwrap_or_default();
    let own = places.iter().find(|place| place.digest == subject.digest);
    let attached = own.map(|place| place.attached).unwrap_or_default();
    let (attested, mut passed_over) = attested(attached, keys, subject, policy, now);
    if attached.len() > MOST_ATTACHED {
        passed_over.push(format!("{} are attached, of which the first {MOST_ATTACHED} are looked at", attached.len()));
    }
    Trust {
        attested,
        signature: signed(places, image, policy.image_signature.as_ref()),
        passed_over: joined(passed_over),
    }
}

impl Trust {
    /// The verdict, given that of one's own scan where there is one; none where neither says anything.
    ///
    /// An attested scan counts like one's own: if either fails, the image does. What is not signed as asked does not run,
    /// whatever scans say.
    pub fn verdict(&self, own: Option<Verdict>) -> Option<Verdict> {
        let verdict = self.by_scans(own);
        match &self.signature {
            Signature::NotAsked | Signature::By(_) => verdict,
            Signature::Missing(reasons) => Some(withheld(verdict, reasons.clone())),
        }
    }

    /// What scans say, one's own and the attested one, whoever has signed the image.
    pub fn by_scans(&self, own: Option<Verdict>) -> Option<Verdict> {
        let attested = self.attested.as_ref().map(|attested| attested.verdict.clone());
        gravest(own.into_iter().chain(attested)).map(|verdict| self.explained(verdict))
    }

    /// Where nobody knows, why what others have attested does not help.
    fn explained(&self, mut verdict: Verdict) -> Verdict {
        let is_known = matches!(verdict.outcome, ScanOutcome::Pass | ScanOutcome::Excepted | ScanOutcome::Fail);
        if is_known || self.passed_over.is_empty() {
            return verdict;
        }
        verdict.also(&format!("what is attached as a scan does not count: {}", self.passed_over.join("; ")));
        verdict
    }

    /// Whether the attested scan makes one's own unnecessary.
    pub fn spares_a_scan(&self) -> bool {
        let outcome = self.attested.as_ref().map(|attested| attested.verdict.outcome);
        matches!(outcome, Some(ScanOutcome::Pass | ScanOutcome::Excepted | ScanOutcome::Fail))
    }
}

/// A verdict that fails for these reasons, before those of its own. Grace is for what was found in an image that has run,
/// not for whose image it is.
pub fn withheld(verdict: Option<Verdict>, reasons: Vec<String>) -> Verdict {
    let own = verdict.filter(|verdict| verdict.outcome == ScanOutcome::Fail);
    let (grounds, more) = own.map(|own| (own.grounds, own.more)).unwrap_or_default();
    let mut verdict = Verdict::new(ScanOutcome::Fail, reasons.into_iter().chain(grounds), None);
    verdict.more += more;
    verdict.graceless = true;
    verdict
}

/// The attested scan that counts, and why others do not. What one key signed last replaces what it signed before.
fn attested(
    attached: &[Attachment<'_>],
    keys: &[SignerKey],
    subject: &Subject,
    policy: &ScanPolicy,
    now: Timestamp,
) -> (Option<Attested>, Vec<String>) {
    let (mut passed_over, mut statements, mut census) = (Vec::new(), Vec::new(), None);
    for one in attached.iter().take(MOST_ATTACHED).filter(|_| !keys.is_empty()) {
        match Statement::read((one.media_type, one.content), keys, &subject.digest) {
            None => {}
            Some(Err(problem)) => passed_over.push(problem.to_string()),
            Some(Ok(statement)) if statement.predicate_type.starts_with(SBOM) => match read_census(&statement) {
                Ok(read) => census = census.or(Some(read)),
                Err(problem) => passed_over.push(problem),
            },
            Some(Ok(statement)) => statements.push(statement),
        }
    }
    let mut by_key: BTreeMap<String, Attested> = BTreeMap::new();
    for statement in &statements {
        match judged(statement, census.as_ref(), subject, policy, now) {
            Err(problem) => passed_over.push(problem.to_string()),
            Ok(scan) => {
                let newest = match by_key.remove(&scan.by) {
                    Some(known) => newer(known, scan),
                    None => scan,
                };
                by_key.insert(newest.by.clone(), newest);
            }
        }
    }
    let counts = gravest(by_key.values().map(|scan| scan.verdict.clone()));
    (by_key.into_values().find(|scan| Some(&scan.verdict) == counts.as_ref()), passed_over)
}

fn newer(one: Attested, other: Attested) -> Attested {
    if one.finished != other.finished {
        return if one.finished > other.finished { one } else { other };
    }
    let counts = gravest([one.verdict.clone(), other.verdict.clone()]);
    if counts.as_ref() == Some(&one.verdict) { one } else { other }
}

fn read_census(statement: &Statement<'_>) -> Result<Census, String> {
    let read: Result<Listed, _> = serde_json::from_slice(&statement.text);
    read.map(|listed| Census::of_document(listed.predicate))
        .map_err(|problem| format!("what `{}` signed is no SBOM that can be read: {problem}", statement.by.name))
}

/// The first of these texts, each once, and how many more there are.
pub(super) fn joined(texts: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut more = 0;
    for text in texts {
        match kept.contains(&text) {
            true => {}
            false if kept.len() < MOST_TEXTS => kept.push(text),
            false => more += 1,
        }
    }
    kept.extend((more > 0).then(|| format!("{more} more do not count")));
    kept
}

/// Whoever may push to a registry may attach things: so many are looked at.
pub(super) const MOST_ATTACHED: usize = 64;
const MOST_TEXTS: usize = 6;
/// CycloneDX, of whichever version.
const SBOM: &str = "https://cyclonedx.org/bom";
