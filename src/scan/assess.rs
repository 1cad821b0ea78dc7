//! The verdict: a report, held against what was asked for and a profile's section `scan`.

use jiff::{SignedDuration, Timestamp};

use super::census::Census;
use super::coverage::gaps;
use super::report::{Database, Report, Source};
use super::weigh::{Fate, Weighed, weigh};
use crate::model::{ScanOutcome, Verdict};
use crate::policy::ScanPolicy;

/// What a report must be of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The platform manifest's digest.
    pub digest: String,
    /// Its platform, such as `linux/amd64`.
    pub platform: Option<String>,
}

/// The verdict on an image by the report of a scan, and the census of the same run where there is one. Without a subject
/// the report is believed to be of whatever it says that it is of.
pub fn assess(
    report: &Report,
    census: Option<&Census>,
    subject: Option<&Subject>,
    policy: &ScanPolicy,
    now: Timestamp,
) -> Verdict {
    // Of another image it says nothing, not even that something fails.
    if let Some(problem) = subject_problem(report, subject) {
        return Verdict::new(ScanOutcome::Inconclusive, vec![problem], None);
    }
    let digest = report.digest();
    let weighed = weigh(&report.matches, digest, policy, now);
    let end_of_life = policy.fail_on.end_of_life && report.end_of_life > 0;
    let fails = end_of_life.then(|| {
        format!(
            "{} packages are of a distribution that gets no fixes any more; build the image on one that does",
            report.end_of_life
        )
    });
    let mut unknown = unreliable(report, now);
    unknown.extend(gaps(report, census, policy));
    conclude(&weighed, Besides { fails, unknown, ages: ages(report, policy) }, policy, now)
}

/// What a verdict depends on besides what becomes of each match.
pub(super) struct Besides {
    /// What fails though it is no match.
    pub(super) fails: Option<String>,
    /// What is not known.
    pub(super) unknown: Vec<String>,
    /// What gets too old.
    pub(super) ages: Vec<Age>,
}

/// The verdict by what becomes of each match, and by what there is besides.
pub(super) fn conclude(weighed: &[Weighed<'_>], besides: Besides, policy: &ScanPolicy, now: Timestamp) -> Verdict {
    let Besides { fails, unknown, ages } = besides;
    let of = |wanted: fn(&Fate) -> bool| weighed.iter().filter(move |one| wanted(&one.fate));
    // Of many that fail, the first are told and the others counted, so no list is made of their texts.
    let mut failing = of(|fate| matches!(fate, Fate::Fails(_))).map(Weighed::text).chain(fails).peekable();
    if failing.peek().is_some() {
        let graceless = of(|fate| matches!(fate, Fate::Fails(_))).any(|one| one.is_graceless(policy));
        return Verdict { graceless, ..Verdict::new(ScanOutcome::Fail, failing, None) };
    }
    if !unknown.is_empty() {
        return Verdict::new(ScanOutcome::Inconclusive, unknown, None);
    }
    let outdated: Vec<String> = ages.iter().filter(|age| now >= age.until).map(|age| age.text(now)).collect();
    if !outdated.is_empty() {
        return Verdict::new(ScanOutcome::Stale, outdated, None);
    }
    let expiries = weighed.iter().filter_map(|one| match one.fate {
        Fate::Excepted(_, until) => Some(until),
        _ => None,
    });
    let until = ages.iter().map(|age| age.until).chain(expiries).min();
    let mut excepted = of(|fate| matches!(fate, Fate::Excepted(..))).map(Weighed::text).peekable();
    let outcome = if excepted.peek().is_none() { ScanOutcome::Pass } else { ScanOutcome::Excepted };
    Verdict::new(outcome, excepted, until)
}

/// Whether the report is of the image that was asked for.
fn subject_problem(report: &Report, subject: Option<&Subject>) -> Option<String> {
    let image = match &report.source {
        Source::Other(kind) => return Some(format!("the report is of a source of type `{kind}`, not of an image")),
        Source::Image(image) => image,
    };
    let subject = subject?;
    if image.manifest != subject.digest {
        return Some(format!(
            "the report is of {}, not of {}; a scan by way of a container daemon makes up a manifest, so scan from the \
             registry",
            image.manifest, subject.digest
        ));
    }
    if !image.is_whole {
        return Some("the report does not hold the manifest and configuration whose digests it names".to_owned());
    }
    let platform = subject.platform.as_ref()?;
    let is_other = !is_platform(&image.platform, platform);
    let of = Some(image.platform.as_str()).filter(|of| !of.is_empty()).unwrap_or("no platform that has a name");
    is_other.then(|| format!("the report is of {of}, not of {platform}"))
}

/// Whether an image's platform is the wanted one; a variant counts where both name one, as `linux/arm/v7`.
fn is_platform(platform: &str, wanted: &str) -> bool {
    let ([os, architecture, variant], [wanted_os, wanted_architecture, wanted_variant]) =
        (parts(platform), parts(wanted));
    let same = os.is_some() && architecture.is_some() && (os, architecture) == (wanted_os, wanted_architecture);
    same && (variant.is_none() || wanted_variant.is_none() || variant == wanted_variant)
}

/// Operating system, architecture and variant of a platform's name.
fn parts(platform: &str) -> [Option<&str>; 3] {
    let mut parts = platform.splitn(3, '/');
    [parts.next(), parts.next(), parts.next()]
}

/// What makes a report tell nothing, whatever is in it.
fn unreliable(report: &Report, now: Timestamp) -> Vec<String> {
    let mut found = Vec::new();
    match &report.settings {
        None => found.push("the report does not say under which settings it was made".to_owned()),
        Some(settings) => found.extend(settings.suppressions.iter().cloned()),
    }
    match report.taken {
        None => found.push("the report does not say when it was made (`timestamp`)".to_owned()),
        Some(taken) => found.extend(yet_to_come("the report", taken, now)),
    }
    match &report.database {
        None => found.push("the report does not name its database".to_owned()),
        Some(Database { problem: Some(problem), .. }) => found.push(format!("the database is not valid: {problem}")),
        Some(Database { built: None, .. }) => found.push("the database does not say when it was built".to_owned()),
        Some(Database { built: Some(built), providers, .. }) => {
            found.extend(yet_to_come("the database", *built, now));
            found.extend(providers.iter().filter_map(|(name, captured)| match captured {
                None => Some(format!("the database does not say when `{name}` was captured")),
                Some(captured) => yet_to_come(&format!("what the database has of `{name}`"), *captured, now),
            }));
        }
    }
    found
}

/// What claims to be of the future would stay fresh for ever.
pub(super) fn yet_to_come(what: &str, moment: Timestamp, now: Timestamp) -> Option<String> {
    let is_so = moment.duration_since(now) > CLOCKS_APART;
    is_so.then(|| format!("{what} is of {moment}, which is yet to come; look at the clocks"))
}

/// Something that gets too old.
pub(super) struct Age {
    what: String,
    limit: SignedDuration,
    until: Timestamp,
}

impl Age {
    fn text(&self, now: Timestamp) -> String {
        let Age { what, limit, until } = self;
        let (most, over) = (limit.as_hours(), now.duration_since(*until).as_hours());
        format!("{what} is {} hours old, and {most} are allowed; scan again with a new database", most + over)
    }
}

/// What of a report gets too old.
pub(super) fn ages(report: &Report, policy: &ScanPolicy) -> Vec<Age> {
    let limits = &policy.maximum_age_hours;
    let age = |what: String, since: Timestamp, limit: SignedDuration| Age {
        what,
        limit,
        until: since.checked_add(limit).unwrap_or(Timestamp::MAX),
    };
    let taken = report.taken.map(|taken| age("the report".to_owned(), taken, limits.result()));
    let database = report.database.as_ref();
    let built = database.and_then(|database| Some(age("the database".to_owned(), database.built?, limits.database())));
    let providers = database.into_iter().flat_map(|database| &database.providers);
    let captured = providers.filter_map(|(name, captured)| {
        Some(age(format!("what the database has of `{name}`"), (*captured)?, limits.provider()))
    });
    taken.into_iter().chain(built).chain(captured).collect()
}

/// Clocks of machines that keep time differ by less.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(5);
