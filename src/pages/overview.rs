//! Edge: the page that says how everything stands.

use std::collections::BTreeMap;

use askama::Template;
use jiff::{SignedDuration, Timestamp};

use super::PageParts;
use super::answer::Answer;
use super::chart::{Chart, chart};
use super::frame::Frame;
use super::look::Look;
use super::problem::PageProblem;
use super::query::CLUSTER;
use crate::archive::{FindingCount, LastReport, RunSummary};
use crate::model::{Severity, moment, one_line};
use crate::policy::PolicySet;
use crate::report::Subject;

#[derive(Template)]
#[template(path = "pages/overview.html")]
struct Page {
    frame: Frame,
    /// As a class of the style and in words.
    state: (&'static str, &'static str),
    /// Of the last run; none before the first.
    last: Option<Last>,
    failing: u64,
    bars: Vec<Bar>,
    chart: Option<Chart>,
    days: u32,
    rules: Vec<(String, Severity, u64)>,
    namespaces: Vec<(String, String, u64)>,
    ending: Vec<(String, [String; 2], String)>,
    problems: Vec<[String; 2]>,
    /// Why the policy files as they are now are not in force.
    refused: Option<String>,
    /// Whether everything is seen.
    sees_all: bool,
}

struct Last {
    number: i64,
    made: [String; 2],
    score: u8,
    coverage: u8,
    judged: usize,
    opened: u64,
    fixed: u64,
}

/// A part of the bar that shows what fails by severity, in user units of an SVG that is 400 wide.
struct Bar {
    severity: Severity,
    count: u64,
    from: u64,
    width: u64,
}

pub(super) async fn page(parts: &PageParts, look: &Look) -> Result<Answer, PageProblem> {
    let archive = &parts.archive;
    let run = archive.latest_audit(Subject::Cluster).await?;
    let counts = archive.finding_counts(Subject::Cluster, look.access.within.clone()).await?;
    let days = look.query.number("days", 30, 365).max(1);
    // What runs came to says something of every namespace.
    let (runs, told) = match look.access.sees_all() {
        true => {
            let days = u16::try_from(days).unwrap_or(30);
            let runs = archive.audit_runs(Subject::Cluster, days, look.now, POINTS).await?;
            (runs, archive.last_report(Subject::Cluster).await?)
        }
        false => (Vec::new(), None),
    };
    let failing = counts.iter().map(|count| count.count).sum();
    let seen = run.as_ref().map(|run| (look.now.duration_since(run.made), run.coverage.is_whole()));
    let page = Page {
        frame: look.frame.clone(),
        state: state(seen, failing, look.policies.auditor.audit.every_minutes),
        failing,
        bars: bars(&counts, failing),
        chart: chart(&runs),
        days,
        rules: rules(&counts),
        namespaces: namespaces(&counts),
        ending: told.as_ref().map(|told| ending(told, look.now)).unwrap_or_default(),
        problems: told.as_ref().map(problems).unwrap_or_default(),
        refused: if look.access.sees_all() { refused(parts) } else { None },
        sees_all: look.access.sees_all(),
        last: run.map(last),
    };
    Ok(Answer::page(200, page.render()?))
}

/// Nothing is green that is not known: of the last run how old it is and whether it saw everything, and how often there is
/// one, in minutes.
fn state(last: Option<(SignedDuration, bool)>, failing: u64, every: u16) -> (&'static str, &'static str) {
    let Some((age, whole)) = last else {
        return ("unknown", "No audit was written down yet: nobody knows how it stands.");
    };
    let old = age > SignedDuration::from_mins(i64::from(every).saturating_mul(3).max(15));
    match (failing, old, whole) {
        (0, false, true) => ("holds", "Nothing fails."),
        (0, false, false) => ("unknown", "Nothing of what was looked at fails; not everything was."),
        (0, true, _) => ("unknown", "The last audit is old: nobody knows how it stands now."),
        (_, true, _) => ("fails", "Containment did not hold everywhere, and the last audit is old."),
        (_, _, true) => ("fails", "Containment does not hold everywhere."),
        (_, _, false) => ("fails", "Containment does not hold everywhere, and not everything was looked at."),
    }
}

fn last(run: RunSummary) -> Last {
    Last {
        number: run.number,
        made: moment(&run.made),
        score: run.score,
        coverage: run.coverage.percent,
        judged: run.summary.judged,
        opened: run.opened,
        fixed: run.fixed,
    }
}

fn bars(counts: &[FindingCount], all: u64) -> Vec<Bar> {
    let mut before = 0_u64;
    let bars = Severity::ALL.into_iter().filter_map(|severity| {
        let count = counts.iter().filter(|one| one.severity == severity).map(|one| one.count).sum::<u64>();
        let from = before.saturating_mul(WIDTH).checked_div(all)?;
        before = before.saturating_add(count);
        let to = before.saturating_mul(WIDTH).checked_div(all)?;
        (count > 0).then(|| Bar { severity, count, from, width: to.saturating_sub(from).max(1) })
    });
    bars.collect()
}

/// The rules by which most fails, the worst first.
fn rules(counts: &[FindingCount]) -> Vec<(String, Severity, u64)> {
    let mut rules: BTreeMap<(&str, Severity), u64> = BTreeMap::new();
    for one in counts {
        *rules.entry((&one.rule, one.severity)).or_default() += one.count;
    }
    let rules = rules.into_iter().map(|((rule, severity), count)| (one_line(rule, LONGEST), severity, count));
    let mut rules: Vec<_> = rules.collect();
    rules.sort_by(|a, b| (b.1, b.2, &a.0).cmp(&(a.1, a.2, &b.0)));
    rules.truncate(ROWS);
    rules
}

/// Namespaces as the address and as people call them, with what fails there.
fn namespaces(counts: &[FindingCount]) -> Vec<(String, String, u64)> {
    let mut namespaces: BTreeMap<&str, u64> = BTreeMap::new();
    for one in counts {
        *namespaces.entry(&one.namespace).or_default() += one.count;
    }
    let named = |name: &str| match name {
        "" => (CLUSTER.to_owned(), "the whole cluster".to_owned()),
        name => (name.to_owned(), name.to_owned()),
    };
    let mut rows: Vec<_> = namespaces.into_iter().map(|(name, count)| (named(name).0, named(name).1, count)).collect();
    rows.sort_by(|a, b| (b.2, &a.0).cmp(&(a.2, &b.0)));
    rows.truncate(ROWS);
    rows
}

/// Exceptions that end soon: whom they let pass, when, who answers for them.
fn ending(told: &LastReport, now: Timestamp) -> Vec<(String, [String; 2], String)> {
    let soon = now + SOON;
    let ends = |expires: Timestamp| expires > now && expires <= soon;
    let ending = told.report.exceptions.iter().filter(|one| ends(one.exception.expires));
    let ending = ending.map(|one| {
        let exception = &one.exception;
        let covers = one_line(&format!("{}: {}", one.from, exception.covers), LONGEST);
        (covers, moment(&exception.expires), one_line(&exception.owner, LONGEST))
    });
    ending.take(ROWS).collect()
}

fn problems(told: &LastReport) -> Vec<[String; 2]> {
    let problems = told.report.problems.iter().take(PROBLEMS);
    problems.map(|one| [one_line(&one.place(), LONGEST), one_line(&one.message, LONGEST)]).collect()
}

pub(super) fn refused(parts: &PageParts) -> Option<String> {
    let files = match (parts.files)() {
        Ok(files) => files,
        Err(problem) => return Some(one_line(&problem, LONGEST)),
    };
    let parsed = PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    parsed.err().map(|problem| one_line(&crate::telemetry::whole(&problem), LONGEST))
}

const HERE: &str = "/";
const WIDTH: u64 = 400;
const POINTS: u16 = 120;
const ROWS: usize = 20;
const PROBLEMS: usize = 100;
const LONGEST: usize = 1000;
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_hold_is_green() {
        let minutes = SignedDuration::from_mins;
        for (last, failing, every, want) in [
            (None, 0, 10, "unknown"),
            (None, 3, 10, "unknown"),
            (Some((minutes(1), true)), 0, 10, "holds"),
            (Some((minutes(30), true)), 0, 10, "holds"),
            (Some((minutes(31), true)), 0, 10, "unknown"),
            (Some((minutes(15), true)), 0, 1, "holds"),
            (Some((minutes(16), true)), 0, 1, "unknown"),
            (Some((minutes(1), false)), 0, 10, "unknown"),
            (Some((minutes(1), true)), 1, 10, "fails"),
            (Some((minutes(1), false)), 1, 10, "fails"),
            (Some((minutes(90), true)), 1, 10, "fails"),
        ] {
            assert_eq!(state(last, failing, every).0, want, "{last:?} {failing} {every}");
        }
    }
}
