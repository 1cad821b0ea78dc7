//! Scans that others made and signed: what a verdict can be by them.
//!
//! A whole Grype report is judged as one's own, down to settings, ages and coverage; the SBOM that shows the coverage may
//! be attested beside it. A list of vulnerabilities tells of no packages: that everything was looked at is what its signer
//! vouches for, whether there are fixes counts as the profile says of what is unknown, and where a limit asks for what the
//! list does not tell of something in it, the answer is inconclusive.

use jiff::Timestamp;

use super::assess::{Besides, Subject, ages, assess, conclude, yet_to_come};
use super::census::Census;
use super::predicate::{ScanResult, Scanned, Scanner, Severity, Vulnerability};
use super::read::{ReportProblem, of_document};
use super::report::{Database, ImageSource, Match, Report, Source};
use super::statement::{Statement, shortened};
use super::weigh::{Fate, Weighed, weigh};
use crate::model::{FixState, ScanOutcome, Verdict, VulnerabilitySeverity};
use crate::policy::ScanPolicy;

/// A scan that somebody else made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The name of the key that signed it.
    pub by: String,
    /// When the scan ended, as it says.
    pub finished: Option<Timestamp>,
    /// What follows from it.
    pub verdict: Verdict,
}

/// Why a signed statement is no scan.
#[derive(Debug, thiserror::Error)]
pub enum AttestedProblem {
    /// It says something else of the image.
    #[error("what `{by}` signed says nothing of vulnerabilities: its predicate is `{0}`", by = .1)]
    Predicate(String, String),
    /// The predicate is not written as it should be.
    #[error("what `{by}` signed is no scan that can be read: {0}", by = .1)]
    Form(#[source] serde_json::Error, String),
    /// No scanner, or two ways of naming them.
    #[error("what `{0}` signed names no scanner, or both `scanner` and `scanners`")]
    Scanners(String),
    /// A report of another scanner.
    #[error("what `{by}` signed holds a report that is not read: {0}", by = .1)]
    Report(#[source] ReportProblem, String),
}

/// Reads a signed scan and judges it.
pub(super) fn judged(
    statement: &Statement<'_>,
    census: Option<&Census>,
    subject: &Subject,
    policy: &ScanPolicy,
    now: Timestamp,
) -> Result<Attested, AttestedProblem> {
    let by = || statement.by.name.clone();
    if !PREDICATES.contains(&statement.predicate_type.as_str()) {
        return Err(AttestedProblem::Predicate(shortened(&statement.predicate_type), by()));
    }
    let scanned: Scanned =
        serde_json::from_slice(&statement.text).map_err(|problem| AttestedProblem::Form(problem, by()))?;
    let (scanners, finished) = scanned.predicate.scanners().ok_or_else(|| AttestedProblem::Scanners(by()))?;
    let mut verdicts = Vec::new();
    for Scanner { uri, version, db, result } in scanners {
        verdicts.push(match result {
            ScanResult::Report(document) => {
                let mut report = of_document(*document).map_err(|problem| AttestedProblem::Report(problem, by()))?;
                // Whichever is older: a report may have been attested long after it was made.
                report.taken = report.taken.map(|taken| finished.map_or(taken, |finished| finished.min(taken)));
                assess(&report, census, Some(subject), policy, now)
            }
            ScanResult::List(found) => {
                let database = db.map(|db| (db.uri.0, db.last_update.0));
                let report = report_of(&found, &subject.digest, finished, database, policy);
                by_list(&Report { version: format!("{} {}", uri.0, version.0), ..report }, policy, now)
            }
        });
    }
    let verdict = gravest(verdicts).ok_or_else(|| AttestedProblem::Scanners(by()))?;
    Ok(Attested { by: by(), finished, verdict })
}

/// What counts of several verdicts on one image: one that fails, before one that passes, before those that do not know.
pub(super) fn gravest(verdicts: impl IntoIterator<Item = Verdict>) -> Option<Verdict> {
    verdicts.into_iter().min_by_key(|verdict| match verdict.outcome {
        ScanOutcome::Fail if verdict.graceless => 0,
        ScanOutcome::Fail => 1,
        ScanOutcome::Excepted => 2,
        ScanOutcome::Pass => 3,
        ScanOutcome::Stale => 4,
        ScanOutcome::Inconclusive => 5,
        ScanOutcome::ScanError => 6,
        ScanOutcome::NoResult => 7,
    })
}

/// A list as a report that knows no more than the list says.
fn report_of(
    found: &[Vulnerability],
    digest: &str,
    finished: Option<Timestamp>,
    database: Option<(String, Option<Timestamp>)>,
    policy: &ScanPolicy,
) -> Report {
    let (from, built) = database.unwrap_or_default();
    Report {
        version: String::new(),
        taken: finished,
        source: Source::Image(ImageSource { manifest: digest.to_owned(), is_whole: true, platform: String::new() }),
        distribution: None,
        database: Some(Database { schema: String::new(), from, built, problem: None, providers: Default::default() }),
        matches: found.iter().map(|one| match_of(one, policy)).collect(),
        end_of_life: 0,
        settings: None,
    }
}

fn match_of(found: &Vulnerability, policy: &ScanPolicy) -> Match {
    let scores = |names: &[&str], most: f64| {
        let of = found.severities.iter().filter(|one| is_by(one, names));
        of.filter_map(|one| one.score.parse().ok()).filter(|score| (0.0..=most).contains(score)).max_by(f64::total_cmp)
    };
    let cvss = scores(CVSS, 10.0);
    let word = |one: &Severity| VulnerabilitySeverity::read(&one.score);
    let words = found.severities.iter().filter_map(word).max();
    // One word that nobody knows may mean the gravest.
    let is_open = found.severities.iter().any(|one| word(one).is_none() && !is_by(one, CVSS) && !is_by(one, EPSS));
    let known = words.or_else(|| cvss.map(VulnerabilitySeverity::of_cvss));
    Match {
        id: shortened(&found.id),
        aliases: Vec::new(),
        severity: known.map(|known| if is_open { known.max(policy.unknown.severity) } else { known }),
        fix: FixState::Unknown,
        fixed_in: Vec::new(),
        cvss,
        epss: scores(EPSS, 1.0),
        known_exploited: false,
        package: String::new(),
        version: String::new(),
        kind: String::new(),
    }
}

/// Whether a severity is by one of these methods.
fn is_by(severity: &Severity, names: &[&str]) -> bool {
    names.iter().any(|name| severity.method.to_ascii_lowercase().contains(name))
        && severity.score.parse::<f64>().is_ok()
}

fn by_list(report: &Report, policy: &ScanPolicy, now: Timestamp) -> Verdict {
    let weighed = weigh(&report.matches, report.digest(), policy, now);
    let mut unknown = Vec::new();
    match report.taken {
        None => unknown.push("the attestation does not say when the scan ended (`metadata.scanFinishedOn`)".to_owned()),
        Some(taken) => unknown.extend(yet_to_come("the report", taken, now)),
    }
    match report.database.as_ref().and_then(|database| database.built) {
        None => {
            unknown.push("the attestation does not say of when the database is (`scanner.db.lastUpdate`)".to_owned())
        }
        Some(built) => unknown.extend(yet_to_come("the database", built, now)),
    }
    unknown.extend(untold(&weighed, policy));
    let verdict = conclude(&weighed, Besides { fails: None, unknown, ages: ages(report, policy) }, policy, now);
    // What fails may be exploited, which a list does not tell, so nobody is let go on with it.
    Verdict { graceless: verdict.outcome == ScanOutcome::Fail, ..verdict }
}

/// What a limit asks for and a list does not say of what is in it. Of what fails, is excepted or is allowed nothing more
/// need be known.
fn untold(weighed: &[Weighed<'_>], policy: &ScanPolicy) -> Vec<String> {
    let fail_on = &policy.fail_on;
    let is_allowed = |found: &Match| found.is_covered(|id| policy.allow.iter().any(|one| one.eq_ignore_ascii_case(id)));
    let passing = weighed.iter().filter(|one| one.fate == Fate::Passes).map(|one| one.found);
    let open: Vec<&Match> = passing.filter(|found| !is_allowed(found)).collect();
    let mut untold = Vec::new();
    let mut asked = |field: &str, is_open: &dyn Fn(&Match) -> bool| {
        if let Some(found) = open.iter().find(|found| is_open(found)) {
            untold.push(format!("`{field}` is asked for, which the attestation does not tell of {}", found.id));
        }
    };
    if fail_on.known_exploited {
        asked("failOn.knownExploited", &|_| true);
    }
    if fail_on.epss.is_some() {
        asked("failOn.epss", &|found| found.epss.is_none());
    }
    if fail_on.cvss.is_some() {
        asked("failOn.cvss", &|found| found.cvss.is_none());
    }
    // What is denied by one name may stand in the list by another.
    let family = |id: &str| id.split('-').next().unwrap_or_default().to_ascii_uppercase();
    asked("deny", &|found| policy.deny.iter().any(|denied| family(denied) != family(&found.id)));
    if fail_on.end_of_life {
        untold.push("`failOn.endOfLife` is asked for, which the attestation does not tell".to_owned());
    }
    untold
}

/// Methods whose numbers are CVSS base scores.
const CVSS: &[&str] = &["cvss", "nvd"];
const EPSS: &[&str] = &["epss"];
const PREDICATES: &[&str] = &[
    "https://cosign.sigstore.dev/attestation/vuln/v1",
    "https://in-toto.io/attestation/vulns/v0.1",
    "https://in-toto.io/attestation/vulns/v0.2",
];
