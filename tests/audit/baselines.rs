//! Reports against an earlier one: only what is new counts.

use serde_json::{Value, json};

use crate::{ANALYSIS, audit, folder, report, write};

fn labelled(name: &str, labels: &str) -> String {
    let pod = ANALYSIS.replace("{name: a,", &format!("{{name: {name},"));
    pod.replace("app: analysis-a}", &format!("app: analysis-a, {labels}}}"))
}

fn since(report: &Value) -> Vec<(String, Value)> {
    let failing = report["findings"].as_array().unwrap().iter().filter(|it| it["outcome"] == "refused");
    failing.map(|it| (format!("{} {}", it["object"]["name"], it["path"]), it["since"].clone())).collect()
}

#[test]
fn only_what_the_baseline_does_not_have_counts() {
    let folder = folder(&[("in/a.yaml", &labelled("a", "k8s-app: dns")), ("in/b.yaml", &labelled("b", "tier: x"))]);
    let made = audit(&folder, &["in", "--output", "json=before.json", "--output", "text"], "");
    assert_eq!(made.status.code(), Some(3));
    let (code, same) = report(&folder, &["in", "--baseline", "before.json"], "");
    assert_eq!((code, &same["baseline"]["new"], &same["baseline"]["known"]), (0, &json!(0), &json!(2)));

    // Another file, another line, and one finding less and one more; a value that changed is another finding.
    std::fs::remove_file(folder.path().join("in/b.yaml")).unwrap();
    std::fs::rename(folder.path().join("in/a.yaml"), folder.path().join("in/moved.yaml")).unwrap();
    write(folder.path(), "in/c.yaml", &format!("# moved\n---\n{}", labelled("b", "tier: other")));
    let (code, other) = report(&folder, &["in", "--baseline", "before.json"], "");
    let found = since(&other);
    let wanted =
        [("\"b\" \"metadata.labels.tier\"", json!("new")), ("\"a\" \"metadata.labels.k8s-app\"", json!("known"))];
    assert_eq!(found, wanted.map(|(what, since)| (what.to_owned(), since)));
    let fixed: Vec<&Value> = other["baseline"]["fixed"].as_array().unwrap().iter().map(|it| &it["value"]).collect();
    assert_eq!((code, fixed), (5, vec![&json!("\"x\"")]));

    // What is there twice is new once more than before.
    write(folder.path(), "in/again.yaml", &labelled("a", "k8s-app: dns"));
    let (code, twice) = report(&folder, &["in/moved.yaml", "in/again.yaml", "--baseline", "before.json"], "");
    assert_eq!((code, &twice["baseline"]["new"], &twice["baseline"]["known"]), (5, &json!(1), &json!(1)));
}

#[test]
fn what_could_not_be_looked_at_is_not_called_fixed() {
    let folder = folder(&[("a.yaml", &labelled("a", "k8s-app: dns")), ("broken.yaml", "kind: [\n")]);
    audit(&folder, &["a.yaml", "--output", "json=before.json"], "");
    write(folder.path(), "b.yaml", ANALYSIS);
    let (code, report) = report(&folder, &["b.yaml", "broken.yaml", "--baseline", "before.json"], "");
    let comparison = &report["baseline"];
    // The pod is in b.yaml too, without the label; of what else the baseline had, nobody knows.
    assert_eq!((code, comparison["fixed"].as_array().unwrap().len()), (6, 1));
    write(folder.path(), "b.yaml", &ANALYSIS.replace("{name: a,", "{name: other,"));
    let (code, report) = crate::report(&folder, &["b.yaml", "broken.yaml", "--baseline", "before.json"], "");
    let comparison = &report["baseline"];
    let count = |key: &str| comparison[key].as_array().unwrap().len();
    assert_eq!((code, count("fixed"), count("incomparable")), (6, 0, 1));
}

#[test]
fn what_is_no_baseline_is_refused_by_name() {
    let other = r#"{"apiVersion": "flamewarden.dev/audit/v1", "kind": "AuditReport"}"#;
    let folder = folder(&[("a.yaml", ANALYSIS), ("text.json", "no JSON"), ("other.json", other)]);
    for (file, says) in [
        ("absent.json", "cannot read the baseline absent.json"),
        ("text.json", "baseline text.json: it is no report in JSON"),
        ("other.json", "baseline other.json: it is a AuditReport of flamewarden.dev/audit/v1"),
    ] {
        let output = audit(&folder, &["a.yaml", "--baseline", file], "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.contains(says)), (Some(2), true), "{said}");
    }
}

#[test]
fn severity_score_and_coverage_make_the_exit_code() {
    let high = labelled("a", "k8s-app: dns");
    let folder = folder(&[("high.yaml", &high), ("good.yaml", ANALYSIS), ("broken.yaml", "kind: [\n")]);
    for (arguments, wanted) in [
        (&["high.yaml"][..], 3),
        (&["high.yaml", "--fail-on", "high"], 3),
        (&["high.yaml", "--fail-on", "critical"], 0),
        (&["high.yaml", "--fail-on", "never"], 0),
        (&["high.yaml", "--fail-on", "never", "--min-score", "1"], 4),
        (&["high.yaml", "good.yaml", "--fail-on", "never", "--min-score", "50"], 0),
        (&["high.yaml", "good.yaml", "--fail-on", "never", "--min-score", "51"], 4),
        (&["good.yaml", "--min-score", "100"], 0),
        (&["good.yaml", "broken.yaml"], 6),
        (&["good.yaml", "broken.yaml", "--fail-on", "never"], 6),
        (&["high.yaml", "broken.yaml"], 3),
        (&["good.yaml", "--output", "json=absent/report.json"], 1),
    ] {
        assert_eq!(audit(&folder, arguments, "").status.code(), Some(wanted), "{arguments:?}");
    }
}
