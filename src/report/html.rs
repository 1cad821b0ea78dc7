//! The report as one file of HTML, to be read, mailed and printed. It loads nothing and runs nothing.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;

use super::{Entry, ExceptionState, Outcome, Report, RuleAbout, Since, Subject};
use crate::model::{Severity, moment, one_line};

pub(super) fn html(report: &Report) -> Result<String, askama::Error> {
    let page = Page {
        report,
        style: STYLE,
        made: moment(&report.made),
        compared: moment(&report.baseline.as_ref().map(|baseline| baseline.made).unwrap_or_default()),
        bars: bars(report),
        sections: sections(report),
        controls: controls(report),
        exceptions: exceptions(report),
        problems: report.problems.iter().map(|one| [shown(&one.place()), shown(&one.message)]).collect(),
        rules: report.rules.iter().map(told).collect(),
    };
    page.render()
}

#[derive(Template)]
#[template(path = "report/page.html")]
struct Page<'a> {
    report: &'a Report,
    style: &'static str,
    made: [String; 2],
    /// When the baseline was made, where there is one.
    compared: [String; 2],
    bars: Vec<Bar>,
    sections: Vec<Section<'a>>,
    controls: Vec<Met>,
    exceptions: Vec<Excused>,
    problems: Vec<[String; 2]>,
    rules: Vec<Told>,
}

/// Findings of one sort.
struct Section<'a> {
    id: &'static str,
    title: &'static str,
    why: &'static str,
    count: usize,
    groups: Vec<Group<'a>>,
}

/// Findings on one object.
struct Group<'a> {
    object: String,
    place: String,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    entry: &'a Entry,
    /// Which of the report's rules; none of a rule that only a baseline has.
    about: Option<usize>,
    rule: String,
    path: String,
    value: String,
    message: String,
    remedy: String,
    controls: String,
    notes: Vec<String>,
}

/// A part of the bar that shows what fails by severity, in user units of an SVG that is 400 wide.
struct Bar {
    severity: Severity,
    count: usize,
    from: usize,
    width: usize,
}

/// A published control that is not met everywhere.
struct Met {
    control: String,
    rules: String,
    findings: usize,
}

/// An exception as the page tells of it.
struct Excused {
    state: &'static str,
    /// Whether somebody should do something about it.
    is_idle: bool,
    from: String,
    covers: String,
    owner: String,
    reason: String,
    expires: [String; 2],
    findings: usize,
}

/// A rule as the page tells of it.
struct Told {
    id: String,
    severity: Severity,
    says: String,
}

impl Page<'_> {
    /// What the report comes to, as a class of the style and in words.
    fn state(&self) -> (&'static str, &'static str) {
        match (self.report.summary.failing.total(), self.report.coverage.is_whole()) {
            (0, true) => ("holds", "Nothing fails."),
            (0, false) => ("unknown", "Nothing of what was looked at fails; not everything was."),
            (_, true) => ("fails", "Containment does not hold everywhere."),
            (_, false) => ("fails", "Containment does not hold everywhere, and not everything was looked at."),
        }
    }

    fn audited(&self) -> &'static str {
        match self.report.subject {
            Subject::Files => "manifests, judged as they would be at admission",
            Subject::Cluster => "a cluster, as it stands",
        }
    }

    /// What else there is, where there is any.
    fn besides(&self) -> Vec<String> {
        let count = &self.report.summary;
        let all = [
            (count.warnings, "warnings"),
            (count.reported, "reported"),
            (count.mended, "mended at admission"),
            (count.unguarded, "objects in namespaces that are not guarded"),
            (count.not_judged, "objects of kinds that no rule is about"),
        ];
        all.into_iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")).collect()
    }
}

fn sections(report: &Report) -> Vec<Section<'_>> {
    let of = |wanted: &[Outcome]| report.findings.iter().filter(|entry| wanted.contains(&entry.outcome)).collect();
    let why = "Refused at admission, or standing in the cluster against the policies.";
    let failing = of(&[Outcome::Violated, Outcome::Refused]);
    let mut sections = vec![section(report, "failing", "What fails", why, failing)];
    let why = "Admitted; the profile only warns of them.";
    sections.push(section(report, "warnings", "Warnings", why, of(&[Outcome::Warning])));
    let why = "Admitted under an exception, or by a rule that only reports.";
    sections.push(section(report, "reported", "Reported", why, of(&[Outcome::Reported])));
    let why = "Nothing is to be done: the webhook fills this in.";
    sections.push(section(report, "mended", "Mended at admission", why, of(&[Outcome::Mended])));
    if let Some(baseline) = &report.baseline {
        let why = "In the baseline, and gone since.";
        let fixed = baseline.fixed.iter().collect();
        sections.push(section(report, "fixed", "Fixed since the baseline", why, fixed));
        let why =
            "In the baseline, of objects that could not be looked at this time: nobody knows whether they are fixed.";
        let incomparable = baseline.incomparable.iter().collect();
        sections.push(section(report, "incomparable", "Not comparable", why, incomparable));
    }
    sections.retain(|section| section.id == "failing" || section.count > 0);
    sections
}

fn section<'a>(
    report: &Report,
    id: &'static str,
    title: &'static str,
    why: &'static str,
    entries: Vec<&'a Entry>,
) -> Section<'a> {
    Section { id, title, why, count: entries.len(), groups: groups(report, &entries) }
}

fn groups<'a>(report: &Report, entries: &[&'a Entry]) -> Vec<Group<'a>> {
    let groups = entries.chunk_by(|a, b| (&a.place, &a.object) == (&b.place, &b.object)).filter_map(|entries| {
        let first = entries.first()?;
        let place = first.place.as_ref().map(|place| format!("{}, line {}", place.file, place.line));
        Some(Group {
            object: shown(&first.object.to_string()),
            place: shown(&place.unwrap_or_default()),
            rows: entries.iter().map(|entry| row(report, entry)).collect(),
        })
    });
    groups.collect()
}

fn row<'a>(report: &Report, entry: &'a Entry) -> Row<'a> {
    let excepted = entry.excepted.as_ref();
    let excepted =
        excepted.map(|one| format!("excepted by {} until {}: {}", one.owner, moment(&one.expires)[0], one.reason));
    let since = entry.since.map(|since| if since == Since::New { "New" } else { "In the baseline" }.to_owned());
    let about = report.rules.iter().position(|about| about.id == *entry.rule);
    Row {
        entry,
        about,
        rule: shown(&entry.rule),
        path: shown(&entry.path),
        value: shown(&entry.value),
        message: shown(&entry.message),
        remedy: shown(&entry.remedy_line()),
        controls: report.about(&entry.rule).map(|about| shown(&about.controls.join("; "))).unwrap_or_default(),
        notes: since.into_iter().chain(excepted).map(|note| shown(&note)).collect(),
    }
}

fn bars(report: &Report) -> Vec<Bar> {
    let all = report.summary.failing.total();
    let mut before = 0;
    let counts = report.summary.failing.each().into_iter().filter(|(_, count)| *count > 0);
    let bars = counts.map(|(severity, count)| {
        let from = (before * WIDTH).checked_div(all).unwrap_or_default();
        before += count;
        let to = (before * WIDTH).checked_div(all).unwrap_or_default();
        Bar { severity, count, from, width: to.saturating_sub(from).max(1) }
    });
    bars.collect()
}

/// The controls of the rules that something fails by.
fn controls(report: &Report) -> Vec<Met> {
    let mut met: BTreeMap<&str, (BTreeSet<&str>, usize)> = BTreeMap::new();
    for entry in report.failing() {
        for control in report.about(&entry.rule).into_iter().flat_map(|about| &about.controls) {
            let (rules, findings) = met.entry(control).or_default();
            rules.insert(&entry.rule);
            *findings += 1;
        }
    }
    let met = met.into_iter().map(|(control, (rules, findings))| {
        let rules: Vec<&str> = rules.into_iter().collect();
        Met { control: shown(control), rules: shown(&rules.join(", ")), findings }
    });
    met.collect()
}

fn exceptions(report: &Report) -> Vec<Excused> {
    let excused = report.exceptions.iter().map(|one| Excused {
        state: one.state.word(),
        is_idle: matches!(one.state, ExceptionState::Expired | ExceptionState::Unused),
        from: shown(&one.from),
        covers: shown(&one.exception.covers),
        owner: shown(&one.exception.owner),
        reason: shown(&one.exception.reason),
        expires: moment(&one.exception.expires),
        findings: one.findings,
    });
    excused.collect()
}

fn told(rule: &RuleAbout) -> Told {
    let otherwise = if rule.why.is_empty() { String::new() } else { format!(" Otherwise: {}.", rule.why) };
    Told { id: shown(&rule.id), severity: rule.severity, says: shown(&format!("{}.{otherwise}", rule.title)) }
}

fn shown(text: &str) -> String {
    one_line(text, LONGEST)
}

/// Of the drawing.
const WIDTH: usize = 400;
/// Of one text on the page.
const LONGEST: usize = 4000;
const STYLE: &str = include_str!("page.css");
