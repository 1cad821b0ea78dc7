//! What a Grype report leads to: each pitfall of reading one, each limit, each exception; and what others signed.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod attestations;
mod attested;
mod command;
mod disbelieved;
mod large;
mod lists;
mod sample;
mod signatures;
mod signer;
mod table;
mod verified;

use flamewarden::model::ScanOutcome;
use flamewarden::scan::{ReportProblem, read};

use sample::{NOW, Sample};

#[test]
fn a_report_fails_by_what_the_shipped_limits_say() {
    let verdict = Sample::new().verdict();
    assert_eq!(verdict.outcome, ScanOutcome::Fail);
    assert_eq!(
        verdict.grounds,
        [
            "CVE-2026-0001 (critical) in openssl 3.0.11-1 (deb): critical and above fail; build the image with 3.0.12-1",
            "GHSA-aaaa-bbbb-cccc (high) in lodash 4.17.20 (npm): high and above fail where a fix exists; it is known to be \
             exploited; build the image with 4.17.21",
        ]
    );
    assert!(!verdict.admits(NOW.parse().unwrap()));
}

#[test]
fn what_passes_does_so_until_something_is_too_old() {
    let verdict = Sample::passing().verdict();
    assert_eq!((verdict.outcome, verdict.grounds.len()), (ScanOutcome::Pass, 0), "{verdict:?}");
    // The database, built at midnight, may be five days old.
    assert_eq!(verdict.until, Some("2026-11-26T00:00:00Z".parse().unwrap()));
    assert!(verdict.admits("2026-11-25T23:59:59.999Z".parse().unwrap()));
    assert!(!verdict.admits("2026-11-26T00:00:00Z".parse().unwrap()));
}

#[test]
fn what_is_no_whole_report_is_no_report() {
    let whole = Sample::new().text();
    let told = |text: &str| read(text.as_bytes()).map(|_| ()).map_err(|problem| problem.to_string());
    assert_eq!(told(&whole), Ok(()));
    assert!(matches!(read(&b""[..]), Err(ReportProblem::Empty)));
    assert!(matches!(read(&b"\n"[..]), Err(ReportProblem::Empty)));
    for (what, text) in [
        ("text after it", format!("{whole} 1 error occurred")),
        ("another after it", format!("{whole}{whole}")),
        ("cut", whole.get(..whole.len() - 3).unwrap().to_owned()),
        ("no matches", whole.replacen("\"matches\"", "\"found\"", 1)),
        ("matches twice", whole.replacen('{', r#"{"matches":[],"#, 1)),
        ("matches that are null", whole.replacen("\"matches\":[", "\"matches\":null,\"more\":[", 1)),
        ("SARIF", r#"{"version":"2.1.0","runs":[]}"#.to_owned()),
        (
            "deep",
            whole.replacen(
                "\"only-fixed\"",
                &format!("\"x\":{}1{},\"only-fixed\"", "{\"a\":".repeat(9999), "}".repeat(9999)),
                1,
            ),
        ),
    ] {
        assert!(
            told(&text).is_err_and(|problem| problem.starts_with("no Grype report: ")),
            "{what}: {:?}",
            told(&text)
        );
    }
    let other = Sample::new().with("/descriptor/name", "trivy".into());
    assert!(matches!(read(other.text().as_bytes()), Err(ReportProblem::Scanner(name)) if name == "trivy"));
}
