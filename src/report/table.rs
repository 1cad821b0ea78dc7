//! The report as text for people at a terminal: a table per object, what is mended in one line, then the counts.

use std::fmt::Write;

use super::{Comparison, Entry, ExceptionState, Outcome, Problem, Report, Since, Subject, Told};
use crate::model::{Excepted, one_line};

/// Whether the text may carry colours; off where it does not go to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// Escape sequences of ECMA-48.
    On,
    /// Plain text.
    Off,
}

/// One of the few colours that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Fails.
    Red,
    /// Is well, or will be.
    Green,
    /// Is to be looked at.
    Yellow,
}

pub(super) fn text(report: &Report, colours: Colours) -> String {
    let mut out = String::new();
    for entries in report.findings.chunk_by(|a, b| (&a.place, &a.object) == (&b.place, &b.object)) {
        add_object(&mut out, entries, colours);
    }
    add_exceptions(&mut out, report, colours);
    out.push_str(&problems_text(&report.problems, colours));
    if let Some(baseline) = &report.baseline {
        add_baseline(&mut out, baseline);
    }
    add(&mut out, &counts(report));
    out
}

/// What could not be read, for people, and an empty line after it.
pub fn problems_text(problems: &[Problem], colours: Colours) -> String {
    let mut out = String::new();
    for problem in problems {
        let word = format!("{}  ", colours.paint("error", Colour::Red));
        mark(&mut out, &word, &format!("{}: {}", problem.place(), problem.message));
    }
    if !problems.is_empty() {
        add(&mut out, "");
    }
    out
}

fn add_object(out: &mut String, entries: &[Entry], colours: Colours) {
    let Some(first) = entries.first() else { return };
    let place = first.place.as_ref().map(|place| format!(" ({}, document {})", place.file, place.document));
    add(out, &format!("{}{}", first.object, place.unwrap_or_default()));
    let (mended, rest): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|entry| entry.outcome == Outcome::Mended);
    let width = rest.iter().map(|entry| entry.rule.len()).max().unwrap_or_default();
    for entry in rest {
        let (word, colour) = word(entry.outcome);
        mark(out, &format!("  {}  ", colours.paint(word, colour)), &line(entry, width));
    }
    if !mended.is_empty() {
        let mut rules: Vec<&str> = mended.iter().map(|entry| &*entry.rule).collect();
        rules.dedup();
        let (word, colour) = word(Outcome::Mended);
        mark(out, &format!("  {}            ", colours.paint(word, colour)), &rules.join(", "));
    }
    add(out, "");
}

fn word(outcome: Outcome) -> (&'static str, Colour) {
    match outcome {
        Outcome::Violated => ("violated", Colour::Red),
        Outcome::Refused => ("refused ", Colour::Red),
        Outcome::Mended => ("mended  ", Colour::Green),
        Outcome::Warning => ("warning ", Colour::Yellow),
        Outcome::Reported => ("reported", Colour::Yellow),
    }
}

fn line(entry: &Entry, width: usize) -> String {
    let Told { rule, path, value, message, .. } = &*entry.told;
    let severity = entry.severity.word();
    let new = if entry.since == Some(Since::New) { "new: " } else { "" };
    let excepted = entry.excepted.as_ref().map(|one| format!(" [excepted by {} until {}]", one.owner, one.expires));
    format!("{severity:8}  {rule:width$}  {new}{path} ({value}): {message}{}", excepted.unwrap_or_default())
}

/// Only those that somebody should do something about.
fn add_exceptions(out: &mut String, report: &Report, colours: Colours) {
    let idle = |state| matches!(state, ExceptionState::Expired | ExceptionState::Unused);
    let idle: Vec<_> = report.exceptions.iter().filter(|one| idle(one.state)).collect();
    for one in &idle {
        let exception = &one.exception;
        let word = format!("{}  ", colours.paint(&format!("{:8}", one.state.word()), Colour::Yellow));
        let Excepted { covers, owner, reason, expires } = exception;
        mark(out, &word, &format!("exception from {} for {covers} of {owner} until {expires}: {reason}", one.from));
    }
    if !idle.is_empty() {
        add(out, "");
    }
}

fn add_baseline(out: &mut String, baseline: &Comparison) {
    for (word, entries) in [("fixed", &baseline.fixed), ("incomparable", &baseline.incomparable)] {
        for entry in entries {
            add(out, &format!("{word}  {}  {}  {}", entry.object, entry.rule, entry.path));
        }
    }
    let Comparison { made, new, known, fixed, incomparable } = baseline;
    let (fixed, incomparable) = (fixed.len(), incomparable.len());
    add(out, &format!("since {made}: new: {new}; known: {known}; fixed: {fixed}; incomparable: {incomparable}"));
}

fn counts(report: &Report) -> String {
    let count = &report.summary;
    let by_severity = count.failing.each().into_iter().filter(|(_, number)| *number > 0);
    let by_severity: Vec<String> =
        by_severity.map(|(severity, number)| format!("{number} {}", severity.word())).collect();
    let failing = if by_severity.is_empty() { String::new() } else { format!(" ({})", by_severity.join(", ")) };
    let rest = [
        (count.mended, "mended at admission"),
        (count.warnings, "warnings"),
        (count.reported, "reported"),
        (count.unguarded, "in unguarded namespaces"),
        (count.not_judged, "of kinds that are not judged"),
        (count.problems, "not readable"),
    ];
    let rest = rest.into_iter().filter(|(number, _)| *number > 0);
    let rest: String = rest.map(|(number, what)| format!("; {what}: {number}")).collect();
    let (word, number) = match report.subject {
        Subject::Files => ("refused", count.refused),
        Subject::Cluster => ("violated", count.violated),
    };
    let (score, percent) = (report.score.number(), report.coverage.percent);
    format!("judged: {}; {word}: {number}{failing}{rest}; score: {score}; coverage: {percent} %", count.judged)
}

impl Colours {
    /// A word in a colour, where colours are wanted.
    pub fn paint(self, word: &str, colour: Colour) -> String {
        let number = match colour {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
        };
        match self {
            Colours::On => format!("\u{1b}[{number}m{word}\u{1b}[0m"),
            Colours::Off => word.to_owned(),
        }
    }
}

/// A line of what stands in files and objects, which is anybody's: a terminal obeys none of it.
fn add(out: &mut String, line: &str) {
    mark(out, "", line);
}

/// The same behind a word of ours.
fn mark(out: &mut String, word: &str, line: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{word}{}", one_line(line, usize::MAX));
}
