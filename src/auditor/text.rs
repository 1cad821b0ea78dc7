//! Comparisons, what stands in the way, and failed cases as text for people.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::{Comparison, Decision, Difference, Failure, Hindrance, Preflight};
use crate::model::one_line;
use crate::report::{Colour, Colours, Outcome, problems_text};

/// A comparison as text: each object whose answers differ, and what differs.
pub fn comparison_text(comparison: &Comparison, colours: Colours) -> String {
    let mut out = String::new();
    let shown = |it: &Difference| one_line(&it.object.to_string(), NAMED);
    let width = comparison.differences.iter().map(|it| shown(it).chars().count()).max().unwrap_or_default();
    for it in &comparison.differences {
        let colour = if it.after == Decision::Refused { Colour::Red } else { Colour::Yellow };
        let answers = format!("{:7} -> {:7}", it.before.word(), it.after.word());
        let rules = |sign: char, found: &BTreeSet<(Outcome, String)>| -> Vec<String> {
            found.iter().map(|(outcome, rule)| format!("{sign}{rule} ({})", outcome.words())).collect()
        };
        let rules = [rules('-', &it.only_before), rules('+', &it.only_after)].concat().join(", ");
        add(&mut out, &format!("{:width$}  {}  {rules}", shown(it), colours.paint(&answers, colour)));
    }
    out.push_str(&problems_text(&comparison.problems, colours));
    let count = format!("judged: {}; answered differently: {}", comparison.judged, comparison.differences.len());
    add(&mut out, &count);
    out
}

/// What stands in the way, as text.
pub fn preflight_text(preflight: &Preflight, colours: Colours) -> String {
    let mut out = String::new();
    for Hindrance { object, message, .. } in &preflight.hindrances {
        let (object, message) = (one_line(&object.to_string(), NAMED), one_line(message, usize::MAX));
        add(&mut out, &format!("{}  {object}: {message}", colours.paint("in the way", Colour::Red)));
    }
    for pod in &preflight.adopted {
        let pod = one_line(&pod.to_string(), NAMED);
        add(&mut out, &format!("{}  Pod {pod}: it conforms", colours.paint("adopted   ", Colour::Green)));
    }
    out.push_str(&problems_text(&preflight.problems, colours));
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

/// Of an object in a line, in characters: files name objects as they like.
const NAMED: usize = 300;

fn add(out: &mut String, line: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{line}");
}
