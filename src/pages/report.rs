//! Edge: the report of what was found, as a file in each of its forms, with what somebody may see and wants.

use std::sync::Arc;

use super::PageParts;
use super::access::Access;
use super::answer::Answer;
use super::look::Look;
use super::problem::PageProblem;
use super::query::finding_filter;
use crate::archive::{FindingFilter, FoundPage, KnownFinding, LastReport};
use crate::report::{Colours, Entry, Form, Found, Problem, Report, RuleAbout, Subject, Summary, Told};

pub(super) async fn file(parts: &PageParts, look: &Look, form: Form) -> Result<Answer, PageProblem> {
    let filter = finding_filter(&look.query, &look.access);
    let everything = FindingFilter { within: filter.within.clone(), ..FindingFilter::default() };
    let everything = FindingFilter { which: filter.which, ..everything } == filter;
    let last = parts.archive.last_report(Subject::Cluster).await?.ok_or(PageProblem::None)?;
    let (findings, left_out) = findings(parts, filter).await?;
    let mut problems = Vec::new();
    // What a report leaves out it says, and never looks whole.
    if !look.access.sees_all() {
        problems.push("namespaces that your roles do not have are left out".to_owned());
    }
    if !everything {
        problems.push(format!("findings that the filter leaves out are left out: {}", look.query.without(&["page"])));
    }
    if left_out > 0 {
        problems.push(format!("{left_out} findings are left out, since all of them are too long; filter them"));
    }
    let report = assembled(last, &look.access, findings, problems);
    let name = format!("flamewarden-audit{}", ending(form));
    Ok(Answer::file(form.media_type(), &name, form.of(&report, Colours::Off)?))
}

/// Findings of all pages, and how many are too many.
async fn findings(parts: &PageParts, filter: FindingFilter) -> Result<(Vec<Entry>, u64), PageProblem> {
    let (mut entries, mut held) = (Vec::new(), 0_usize);
    loop {
        let from = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let FoundPage { total, findings } =
            parts.archive.findings(Subject::Cluster, filter.clone(), from, PAGE).await?;
        let is_last = findings.len() < usize::try_from(PAGE).unwrap_or_default();
        for one in findings.into_iter().map(entry) {
            held += one.path.len() + one.value.len() + one.message.len() + one.remedy_line().len() + 512;
            if held > MOST {
                break;
            }
            entries.push(one);
        }
        if is_last || held > MOST {
            let left_out = total.saturating_sub(u64::try_from(entries.len()).unwrap_or(total));
            return Ok((entries, left_out));
        }
    }
}

fn entry(known: KnownFinding) -> Entry {
    let remedy = if known.remedy.is_empty() { Vec::new() } else { vec![known.remedy] };
    Entry {
        place: None,
        object: Arc::new(known.object),
        outcome: known.outcome,
        excepted: None,
        since: None,
        told: Told {
            rule: known.rule.into(),
            severity: known.severity,
            path: known.path.into(),
            value: known.value.into(),
            message: known.message.into(),
            remedy: remedy.into(),
        }
        .into(),
    }
}

/// The last run's report with these findings, and with what else of it may be seen.
fn assembled(last: LastReport, access: &Access, findings: Vec<Entry>, left_out: Vec<String>) -> Report {
    let LastReport { report, objects } = last;
    let sees_all = access.sees_all();
    let mine = objects.iter().filter(|(namespace, _)| access.sees(namespace)).map(|(_, count)| count).sum();
    let summary = if sees_all { report.summary } else { Summary { judged: mine, ..Summary::default() } };
    let seen = summary.judged + summary.unguarded + summary.not_judged;
    let mut problems: Vec<Problem> = left_out.into_iter().map(Problem::of_cluster).collect();
    problems.extend(report.problems.into_iter().filter(|_| sees_all));
    let found = Found {
        subject: report.subject,
        // Lists and facts of the whole cluster are nothing of a namespace.
        looked_at: if sees_all { report.coverage.seen.saturating_sub(seen) } else { 0 },
        objects: Summary {
            judged: summary.judged,
            unguarded: summary.unguarded,
            not_judged: summary.not_judged,
            ..Summary::default()
        },
        findings,
        exceptions: if sees_all { report.exceptions } else { Vec::new() },
        problems,
    };
    let known = report.rules;
    let about = |rule: &str| {
        let about = known.iter().find(|about| about.id == rule);
        about.cloned().unwrap_or_else(|| RuleAbout::new(rule, rule, "", crate::model::Severity::Low, &[]))
    };
    Report::new(found, about, report.made)
}

fn ending(form: Form) -> &'static str {
    match form {
        Form::Text => ".txt",
        Form::Json => ".json",
        Form::Sarif => ".sarif",
        Form::Junit => ".xml",
        Form::Csv => ".csv",
        Form::Markdown => ".md",
        Form::Html => ".html",
        Form::OpenReports => ".openreports.json",
        Form::PolicyReports => ".policyreports.json",
    }
}

const PAGE: u32 = 1000;
/// Bytes that are put together in memory.
const MOST: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::Timestamp;

    use super::*;
    use crate::report::ExceptionUse;

    #[test]
    fn a_report_has_the_counts_of_what_may_be_seen() {
        let excepted = crate::model::Excepted {
            covers: "c".to_owned(),
            owner: "o".to_owned(),
            reason: "r".to_owned(),
            expires: Timestamp::MAX,
        };
        let found = Found {
            subject: Subject::Cluster,
            objects: Summary { judged: 30, unguarded: 4, not_judged: 6, ..Summary::default() },
            looked_at: 7,
            findings: Vec::new(),
            exceptions: vec![ExceptionUse::new("p", "f", excepted, Some(1), Timestamp::UNIX_EPOCH)],
            problems: vec![Problem::of_cluster("away".to_owned())],
        };
        let about = |rule: &str| RuleAbout::new(rule, "t", "w", crate::model::Severity::Low, &[]);
        let report = Report::new(found, about, Timestamp::UNIX_EPOCH);
        let objects = [("", 9), ("a", 5), ("b", 16)].map(|(name, count)| (name.to_owned(), count));
        let last = LastReport { report, objects: BTreeMap::from(objects) };
        let within = |names: &[&str]| {
            let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Access { roles: Vec::new(), within: Some(names) }
        };
        for (access, judged, seen, missed, exceptions) in [
            (Access::everything(), 30, 47, 2, 1),
            (within(&["a"]), 5, 5, 1, 0),
            (within(&["a", "b", "x"]), 21, 21, 1, 0),
            (within(&[]), 0, 0, 1, 0),
        ] {
            let made = assembled(last.clone(), &access, Vec::new(), vec!["left out".to_owned()]);
            let told = (made.summary.judged, made.coverage.seen, made.coverage.missed, made.exceptions.len());
            assert_eq!(told, (judged, seen, missed, exceptions), "{access:?}");
            assert_eq!(made.problems.len(), missed);
        }
    }
}
