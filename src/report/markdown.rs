//! The report as Markdown, for merge requests: counts, then a table of what fails and of what could not be read.
//!
//! What others wrote stands in it as text: no cell can become markup, a link or another row.

use std::fmt::Write;

use super::{Comparison, Entry, ExceptionUse, Report, Since};
use crate::model::one_line;

pub(super) fn markdown(report: &Report) -> String {
    let mut out = String::new();
    let counts = &report.summary;
    let failing = counts.failing;
    add(&mut out, "# Flamewarden audit\n");
    add(&mut out, "| judged | failing | critical | high | medium | low | score | coverage |");
    add(&mut out, "|---|---|---|---|---|---|---|---|");
    let numbers = [counts.judged, failing.total(), failing.critical, failing.high, failing.medium, failing.low];
    let numbers = numbers.map(|number| number.to_string()).join(" | ");
    let line = format!("| {numbers} | {} | {} % |\n", report.score.number(), report.coverage.percent);
    add(&mut out, &line);
    if let Some(baseline) = &report.baseline {
        add_baseline(&mut out, baseline);
    }
    add_findings(&mut out, report);
    add_exceptions(&mut out, &report.exceptions);
    if !report.problems.is_empty() {
        add(&mut out, "## Not looked at\n\n| where | why |\n|---|---|");
        for problem in &report.problems {
            row(&mut out, &[&problem.place(), &problem.message]);
        }
        add(&mut out, "");
    }
    let line = format!("Made {} by flamewarden {}.", report.made, report.version);
    add(&mut out, &line);
    out
}

fn add_baseline(out: &mut String, baseline: &Comparison) {
    let Comparison { made, new, known, fixed, incomparable } = baseline;
    let line = format!(
        "Against the report of {made}: {new} new, {known} known, {} fixed, {} incomparable.\n",
        fixed.len(),
        incomparable.len()
    );
    add(out, &line);
}

fn add_findings(out: &mut String, report: &Report) {
    let failing: Vec<&Entry> = report.failing().collect();
    if failing.is_empty() {
        return add(out, if report.coverage.is_whole() { "Nothing fails.\n" } else { "Nothing of it fails.\n" });
    }
    add(
        out,
        "## What fails\n\n| severity | object | rule | where | what and what to do | controls |\n|---|---|---|---|---|---|",
    );
    for entry in failing {
        let new = if entry.since == Some(Since::New) { " (new)" } else { "" };
        let severity = format!("{}{new}", entry.severity.word());
        let place = entry.place.as_ref().map(|place| format!(" ({}:{})", place.file, place.line)).unwrap_or_default();
        let object = format!("{}{place}", entry.object);
        let message = format!("({}) {}", entry.value, entry.message);
        let controls = report.about(&entry.rule).map(|about| about.controls.join("; ")).unwrap_or_default();
        row(out, &[&severity, &object, &entry.rule, &entry.path, &message, &controls]);
    }
    add(out, "");
}

fn add_exceptions(out: &mut String, exceptions: &[ExceptionUse]) {
    if exceptions.is_empty() {
        return;
    }
    add(
        out,
        "## Exceptions\n\n| state | from | for | owner | reason | expires | findings |\n|---|---|---|---|---|---|---|",
    );
    for one in exceptions {
        let (expires, findings) = (one.exception.expires.to_string(), one.findings.to_string());
        let exception = &one.exception;
        row(
            out,
            &[one.state.word(), &one.from, &exception.covers, &exception.owner, &exception.reason, &expires, &findings],
        );
    }
    add(out, "");
}

fn row(out: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| plain(cell)).collect();
    add(out, &format!("| {} |", cells.join(" | ")));
}

/// A text that means itself wherever Markdown is shown, mentions of users included.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for letter in one_line(text, LONGEST).chars() {
        match letter {
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '&' => plain.push_str("&amp;"),
            '@' => plain.push_str("&#64;"),
            ':' => plain.push_str("&#58;"),
            // Of `www.` alone code hosts make a link.
            '.' if plain.to_ascii_lowercase().ends_with("www") => plain.push_str("&#46;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '|' | '~' | '$' => {
                plain.push('\\');
                plain.push(letter);
            }
            letter => plain.push(letter),
        }
    }
    plain
}

fn add(out: &mut String, line: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{line}");
}

/// Of one cell.
const LONGEST: usize = 1000;
