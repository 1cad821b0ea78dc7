//! The report as JUnit XML, for CI servers: a suite per object, a case per finding, an error for what could not be read.

use std::sync::Arc;

use quick_junit::{NonSuccessKind, Report as Suites, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::{Entry, Outcome, Problem, Report, Since};
use crate::model::one_line;

pub(super) fn junit(report: &Report) -> Result<String, SerializeError> {
    let mut suites = Suites::new("flamewarden audit");
    let about_objects = report.findings.chunk_by(|a, b| (&a.place, &a.object) == (&b.place, &b.object));
    for entries in about_objects {
        let Some(first) = entries.first() else { continue };
        let place = first.place.as_ref().map(|place| format!(" ({}:{})", place.file, place.line)).unwrap_or_default();
        let mut suite = TestSuite::new(shown(&format!("{}{place}", first.object)));
        suite.add_test_cases(entries.iter().map(|entry| case(entry, &format!("{}{place}", first.object))));
        suites.add_test_suite(suite);
    }
    let mut run = TestSuite::new("flamewarden audit");
    run.add_test_cases(report.problems.iter().map(unread));
    let mut all = TestCase::new("every object was judged", TestCaseStatus::success());
    let counts = &report.summary;
    all.set_classname("audit").set_system_out(format!("judged: {}; score: {}", counts.judged, report.score.number()));
    if !report.coverage.is_whole() {
        let message = format!("{} of what there is was not looked at", report.coverage.missed);
        all.status = failed(NonSuccessKind::Error, "coverage", &message, &message);
    }
    run.add_test_case(all);
    suites.add_test_suite(run);
    // Jenkins' schema knows this count of single suites alone; before it there is only a name of ours.
    Ok(suites.to_string()?.replacen(&format!(" skipped=\"{}\"", suites.skipped), "", 1))
}

/// A case of an object. CI servers know cases by class and name, and show of several that are the same only one.
fn case(entry: &Entry, object: &str) -> TestCase {
    let text = format!("{} ({}): {}", entry.path, entry.value, entry.message);
    let status = match entry.outcome {
        // What a baseline has too fails no run.
        Outcome::Violated | Outcome::Refused if entry.since == Some(Since::Known) => skipped("in the baseline"),
        Outcome::Violated | Outcome::Refused => failed(NonSuccessKind::Failure, &entry.rule, &text, &text),
        Outcome::Reported => match entry.excepted.as_ref().map(Arc::as_ref) {
            Some(one) => skipped(&format!("excepted by {} until {}: {}", one.owner, one.expires, one.reason)),
            None => skipped("reported only"),
        },
        Outcome::Mended | Outcome::Warning => TestCaseStatus::success(),
    };
    let mut case = TestCase::new(shown(&format!("{}: {}", entry.rule, entry.path)), status);
    case.set_classname(shown(object));
    if !entry.outcome.fails() {
        case.set_system_out(shown(&format!("{}: {text}", entry.outcome.words())));
    }
    case
}

fn unread(problem: &Problem) -> TestCase {
    let status = failed(NonSuccessKind::Error, "unreadable", &problem.message, &problem.message);
    let mut case = TestCase::new(shown(&problem.place()), status);
    case.set_classname("unreadable");
    case
}

fn failed(kind: NonSuccessKind, sort: &str, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(shown(sort)).set_message(shown(message)).set_description(shown(text));
    status
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(shown(why));
    status
}

/// What XML can hold: of some characters that stand in manifests no XML reader takes any.
fn shown(text: &str) -> String {
    one_line(text, usize::MAX)
}
