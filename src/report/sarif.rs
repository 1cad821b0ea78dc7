//! The report as SARIF 2.1.0, for code hosts. What fails is an error, what admission mends a note, the rest warnings;
//! what could not be read is a notification of the run.

use serde_json::{Map, Value, json};

use super::{Entry, Outcome, Problem, Report, RuleAbout, Since};
use crate::model::{Severity, one_line};

pub(super) fn sarif(report: &Report) -> Result<String, serde_json::Error> {
    let index = |id: &str| report.rules.iter().position(|about| about.id == id);
    let results: Vec<Value> = report.findings.iter().map(|entry| result(entry, index(&entry.rule))).collect();
    let absent = report.baseline.iter().flat_map(|baseline| &baseline.fixed).map(|entry| {
        let mut gone = result(entry, None);
        if let Some(members) = gone.as_object_mut() {
            members.insert("baselineState".to_owned(), json!("absent"));
        }
        gone
    });
    let notifications: Vec<Value> = report.problems.iter().map(notification).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "flamewarden",
                "version": report.version,
                "rules": report.rules.iter().map(rule).collect::<Vec<Value>>(),
            }},
            "results": results.into_iter().chain(absent).collect::<Vec<Value>>(),
            "invocations": [{
                "executionSuccessful": report.coverage.is_whole(),
                "endTimeUtc": report.made,
                "toolExecutionNotifications": notifications,
            }],
            "properties": {"score": report.score, "coverage": report.coverage, "summary": report.summary},
        }],
    });
    Ok(serde_json::to_string_pretty(&log)? + "\n")
}

fn rule(about: &RuleAbout) -> Value {
    let mut rule = json!({
        "id": about.id,
        "name": about.id,
        "shortDescription": {"text": about.title},
        "defaultConfiguration": {"level": "error"},
        // Code hosts sort by this number, which they take for a CVSS score.
        "properties": {"security-severity": number(about.severity), "tags": tags(about)},
    });
    if let (Some(members), false) = (rule.as_object_mut(), about.why.is_empty()) {
        members.insert("fullDescription".to_owned(), json!({"text": about.why}));
    }
    rule
}

fn tags(about: &RuleAbout) -> Vec<&str> {
    ["security", "kubernetes"].into_iter().chain(about.controls.iter().map(String::as_str)).collect()
}

fn number(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
    }
}

fn result(entry: &Entry, index: Option<usize>) -> Value {
    let level = match entry.outcome {
        Outcome::Violated | Outcome::Refused => "error",
        Outcome::Warning | Outcome::Reported => "warning",
        Outcome::Mended => "note",
    };
    let text = plain(&format!("{}: {} ({}): {}", entry.object, entry.path, entry.value, entry.message));
    let mut location = Map::new();
    let name = format!("{}/{}", entry.object, entry.path);
    location.insert("logicalLocations".to_owned(), json!([{"fullyQualifiedName": name, "kind": "object"}]));
    if let Some(place) = &entry.place {
        let physical = physical(&place.file, Some(place.line));
        location.insert("physicalLocation".to_owned(), physical);
    }
    let mut result = json!({
        "ruleId": entry.rule,
        "level": level,
        "message": {"text": text},
        "locations": [location],
        "partialFingerprints": {"flamewarden/v1": entry.fingerprint()},
        "properties": {"outcome": entry.outcome, "severity": entry.severity, "remedy": entry.remedy},
    });
    let Some(members) = result.as_object_mut() else { return result };
    if let Some(index) = index {
        members.insert("ruleIndex".to_owned(), json!(index));
    }
    if let Some(excepted) = &entry.excepted {
        let why = format!("{} until {}: {}", excepted.owner, excepted.expires, excepted.reason);
        let suppression = json!([{"kind": "external", "status": "accepted", "justification": why}]);
        members.insert("suppressions".to_owned(), suppression);
    }
    if let Some(since) = entry.since {
        let state = if since == Since::New { "new" } else { "unchanged" };
        members.insert("baselineState".to_owned(), json!(state));
    }
    result
}

/// A message as it stands there: brackets would make a link of it (SARIF 2.1.0, 3.11.6), braces an argument (3.11.5).
fn plain(text: &str) -> String {
    let mut out = String::new();
    for letter in one_line(text, usize::MAX).chars() {
        match letter {
            '\\' | '[' | ']' => out.extend(['\\', letter]),
            '{' | '}' => out.extend([letter, letter]),
            _ => out.push(letter),
        }
    }
    out
}

fn notification(problem: &Problem) -> Value {
    json!({
        "level": "error",
        "message": {"text": plain(&problem.message)},
        "locations": [{"physicalLocation": physical(&problem.file, problem.line)}],
    })
}

fn physical(file: &str, line: Option<u64>) -> Value {
    let mut physical = json!({"artifactLocation": {"uri": uri(file)}});
    if let (Some(members), Some(line)) = (physical.as_object_mut(), line) {
        members.insert("region".to_owned(), json!({"startLine": line.max(1)}));
    }
    physical
}

/// A path as a URI reference; standard input has no path.
fn uri(file: &str) -> String {
    let path = if file == "-" { "stdin" } else { file };
    percent_encoding::utf8_percent_encode(path, UNSAFE).to_string()
}

/// Everything but what RFC 3986 calls unreserved, and the slash.
const UNSAFE: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');
