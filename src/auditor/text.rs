//! The report as text for people: one object after the other, what is mended in one line, then the counts.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Comparison, Decision, Entry, Failure, Hindrance, Outcome, Preflight, Problem, Report};

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
    add_problems(&mut out, &report.problems, colours);
    add(&mut out, &counts(report));
    out
}

/// A comparison as text: each object whose answers differ, and what differs.
pub fn comparison_text(comparison: &Comparison, colours: Colours) -> String {
    let mut out = String::new();
    let width = comparison.differences.iter().map(|it| it.object.len()).max().unwrap_or_default();
    for it in &comparison.differences {
        let colour = if it.after == Decision::Refused { RED } else { YELLOW };
        let answers = format!("{:7} -> {:7}", it.before.word(), it.after.word());
        let rules = |sign: char, found: &BTreeSet<(Outcome, String)>| -> Vec<String> {
            found.iter().map(|(outcome, rule)| format!("{sign}{rule} ({})", outcome.words())).collect()
        };
        let rules = [rules('-', &it.only_before), rules('+', &it.only_after)].concat().join(", ");
        add(&mut out, &format!("{:width$}  {}  {rules}", it.object, colours.paint(&answers, colour)));
    }
    add_problems(&mut out, &comparison.problems, colours);
    let count = format!("judged: {}; answered differently: {}", comparison.judged, comparison.differences.len());
    add(&mut out, &count);
    out
}

/// What stands in the way, as text.
pub fn preflight_text(preflight: &Preflight, colours: Colours) -> String {
    let mut out = String::new();
    for Hindrance { object, message, .. } in &preflight.hindrances {
        add(&mut out, &format!("{}  {object}: {message}", colours.paint("in the way", RED)));
    }
    for pod in &preflight.adopted {
        add(&mut out, &format!("{}  Pod {pod}: it conforms", colours.paint("adopted   ", GREEN)));
    }
    add_problems(&mut out, &preflight.problems, colours);
    let (ways, pods) = (preflight.hindrances.len(), preflight.adopted.len());
    add(&mut out, &format!("Kubernetes {}; in the way: {ways}; pods to adopt: {pods}", preflight.version));
    out
}

/// Failed test cases as text, by file, and how many there were.
pub fn failures_text(files: &[(String, Vec<Failure>)], cases: usize) -> String {
    let mut out = String::new();
    for (file, failures) in files.iter().filter(|(_, failures)| !failures.is_empty()) {
        add(&mut out, file);
        for Failure { case, expected, got } in failures {
            add(&mut out, &format!("  {case}"));
            add(&mut out, &format!("    expected  {expected}"));
            add(&mut out, &format!("    got       {got}"));
        }
    }
    let failed: usize = files.iter().map(|(_, failures)| failures.len()).sum();
    add(&mut out, &format!("cases: {cases}; failed: {failed}"));
    out
}

fn add_problems(out: &mut String, problems: &[Problem], colours: Colours) {
    for problem in problems {
        let place = match (problem.line, problem.document) {
            (Some(line), _) => format!("{}:{line}", problem.file),
            (None, Some(document)) => format!("{}, document {document}", problem.file),
            (None, None) => problem.file.clone(),
        };
        add(out, &format!("{}  {place}: {}", colours.paint("error", RED), problem.message));
    }
    if !problems.is_empty() {
        add(out, "");
    }
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
