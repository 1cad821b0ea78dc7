//! Lists of vulnerabilities that others signed: what they can mean, and what they leave open.

use flamewarden::model::ScanOutcome::{self, Excepted, Fail, Inconclusive, Pass, Stale};
use serde_json::{Value, json};

use crate::attested::{VULNS, believing, changed, found, graded, list, statement, verdict};
use crate::sample::NOW;
use crate::signer::Signer;

type Row = (&'static str, &'static str, Value, ScanOutcome, &'static str);

/// What a list leads to under limits, and of its first ground a part.
fn expect(rows: impl IntoIterator<Item = Row>) {
    let signer = Signer::new("ci");
    for (what, limits, predicate, outcome, ground) in rows {
        let attested = signer.attests(&statement(VULNS, predicate));
        let trust = found(&[attested], &believing(&[&signer], limits), NOW);
        let verdict = verdict(&trust);
        assert_eq!(verdict.outcome, outcome, "{what}: {verdict:?}");
        let first = verdict.grounds.first().map(String::as_str).unwrap_or_default();
        assert!(first.contains(ground), "{what}: {first}");
        assert_eq!(first.is_empty(), ground.is_empty(), "{what}: {first}");
        assert_eq!(trust.passed_over, Vec::<String>::new(), "{what}");
        // What fails may be exploited: a list does not say.
        assert_eq!(verdict.graceless, outcome == Fail, "{what}");
    }
}

fn some(grade: &str) -> Value {
    list(json!([graded("CVE-2026-0001", grade)]))
}

/// Graded by these methods.
fn by(methods: &[(&str, &str)]) -> Value {
    let severity: Vec<Value> =
        methods.iter().map(|(method, score)| json!({"method": method, "score": score})).collect();
    list(json!([{"id": "CVE-2026-0001", "severity": severity}]))
}

fn with(pointer: &str, value: Value) -> Value {
    changed(list(json!([])), pointer, value)
}

#[test]
fn what_a_list_says_is_held_against_the_limits() {
    let critical = "CVE-2026-0001 (critical): critical and above fail; where it is and whether there is a fix";
    let perhaps = "high and above fail where a fix exists or where nobody says";
    let excepting = |what: &str| {
        format!("{{exceptions: [{{{what}, owner: o, reason: r, expires: 2026-11-23T00:00:00Z}}]}}").leak()
            as &'static str
    };
    let control = list(json!([graded("CVE-1\u{1b}[2J\u{0}", "critical")]));
    let other_form = list(json!([{"vulnerability": graded("CVE-1", "critical")}]));
    expect([
        ("nothing", "{}", list(json!([])), Pass, ""),
        ("critical", "{}", some("Critical"), Fail, critical),
        ("high, perhaps fixed", "{}", some("high"), Fail, perhaps),
        (
            "high, not fixed",
            "{unknown: {fixState: not-fixed}, failOn: {knownExploited: false}}",
            some("high"),
            Pass,
            "",
        ),
        ("medium", LAX, some("medium"), Pass, ""),
        ("allowed", "{allow: [CVE-2026-0001]}", some("critical"), Pass, ""),
        ("excepted", excepting("vulnerability: CVE-2026-0001"), some("critical"), Excepted, "until 2026-11-23"),
        ("excepted in a package", excepting("package: openssl"), some("critical"), Fail, "critical"),
        ("denied", "{deny: [CVE-2026-0001], failOn: {knownExploited: false}}", some("low"), Fail, "`deny`"),
        ("version 0.1's other form", "{}", other_form, Fail, "CVE-1 (critical)"),
        ("control characters", "{}", control, Fail, "CVE-1[2J (critical)"),
    ]);
}

#[test]
fn what_is_graded_in_no_known_way_counts_as_unknown() {
    let cvss = "{failOn: {cvss: 5, knownExploited: false}}";
    let epss = "{failOn: {epss: 0.5, knownExploited: false}}";
    expect([
        ("no severity", "{}", by(&[]), Fail, "CVE-2026-0001 (unknown): high and above fail"),
        ("no known word", "{}", by(&[("vendor", "important")]), Fail, "(unknown)"),
        ("one more unknown word", LAX, by(&[("nvd", "low"), ("vendor", "important")]), Fail, "(high)"),
        ("one more known word", LAX, by(&[("nvd", "low"), ("vendor", "critical")]), Fail, "(critical)"),
        ("a score alone", LAX, by(&[("CVSS_v3", "9.0")]), Fail, "(critical)"),
        ("a lower score", LAX, by(&[("cvss_score", "6.9")]), Pass, ""),
        ("a score out of reach", LAX, by(&[("cvss_score", "99")]), Fail, "(unknown)"),
        ("no number", LAX, by(&[("cvss_score", "NaN")]), Fail, "(unknown)"),
        ("a score that fails", cvss, by(&[("nvd", "low"), ("cvss", "5.0")]), Fail, "its CVSS score 5 reaches 5"),
        ("a probability", epss, by(&[("nvd", "low"), ("EPSS", "0.6")]), Fail, "its EPSS probability 0.6"),
        ("a low one", epss, by(&[("nvd", "low"), ("EPSS", "0.4")]), Pass, ""),
    ]);
}

#[test]
fn what_a_limit_asks_for_and_a_list_does_not_tell_is_open() {
    let exploited = "`failOn.knownExploited` is asked for, which the attestation does not tell of CVE-2026-0001";
    let denied = |id: &str| format!("{{deny: [{id}], failOn: {{knownExploited: false}}}}").leak() as &'static str;
    expect([
        ("exploited", "{}", some("medium"), Inconclusive, exploited),
        ("a score", "{failOn: {cvss: 5, knownExploited: false}}", some("low"), Inconclusive, "`failOn.cvss`"),
        ("a probability", "{failOn: {epss: 0.5, knownExploited: false}}", some("low"), Inconclusive, "`failOn.epss`"),
        (
            "the end of a distribution",
            "{failOn: {endOfLife: true}}",
            list(json!([])),
            Inconclusive,
            "`failOn.endOfLife`",
        ),
        ("another name perhaps", denied("GHSA-aaaa-bbbb-cccc"), some("low"), Inconclusive, "`deny`"),
        ("another", denied("CVE-2026-0002"), some("low"), Pass, ""),
    ]);
}

#[test]
fn a_list_gets_old_and_must_say_of_when_it_is() {
    let (database, finished) = ("/scanner/db/lastUpdate", "/metadata/scanFinishedOn");
    let (no_moment, no_database) = ("`metadata.scanFinishedOn`", "`scanner.db.lastUpdate`");
    expect([
        (
            "an old database",
            "{}",
            with(database, json!("2026-11-16T23:59:59Z")),
            Stale,
            "the database is 120 hours old",
        ),
        ("an old scan", "{}", with(finished, json!("2026-11-14T23:59:59Z")), Stale, "the report is 168 hours old"),
        ("a scan to come", "{}", with(finished, json!("2026-11-22T00:06:00Z")), Inconclusive, "yet to come"),
        ("a database to come", "{}", with(database, json!("2126-11-22T00:06:00Z")), Inconclusive, "yet to come"),
        ("nobody knows when", "{}", with("/metadata", json!({})), Inconclusive, no_moment),
        ("no moment", "{}", with(finished, json!("yesterday")), Inconclusive, no_moment),
        ("a database of nobody knows when", "{}", with(database, json!(null)), Inconclusive, no_database),
        ("no database", "{}", with("/scanner/db", json!(null)), Inconclusive, no_database),
    ]);
    let ci = Signer::new("ci");
    let passing = found(&[ci.attests(&statement(VULNS, list(json!([]))))], &believing(&[&ci], "{}"), NOW);
    assert_eq!(verdict(&passing).until, Some("2026-11-26T00:00:00Z".parse().unwrap()), "the database's age ends it");
}

const LAX: &str = "{failOn: {knownExploited: false}}";
