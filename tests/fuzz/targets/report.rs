//! Grype reports: read or refused, and none passes in which a plain look finds what must not.

use flamewarden::model::Verdict;
use flamewarden::policy::ScanPolicy;
use flamewarden::scan::{Census, Subject, assess, read};
use serde_json::Value;

use super::Target;

pub(super) const TARGET: Target = Target { name: "report", seeds, attempt };

fn attempt(input: &[u8]) -> String {
    let report = match read(input) {
        Ok(report) => report,
        Err(problem) => return kind_of(&problem.to_string()),
    };
    let census = Census::read(SBOM.as_bytes()).unwrap();
    let subject = Subject { digest: digest(), platform: Some("linux/amd64".to_owned()) };
    let now = "2026-11-22T00:00:00Z".parse().unwrap();
    let verdict = assess(&report, Some(&census), Some(&subject), &ScanPolicy::default(), now);
    if verdict.admits(now) {
        // Half of a surrogate pair is no text to the plain look, wherever it stands; we read over it where nothing is kept.
        let value = serde_json::from_slice::<Value>(input).ok();
        assert_eq!(value.as_ref().and_then(why_not), None, "it passes");
        assert!(verdict.until.unwrap() <= "2026-11-28T23:59:59Z".parse().unwrap(), "{verdict:?}");
    }
    told(&verdict)
}

/// What a plain look at the text finds.
fn why_not(report: &Value) -> Option<&'static str> {
    let graded = |found: &Value, grade: &str| {
        found["vulnerability"]["severity"].as_str().is_some_and(|severity| severity.eq_ignore_ascii_case(grade))
    };
    let exploited =
        |found: &Value| found["vulnerability"]["knownExploited"].as_array().is_some_and(|all| !all.is_empty());
    let settings = &report["descriptor"]["configuration"];
    let some = |value: &Value| value.as_array().is_some_and(|all| !all.is_empty());
    let matches = report["matches"].as_array()?;
    match () {
        () if matches.iter().any(|found| graded(found, "critical")) => Some("critical"),
        () if matches
            .iter()
            .any(|found| graded(found, "high") && found["vulnerability"]["fix"]["state"] == "fixed") =>
        {
            Some("high, fixed")
        }
        () if matches.iter().any(exploited) => Some("exploited"),
        () if settings["only-fixed"] == true || some(&settings["vex-documents"]) || some(&settings["exclude"]) => {
            Some("suppressed")
        }
        () if !settings.is_object() => Some("without settings"),
        () if report["source"]["type"] != "image" => Some("no image"),
        () if report["source"]["target"]["manifestDigest"] != digest() => Some("another image"),
        () if report["descriptor"]["db"]["status"]["valid"] == false => Some("database not valid"),
        () => None,
    }
}

fn digest() -> String {
    let report: Value = serde_json::from_str(REPORT).unwrap();
    report["source"]["target"]["manifestDigest"].as_str().unwrap().to_owned()
}

/// A problem without what it quotes.
fn kind_of(problem: &str) -> String {
    let words = problem.strip_prefix("no Grype report: ").unwrap_or(problem).split_whitespace().take(3);
    words.filter(|word| !word.contains(['`', '"'])).collect::<Vec<_>>().join(" ")
}

/// Without what names come to: each would be an outcome of its own.
fn told(verdict: &Verdict) -> String {
    format!("{:?} {}", verdict.outcome, verdict.grounds.len().min(4))
}

fn seeds() -> Vec<Vec<u8>> {
    let failing: Value = serde_json::from_str(REPORT).unwrap();
    let mut passing = failing.clone();
    passing["matches"].as_array_mut().unwrap().retain(|found| found["vulnerability"]["severity"] == "Medium");
    let mut ignoring = failing.clone();
    ignoring["ignoredMatches"] = ignoring["matches"].take();
    ignoring["matches"] = passing["matches"].clone();
    ignoring["ignoredMatches"][0]["appliedIgnoreRules"] =
        serde_json::json!([{"namespace": "", "reason": "DistroPackageFixed", "package": {"language": ""}}]);
    let mut flat = passing.clone();
    flat["descriptor"]["db"] = serde_json::json!({"built": "2026-11-21T00:00:00Z", "schemaVersion": 5, "error": null});
    [failing, passing, ignoring, flat].iter().map(|report| report.to_string().into_bytes()).collect()
}

const REPORT: &str = include_str!("../../fixtures/grype/report.json");
const SBOM: &str = include_str!("../../fixtures/grype/sbom.json");
