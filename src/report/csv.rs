//! The report as comma-separated values, for spreadsheets: a line for each finding, and for what could not be looked at.

use std::error::Error;

use ::csv::Writer;

use super::{Entry, Problem, Report, Since};
use crate::model::Severity;

pub(super) fn csv(report: &Report) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_record(HEAD)?;
    for entry in &report.findings {
        writer.write_record(row(report, entry).iter().map(|cell| harmless(cell)))?;
    }
    for problem in &report.problems {
        writer.write_record(unread(problem).iter().map(|cell| harmless(cell)))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// What could not be looked at: without its line, a table in which nothing fails would look the same.
fn unread(problem: &Problem) -> [String; HEAD.len()] {
    let mut row = [const { String::new() }; HEAD.len()];
    let line = problem.line.map(|line| line.to_string()).unwrap_or_default();
    for (name, text) in [
        ("outcome", "error".to_owned()),
        ("rule", "coverage".to_owned()),
        ("message", problem.message.clone()),
        ("file", problem.file.clone()),
        ("line", line),
    ] {
        if let Some(cell) = HEAD.iter().position(|head| *head == name).and_then(|place| row.get_mut(place)) {
            *cell = text;
        }
    }
    row
}

fn row(report: &Report, entry: &Entry) -> [String; HEAD.len()] {
    let about = report.about(&entry.rule);
    let place = entry.place.as_ref();
    let excepted = entry.excepted.as_deref();
    let since = entry.since.map(|since| if since == Since::New { "new" } else { "known" });
    [
        entry.outcome.words().to_owned(),
        Severity::word(entry.severity).to_owned(),
        entry.rule.to_string(),
        about.map(|about| about.title.clone()).unwrap_or_default(),
        entry.object.kind.clone(),
        entry.object.namespace.clone(),
        entry.object.name.clone(),
        entry.path.to_string(),
        entry.value.to_string(),
        entry.message.to_string(),
        entry.remedy_line(),
        about.map(|about| about.controls.join("; ")).unwrap_or_default(),
        excepted.map(|one| format!("{} until {}: {}", one.owner, one.expires, one.reason)).unwrap_or_default(),
        since.unwrap_or_default().to_owned(),
        place.map(|place| place.file.to_string()).unwrap_or_default(),
        place.map(|place| place.line.to_string()).unwrap_or_default(),
        entry.fingerprint().as_str().to_owned(),
    ]
}

/// A cell that no spreadsheet takes for a formula, whoever wrote it (OWASP, *CSV Injection*).
fn harmless(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() }
}

const HEAD: [&str; 17] = [
    "outcome",
    "severity",
    "rule",
    "title",
    "kind",
    "namespace",
    "name",
    "path",
    "value",
    "message",
    "remedy",
    "controls",
    "exception",
    "since",
    "file",
    "line",
    "fingerprint",
];
