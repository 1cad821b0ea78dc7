//! Every form tells the same, and what stands in manifests is text in each of them.

use serde_json::Value;
use serde_sarif::sarif::Sarif;

use crate::{ANALYSIS, audit, folder, report};

/// Markup, formulas, mentions, escape sequences and letters that turn the direction of writing, wherever a user may
/// put a text.
const HOSTILE: &str = r#"apiVersion: v1
kind: Pod
metadata:
  name: "<b onclick=alert(1)>x</b>"
  namespace: flame
  labels: {component: flame-analysis, app: analysis-b, "=cmd|' /C calc'!A0": "[x](javascript:alert(1)) @everyone"}
  annotations: {"<img src=x>": "\e[31mred\e[0m \u202Ereversed | `cell` | *b*"}
spec: {containers: [{name: analysis-b, image: "<script>alert(1)</script>"}]}
"#;

fn folder_of_all() -> tempfile::TempDir {
    let policy = "exceptions:\n  - {rule: annotations, app: analysis-c, owner: '=<i>o</i>', reason: '=1+1', expires: 2999-01-01T00:00:00Z}\n  \
        - {rule: annotations, app: analysis-z, owner: o, reason: r, expires: 2020-01-01T00:00:00Z}\n";
    let excepted =
        ANALYSIS.replace("{name: a,", "{name: c, annotations: {team: x},").replace("analysis-a", "analysis-c");
    let folder = folder(&[("in/h.yaml", HOSTILE), ("in/c.yaml", &excepted), ("in/<b>.yaml", "kind: [\n")]);
    let file = folder.path().join("policies/flame-analysis.yaml");
    let profile = std::fs::read_to_string(&file).unwrap();
    let indented: String = policy.lines().map(|line| format!("  {line}\n")).collect();
    std::fs::write(&file, format!("{profile}{indented}")).unwrap();
    folder
}

fn written(folder: &tempfile::TempDir, form: &str) -> String {
    let output = audit(folder, &["in", "--output", form], "");
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_text_says_all_and_no_terminal_obeys_it() {
    let text = written(&folder_of_all(), "text");
    let line = text.lines().find(|line| line.contains("\\u001b") || line.contains("reversed"));
    assert!(line.is_some(), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn markdown_holds_no_markup_of_others() {
    let text = written(&folder_of_all(), "markdown");
    for bad in ["<b", "<script", "](javascript", " @everyone", "<img"] {
        assert!(!text.contains(bad), "{bad}: {text}");
    }
    let text: String = text.lines().filter(|line| !line.starts_with("Made ")).map(|line| format!("{line}\n")).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn html_holds_no_markup_of_others_and_loads_nothing() {
    let text = written(&folder_of_all(), "html");
    for bad in ["<b ", "<script", "<img", "<i>", "http://", "https://", "onclick=alert(1)>"] {
        assert!(!text.contains(bad), "{bad}: {text}");
    }
    for told in ["image-registry", "excepted by", "expired", "&#60;script&#62;"] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn a_spreadsheet_takes_no_cell_for_a_formula() {
    let text = written(&folder_of_all(), "csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert!(rows.len() > 10);
    assert!(rows.iter().flatten().any(|cell| cell.starts_with("'=<i>o</i> until ")), "{text}");
    for cell in rows.iter().flatten() {
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
}

#[test]
fn every_form_tells_of_every_failing_finding() {
    let folder = folder_of_all();
    let (_, json) = report(&folder, &["in"], "");
    let findings = json["findings"].as_array().unwrap();
    let failing = findings.iter().filter(|it| it["outcome"] == "refused").count();
    assert!(failing >= 3, "{json}");

    let sarif: Sarif = serde_json::from_str(&written(&folder, "sarif")).unwrap();
    let run = &sarif.runs[0];
    let results = run.results.as_ref().unwrap();
    let level = |wanted: &str| results.iter().filter(|it| serde_json::to_value(it.level).unwrap() == wanted).count();
    assert_eq!((results.len(), level("error")), (findings.len(), failing));
    assert!(results.iter().any(|it| it.suppressions.is_some()), "an exception is a suppression");
    let invocation = &run.invocations.as_ref().unwrap()[0];
    assert!(!invocation.execution_successful, "what could not be read is no success");
    assert_eq!(invocation.tool_execution_notifications.as_ref().unwrap().len(), 1);

    let junit = quick_junit::Report::deserialize_from_str(&written(&folder, "junit")).unwrap();
    assert_eq!((junit.failures, junit.errors), (failing, 2), "unreadable, and so not everything was judged");

    let csv = written(&folder, "csv");
    assert_eq!(csv.lines().filter(|line| line.starts_with("refused,")).count(), failing);
    let markdown = written(&folder, "markdown");
    assert_eq!(markdown.lines().filter(|line| line.contains(" Pod flame/")).count(), failing);
    let html = written(&folder, "html");
    let section = html.split("<h2 id=\"failing\">").nth(1).unwrap().split("</section>").next().unwrap();
    assert_eq!(section.matches("<tr>").count() - section.matches("<thead>").count(), failing);
}

#[test]
fn exceptions_are_listed_with_their_use() {
    let (_, json) = report(&folder_of_all(), &["in"], "");
    let listed: Vec<[&Value; 3]> = json["exceptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| [&it["covers"], &it["state"], &it["findings"]])
        .collect();
    let [used, expired] = [("analysis-c", "used", 1), ("analysis-z", "expired", 0)]
        .map(|(app, state, findings)| [Value::from(app), Value::from(state), Value::from(findings)]);
    assert_eq!(listed, [used.each_ref(), expired.each_ref()]);
}
