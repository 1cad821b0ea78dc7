//! The report as text for people: one object after the other, what is mended in one line, then the counts.

use std::fmt::Write;

use super::{Entry, Outcome, Report};

/// Whether the text may carry colours; off where it does not go to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// Escape sequences of ECMA-48.
    On,
    /// Plain text.
    Off,
}

/// The report as text.
pub fn text(report: &Report, colours: Colours) -> String {
    let mut out = String::new();
    for entries in report.findings.chunk_by(|a, b| (&a.file, a.document, &a.object) == (&b.file, b.document, &b.object))
    {
        if let Some(first) = entries.first() {
            add(&mut out, &format!("{} ({}, document {})", first.object, first.file, first.document));
        }
        let (mended, rest): (Vec<&Entry>, Vec<&Entry>) =
            entries.iter().partition(|entry| entry.outcome == Outcome::Mended);
        let width = rest.iter().map(|entry| entry.rule.len()).max().unwrap_or_default();
        for entry in rest {
            add(&mut out, &line(entry, width, colours));
        }
        if !mended.is_empty() {
            let mut rules: Vec<&str> = mended.iter().map(|entry| entry.rule.as_str()).collect();
            rules.dedup();
            add(&mut out, &format!("  {}  {}", colours.paint("mended  ", GREEN), rules.join(", ")));
        }
        add(&mut out, "");
    }
    for problem in &report.problems {
        let place = match (problem.line, problem.document) {
            (Some(line), _) => format!("{}:{line}", problem.file),
            (None, Some(document)) => format!("{}, document {document}", problem.file),
            (None, None) => problem.file.clone(),
        };
        add(&mut out, &format!("{}  {place}: {}", colours.paint("error", RED), problem.message));
    }
    if !report.problems.is_empty() {
        add(&mut out, "");
    }
    add(&mut out, &counts(report));
    out
}

fn line(entry: &Entry, width: usize, colours: Colours) -> String {
    let (word, colour) = match entry.outcome {
        Outcome::Refused => ("refused ", RED),
        Outcome::Mended => ("mended  ", GREEN),
        Outcome::Warning => ("warning ", YELLOW),
        Outcome::Reported => ("reported", YELLOW),
    };
    let Entry { rule, path, value, message, .. } = entry;
    format!("  {}  {rule:width$}  {path} ({value}): {message}", colours.paint(word, colour))
}

fn counts(report: &Report) -> String {
    let count = &report.summary;
    let rest = [
        (count.mended, "mended at admission"),
        (count.warnings, "warnings"),
        (count.reported, "reported"),
        (count.unguarded, "in unguarded namespaces"),
        (count.not_judged, "of kinds that are not judged"),
        (count.problems, "not readable"),
    ];
    let rest = rest.into_iter().filter(|(number, _)| *number > 0);
    let shown = rest.map(|(number, what)| format!("; {what}: {number}"));
    format!("judged: {}; refused: {}{}", count.judged, count.refused, shown.collect::<String>())
}

impl Colours {
    fn paint(self, word: &str, colour: &str) -> String {
        match self {
            Colours::On => format!("\u{1b}[{colour}m{word}\u{1b}[0m"),
            Colours::Off => word.to_owned(),
        }
    }
}

fn add(out: &mut String, line: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{line}");
}

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
