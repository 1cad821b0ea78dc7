//! The report as one file of HTML, to be read, mailed and printed. It loads nothing and runs nothing.

use askama::Template;

use super::{Entry, Outcome, Report, Since, Subject};
use crate::model::{Severity, one_line};

pub(super) fn html(report: &Report) -> Result<String, askama::Error> {
    let page = Page { report, sections: sections(report), bars: bars(report), style: STYLE };
    page.render()
}

#[derive(Template)]
#[template(path = "report/page.html")]
struct Page<'a> {
    report: &'a Report,
    sections: Vec<Section<'a>>,
    bars: Vec<Bar>,
    style: &'static str,
}

/// Findings of one sort.
struct Section<'a> {
    id: &'static str,
    title: &'static str,
    why: &'static str,
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
    path: String,
    value: String,
    message: String,
    remedy: String,
    controls: String,
    note: String,
}

/// A part of the bar that shows what fails by severity, in user units of an SVG that is 400 wide.
struct Bar {
    severity: Severity,
    count: usize,
    from: usize,
    width: usize,
}

impl Page<'_> {
    fn state(&self) -> &'static str {
        match (self.report.summary.failing.total(), self.report.coverage.is_whole()) {
            (0, true) => "Nothing fails.",
            (0, false) => "Nothing of what was looked at fails; not everything was.",
            _ => "Containment does not hold everywhere.",
        }
    }

    fn audited(&self) -> &'static str {
        match self.report.subject {
            Subject::Files => "manifests, judged as they would be at admission",
            Subject::Cluster => "a cluster, as it stands",
        }
    }
}

fn sections(report: &Report) -> Vec<Section<'_>> {
    let of = |wanted: &[Outcome]| groups(report, |entry| wanted.contains(&entry.outcome));
    let all = [
        Section {
            id: "failing",
            title: "What fails",
            why: "Refused at admission, or standing in the cluster against the policies.",
            groups: of(&[Outcome::Violated, Outcome::Refused]),
        },
        Section {
            id: "warnings",
            title: "Warnings",
            why: "Admitted; the profile only warns of them.",
            groups: of(&[Outcome::Warning]),
        },
        Section {
            id: "reported",
            title: "Reported",
            why: "Admitted under an exception, or by a rule that only reports.",
            groups: of(&[Outcome::Reported]),
        },
        Section {
            id: "mended",
            title: "Mended at admission",
            why: "Nothing is to be done: the webhook fills this in.",
            groups: of(&[Outcome::Mended]),
        },
    ];
    all.into_iter().filter(|section| section.id == "failing" || !section.groups.is_empty()).collect()
}

fn groups(report: &Report, wanted: impl Fn(&Entry) -> bool) -> Vec<Group<'_>> {
    let entries: Vec<&Entry> = report.findings.iter().filter(|entry| wanted(entry)).collect();
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
    let excepted =
        entry.excepted.as_ref().map(|one| format!("excepted by {} until {}: {}", one.owner, one.expires, one.reason));
    let since = entry.since.map(|since| if since == Since::New { "new" } else { "in the baseline" }.to_owned());
    let note: Vec<String> = excepted.into_iter().chain(since).collect();
    Row {
        entry,
        path: shown(&entry.path),
        value: shown(&entry.value),
        message: shown(&entry.message),
        remedy: shown(&entry.remedy_line()),
        controls: report.about(&entry.rule).map(|about| about.controls.join("; ")).unwrap_or_default(),
        note: shown(&note.join("; ")),
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

fn shown(text: &str) -> String {
    one_line(text, LONGEST)
}

/// Of the drawing.
const WIDTH: usize = 400;
/// Of one text on the page.
const LONGEST: usize = 4000;
const STYLE: &str = include_str!("page.css");
