//! What becomes of each match under a profile's section `scan`.

use jiff::Timestamp;

use super::report::Match;
use crate::model::{FixState, VulnerabilitySeverity};
use crate::policy::{ScanException, ScanPolicy};

/// A match and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighed<'a> {
    /// What was found.
    pub found: &'a Match,
    /// The severity that counts.
    pub severity: VulnerabilitySeverity,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It reaches no limit, or is allowed.
    Passes,
    /// It reaches these limits, and an exception lets it pass until then.
    Excepted(Vec<String>, Timestamp),
    /// It reaches these limits.
    Fails(Vec<String>),
}

/// Each match with what becomes of it at `now`, the gravest first. `digest` is that of the image's manifest, where it is
/// known.
pub fn weigh<'a>(matches: &'a [Match], digest: Option<&str>, policy: &ScanPolicy, now: Timestamp) -> Vec<Weighed<'a>> {
    let weighed = |found: &'a Match| {
        let severity = found.severity.unwrap_or(policy.unknown.severity);
        Weighed { found, severity, fate: fate(found, severity, digest, policy, now) }
    };
    let mut all: Vec<Weighed<'a>> = matches.iter().map(weighed).collect();
    let gravity = |one: &Weighed<'a>| (one.fate != Fate::Passes, one.severity, one.found.known_exploited);
    all.sort_by(|a, b| {
        let names = |one: &Weighed<'a>| (&one.found.id, &one.found.package);
        gravity(b).cmp(&gravity(a)).then_with(|| names(a).cmp(&names(b)))
    });
    all
}

fn fate(
    found: &Match,
    severity: VulnerabilitySeverity,
    digest: Option<&str>,
    policy: &ScanPolicy,
    now: Timestamp,
) -> Fate {
    if found.is_called(|id| is_in(&policy.deny, id)) {
        return Fate::Fails(vec!["it is in `deny`".to_owned()]);
    }
    let limits = limits(found, severity, policy);
    if limits.is_empty() || found.is_covered(|id| is_in(&policy.allow, id)) {
        return Fate::Passes;
    }
    let covering = policy.exceptions.iter().filter(|exception| covers(exception, found, digest));
    match covering.map(|exception| exception.expires).max() {
        Some(expires) if now < expires => Fate::Excepted(limits, expires),
        _ => Fate::Fails(limits),
    }
}

fn is_in(list: &[String], id: &str) -> bool {
    list.iter().any(|one| one.eq_ignore_ascii_case(id))
}

/// Whether all that an exception names fits. No digest fits one that is not known.
fn covers(exception: &ScanException, found: &Match, digest: Option<&str>) -> bool {
    let ScanException { vulnerability, package, digest: wanted, .. } = exception;
    vulnerability.as_ref().is_none_or(|id| found.is_covered(|name| name.eq_ignore_ascii_case(id)))
        && package.as_ref().is_none_or(|package| *package == found.package)
        && wanted.as_ref().is_none_or(|wanted| digest == Some(wanted))
}

/// The limits that a match reaches.
fn limits(found: &Match, severity: VulnerabilitySeverity, policy: &ScanPolicy) -> Vec<String> {
    let fail_on = &policy.fail_on;
    let mut limits = Vec::new();
    let fix = if found.fix == FixState::Unknown { policy.unknown.fix_state } else { found.fix };
    let stands_for = if found.severity.is_none() { ", as which an unknown severity counts" } else { "" };
    if let Some(limit) = fail_on.severity.filter(|limit| severity >= *limit) {
        limits.push(format!("{} and above fail{stands_for}", limit.word()));
    } else if let Some(limit) = fail_on.severity_fixed.filter(|limit| fix == FixState::Fixed && severity >= *limit) {
        let known = if found.fix == FixState::Fixed { "" } else { " or where nobody says" };
        limits.push(format!("{} and above fail where a fix exists{known}{stands_for}", limit.word()));
    }
    if let (Some(score), Some(limit)) = (found.cvss, fail_on.cvss)
        && score >= limit
    {
        limits.push(format!("its CVSS score {score} reaches {limit}"));
    }
    if let (Some(likely), Some(limit)) = (found.epss, fail_on.epss)
        && likely >= limit
    {
        limits.push(format!("its EPSS probability {likely} reaches {limit}"));
    }
    if found.known_exploited && fail_on.known_exploited {
        limits.push("it is known to be exploited".to_owned());
    }
    limits
}

impl Weighed<'_> {
    /// The limits that it reaches.
    pub fn limits(&self) -> &[String] {
        match &self.fate {
            Fate::Passes => &[],
            Fate::Excepted(limits, _) | Fate::Fails(limits) => limits,
        }
    }

    /// Whether an image that has run before may not go on with it for a while.
    pub fn is_graceless(&self, policy: &ScanPolicy) -> bool {
        self.found.known_exploited || self.found.is_called(|id| is_in(&policy.deny, id))
    }

    /// Which finding, which limit, what to do.
    pub fn text(&self) -> String {
        let Match { id, package, version, kind, severity, .. } = self.found;
        let graded = severity.map_or("unknown", VulnerabilitySeverity::word);
        let limits = self.limits().join("; ");
        // Lists in attestations name no packages.
        let place = if package.is_empty() { String::new() } else { format!(" in {package} {version} ({kind})") };
        if limits.is_empty() {
            return format!("{id} ({graded}){place}: reaches no limit");
        }
        format!("{id} ({graded}){place}: {limits}; {}", self.remedy())
    }

    /// What to do.
    fn remedy(&self) -> String {
        match (&self.fate, self.found.fixed_in.split_first()) {
            (Fate::Excepted(_, until), _) => format!("excepted until {until}"),
            (_, Some((first, []))) => format!("build the image with {first}"),
            (_, Some((first, rest))) => format!("build the image with {first} (or {})", rest.join(", ")),
            (_, None) if self.found.package.is_empty() => {
                "where it is and whether there is a fix, its scanner's own report says".to_owned()
            }
            (_, None) => "there is no fix: use another package, or have it excepted".to_owned(),
        }
    }
}
