//! What the scan of an image must say for the image to run.

use jiff::{SignedDuration, Timestamp};
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Attestations, ContentHash, ImageSignature, Want, checked};
use crate::model::{self, FixState, PolicyHash, VulnerabilitySeverity};

/// The section `scan` of a profile; what it leaves out is as Flamewarden ships it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ScanPolicy {
    /// Whether pods need a passing verdict for each of their images.
    #[serde(skip_serializing)]
    pub verdict: Want,
    /// What becomes of a pod with an image of which nobody knows yet.
    #[serde(skip_serializing)]
    pub on_unknown: OnUnknown,
    /// How long an image that ran before may go on being started once it fails, in hours; 0 for not at all.
    #[serde(skip_serializing, deserialize_with = "grace")]
    pub grace_hours: u16,
    /// What fails.
    pub fail_on: FailOn,
    /// What counts where a report says that it does not know.
    pub unknown: Unknowns,
    /// What becomes of an image in which no package is found.
    pub without_packages: WithoutPackages,
    /// Vulnerabilities that fail in any case; no exception helps.
    #[serde(deserialize_with = "ids")]
    pub deny: Vec<String>,
    /// Vulnerabilities that never fail.
    #[serde(deserialize_with = "ids")]
    pub allow: Vec<String>,
    /// What passes until a moment, though it fails.
    pub exceptions: Vec<ScanException>,
    /// How old things may be.
    pub maximum_age_hours: MaximumAge,
    /// Whose attested results count like one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestations: Option<Attestations>,
    /// By whom images must be signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_signature: Option<ImageSignature>,
    /// Who must have approved an image's content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_hash: Option<ContentHash>,
}

impl ScanPolicy {
    /// How long an image that ran before may go on being started once it fails.
    pub fn grace(&self) -> SignedDuration {
        SignedDuration::from_hours(self.grace_hours.into())
    }

    /// Which limits these are: what verdicts are found by.
    pub fn hash(&self) -> PolicyHash {
        // Numbers, texts and lists alone: writing them cannot fail.
        let text = serde_json::to_vec(&(READING, self)).unwrap_or_default();
        let mut hash = [0; 8];
        hash.copy_from_slice(Sha256::digest(&text).get(..8).unwrap_or(&[0; 8]));
        PolicyHash(hash)
    }
}

/// What becomes of a pod with an image of which nobody knows yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnUnknown {
    /// It is refused; whoever makes it tries again.
    #[default]
    Refuse,
    /// It waits behind a gate that only a verdict lifts: for use beside FLAME's own orchestrator, which does not try
    /// again.
    Hold,
}

/// What fails. Severities are the lowest that fail, scores the lowest likewise; none is no limit.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FailOn {
    /// Whether there is a fix or not.
    pub severity: Option<VulnerabilitySeverity>,
    /// Where there is a fix.
    pub severity_fixed: Option<VulnerabilitySeverity>,
    /// CVSS base score, 0 to 10.
    #[serde(deserialize_with = "cvss")]
    pub cvss: Option<f64>,
    /// EPSS: how likely it is to be exploited within 30 days, 0 to 1.
    #[serde(deserialize_with = "probability")]
    pub epss: Option<f64>,
    /// Whether vulnerabilities that are known to be exploited fail.
    pub known_exploited: bool,
    /// Whether a distribution fails that gets no fixes any more.
    pub end_of_life: bool,
}

/// What counts where a report says that it does not know: the graver, as shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Unknowns {
    /// For a vulnerability without a severity.
    pub severity: VulnerabilitySeverity,
    /// For one of which nobody says whether there is a fix.
    pub fix_state: FixState,
}

/// What becomes of an image in which no package is found, though one of a single static program may hold none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum WithoutPackages {
    /// It is refused: nobody knows what is in it.
    #[default]
    Inconclusive,
    /// It is taken for an image without vulnerabilities.
    Accept,
}

/// Lets something pass until a moment; after it, it fails again everywhere at once.
/// It is bound to at least one of vulnerability, package and digest, and holds only where all that it names fit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", try_from = "WrittenException")]
pub struct ScanException {
    /// The vulnerability's id.
    pub vulnerability: Option<String>,
    /// The package's name.
    pub package: Option<String>,
    /// The platform manifest's digest.
    pub digest: Option<String>,
    /// Who answers for it.
    pub owner: String,
    /// Why it is needed.
    pub reason: String,
    /// The first moment at which it no longer holds (RFC 3339).
    pub expires: Timestamp,
}

/// How old things may be, in hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MaximumAge {
    /// A report, from when it was taken.
    #[serde(deserialize_with = "hours")]
    pub result: u16,
    /// Its database, from when it was built.
    #[serde(deserialize_with = "hours")]
    pub database: u16,
    /// What each provider gave to the database, from when it was captured.
    #[serde(deserialize_with = "hours")]
    pub provider: u16,
}

impl Default for ScanPolicy {
    fn default() -> Self {
        ScanPolicy {
            verdict: Want::default(),
            on_unknown: OnUnknown::default(),
            grace_hours: 72,
            fail_on: FailOn::default(),
            unknown: Unknowns::default(),
            without_packages: WithoutPackages::default(),
            deny: Vec::new(),
            allow: Vec::new(),
            exceptions: Vec::new(),
            maximum_age_hours: MaximumAge::default(),
            attestations: None,
            image_signature: None,
            content_hash: None,
        }
    }
}

impl Default for FailOn {
    fn default() -> Self {
        FailOn {
            severity: Some(VulnerabilitySeverity::Critical),
            severity_fixed: Some(VulnerabilitySeverity::High),
            cvss: None,
            epss: None,
            known_exploited: true,
            end_of_life: false,
        }
    }
}

impl Default for Unknowns {
    fn default() -> Self {
        Unknowns { severity: VulnerabilitySeverity::High, fix_state: FixState::Fixed }
    }
}

impl Default for MaximumAge {
    /// A week, as a rescan takes place daily; five days, as Grype itself has it; providers that stood still for days
    /// have been seen (anchore/grype issues 2282 and 2593), so theirs is longer.
    fn default() -> Self {
        MaximumAge { result: 7 * 24, database: 5 * 24, provider: 14 * 24 }
    }
}

impl MaximumAge {
    /// A report's age.
    pub fn result(&self) -> SignedDuration {
        SignedDuration::from_hours(self.result.into())
    }

    /// A database's age.
    pub fn database(&self) -> SignedDuration {
        SignedDuration::from_hours(self.database.into())
    }

    /// The age of what a provider gave.
    pub fn provider(&self) -> SignedDuration {
        SignedDuration::from_hours(self.provider.into())
    }
}

/// An exception as it stands in a file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenException {
    #[serde(default, deserialize_with = "id")]
    vulnerability: Option<String>,
    #[serde(default, deserialize_with = "package")]
    package: Option<String>,
    #[serde(default, deserialize_with = "digest")]
    digest: Option<String>,
    #[serde(deserialize_with = "checked::said")]
    owner: String,
    #[serde(deserialize_with = "checked::said")]
    reason: String,
    #[serde(deserialize_with = "checked::moment")]
    expires: Timestamp,
}

impl TryFrom<WrittenException> for ScanException {
    type Error = &'static str;

    fn try_from(written: WrittenException) -> Result<Self, Self::Error> {
        let WrittenException { vulnerability, package, digest, owner, reason, expires } = written;
        if vulnerability.is_none() && package.is_none() && digest.is_none() {
            return Err("an exception must name a vulnerability, a package or a digest, or several of them");
        }
        Ok(ScanException { vulnerability, package, digest, owner, reason, expires })
    }
}

fn ids<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Vec::<String>::deserialize(from)?.into_iter().map(checked_id).collect()
}

fn id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Option::<String>::deserialize(from)?.map(checked_id).transpose()
}

/// An id such as `CVE-2024-3094` or `GHSA-xxxx-xxxx-xxxx`; one that is misspelt would never apply.
fn checked_id<E: Error>(id: String) -> Result<String, E> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if id.contains('-') && id.len() <= 128 && id.chars().all(fits) && id.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        return Ok(id);
    }
    Err(checked::wrong("vulnerability", &id, "is no id; write it as Grype does, such as CVE-2024-3094"))
}

fn package<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let package = Option::<String>::deserialize(from)?;
    match &package {
        Some(name) if name.is_empty() || name.contains(char::is_whitespace) || name.contains('*') => {
            Err(checked::wrong("package", name, "is no name of a package; it is compared as it is"))
        }
        _ => Ok(package),
    }
}

fn digest<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let digest = Option::<String>::deserialize(from)?;
    match &digest {
        Some(text) if model::Digest::parse(text).is_none() => Err(checked::wrong(
            "digest",
            text,
            "is no digest; write sha256: and 64 hexadecimal digits, those of the platform's manifest",
        )),
        _ => Ok(digest),
    }
}

fn cvss<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    score(from, 10.0)
}

fn probability<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    score(from, 1.0)
}

fn score<'de, D: Deserializer<'de>>(from: D, most: f64) -> Result<Option<f64>, D::Error> {
    match Option::<f64>::deserialize(from)? {
        Some(score) if !(0.0..=most).contains(&score) => {
            Err(D::Error::custom(format!("{score} is out of reach; write 0 to {most}")))
        }
        score => Ok(score),
    }
}

fn grace<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    match u16::deserialize(from)? {
        hours @ 0..=720 => Ok(hours),
        hours => Err(D::Error::custom(format!("{hours} hours of grace are out of reach; write 0 to 720"))),
    }
}

fn hours<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    match u16::deserialize(from)? {
        hours @ 1..=8760 => Ok(hours),
        hours => Err(D::Error::custom(format!("{hours} hours are out of reach; write 1 to 8760"))),
    }
}

/// Counted up when reports are read otherwise than before, so that verdicts are made anew.
const READING: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ScanPolicy, String> {
        serde_saphyr::from_str(text).map_err(|problem| problem.to_string())
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_to_write() {
        let exception =
            |binding: &str| format!("exceptions: [{{{binding}owner: o, reason: r, expires: 2027-01-31T00:00:00Z}}]");
        let digest = format!("sha256:{}", "0".repeat(64));
        for (text, want) in [
            ("failOn: {severity: hihg}".to_owned(), "unknown variant `hihg`"),
            ("failOn: {severty: high}".to_owned(), "unknown field `severty`"),
            ("failOn: {cvss: 10.1}".to_owned(), "10.1 is out of reach; write 0 to 10"),
            ("failOn: {cvss: .nan}".to_owned(), "out of reach"),
            ("failOn: {epss: 1.5}".to_owned(), "1.5 is out of reach; write 0 to 1"),
            ("graceHours: 721".to_owned(), "721 hours of grace are out of reach; write 0 to 720"),
            ("onUnknown: wait".to_owned(), "unknown variant `wait`"),
            ("unknown: {fixState: perhaps}".to_owned(), "unknown variant `perhaps`"),
            ("deny: [CVE 2026]".to_owned(), "is no id; write it as Grype does"),
            ("allow: ['*']".to_owned(), "is no id"),
            ("allow: [CVE]".to_owned(), "is no id"),
            ("maximumAgeHours: {result: 0}".to_owned(), "0 hours are out of reach; write 1 to 8760"),
            ("maximumAgeHours: {database: 8761}".to_owned(), "8761 hours are out of reach"),
            (exception(""), "must name a vulnerability, a package or a digest"),
            (exception("package: 'lib*', "), "is compared as it is"),
            (exception("digest: 'sha256:ab', "), "is no digest; write sha256:"),
            (exception("digets: 'sha256:ab', package: a, "), "unknown field `digets`"),
            (exception("package: a, ").replace("owner: o", "owner: ''"), "`owner` and `reason` must not be empty"),
            (exception("package: a, ").replace("T00:00:00Z", ""), "is no moment; write it like"),
            ("exceptions: [{package: a, owner: o, reason: r}]".to_owned(), "missing field `expires`"),
        ] {
            assert!(read(&text).is_err_and(|problem| problem.contains(want)), "{text}: {:?}", read(&text));
        }
        for text in ["{}".to_owned(), exception("package: a, "), exception(&format!("digest: '{digest}', "))] {
            assert!(read(&text).is_ok(), "{text}: {:?}", read(&text));
        }
    }

    #[test]
    fn what_is_left_out_is_as_shipped() {
        let shipped = ScanPolicy::default();
        assert_eq!(read("{}").unwrap(), shipped);
        assert_eq!(read("failOn: {epss: 0.5}").unwrap().fail_on, FailOn { epss: Some(0.5), ..shipped.fail_on });
        let ages = MaximumAge { result: 1, ..shipped.maximum_age_hours };
        assert_eq!(read("maximumAgeHours: {result: 1}").unwrap().maximum_age_hours, ages);
    }
}
