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
        let value: Value = serde_json::from_slice(input).unwrap();
        assert_eq!(why_not(&value), None, "it passes");
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

/// A problem without the place where it is.
fn kind_of(problem: &str) -> String {
    problem.split(" at line ").next().unwrap_or_default().chars().filter(|c| !c.is_ascii_digit()).take(80).collect()
}

fn told(verdict: &Verdict) -> String {
    let first = verdict.grounds.first().map(|ground| ground.split_whitespace().take(4).collect::<Vec<_>>().join(" "));
    format!("{:?} {} {}", verdict.outcome, verdict.grounds.len(), first.unwrap_or_default())
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
