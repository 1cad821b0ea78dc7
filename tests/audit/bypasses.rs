//! What kubectl would create of a file is judged, however it is written; what is read in two ways is not called green.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::{ANALYSIS, audit, folder, report, write};

/// A pod that is refused, as JSON.
fn refused() -> Value {
    let mut pod: Value = serde_saphyr::from_str(ANALYSIS).unwrap();
    pod["spec"]["hostNetwork"] = json!(true);
    pod
}

/// Whether the rule on the node's network stands in a report among what fails.
fn tells(report: &Value) -> bool {
    report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .any(|it| it["rule"] == "host-namespaces" && it["outcome"] == "refused")
}

#[test]
fn whatever_has_items_is_a_list() {
    let nameless = |mut pod: Value, kind: Value| {
        (pod["kind"], pod["apiVersion"]) = (kind.clone(), kind);
        pod
    };
    for (list, item) in [
        (json!({"apiVersion": "v1", "kind": "List"}), refused()),
        (json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "flame"}}), refused()),
        (json!({"apiVersion": "v1", "kind": "PodList"}), nameless(refused(), json!(""))),
        (json!({"apiVersion": "v1", "kind": "PodList"}), nameless(refused(), Value::Null)),
        (
            json!({"apiVersion": "v1", "kind": "List"}),
            json!({"apiVersion": "v1", "kind": "List", "items": [refused()]}),
        ),
    ] {
        let mut list = list;
        list["items"] = json!([item]);
        let folder = folder(&[("in/list.json", &list.to_string()), ("in/list.yaml", &list.to_string())]);
        for file in ["in/list.json", "in/list.yaml"] {
            let (code, report) = report(&folder, &[file], "");
            assert!(code == 3 && tells(&report), "{list}: {report:#}");
        }
    }
    let deep = (0..6).fold(refused(), |item, _| json!({"apiVersion": "v1", "kind": "List", "items": [item]}));
    let (code, report) = report(&folder(&[("in/deep.json", &deep.to_string())]), &["in"], "");
    assert_eq!((code, report["problems"].as_array().unwrap().len()), (6, 1), "{report:#}");
}

#[test]
fn what_only_some_readers_take_for_the_end_of_a_line_is_not_called_green() {
    for letter in ["\r", "\u{85}", "\u{2028}", "\u{2029}"] {
        let hidden = format!("{ANALYSIS}# note{letter}  hostNetwork: true\n");
        let dropped = format!("{ANALYSIS}---\n# note{letter}{}", ANALYSIS.replace('\n', letter));
        for text in [hidden, dropped] {
            let (code, report) = report(&folder(&[("in/a.yaml", &text)]), &["in"], "");
            let message = report["problems"][0]["message"].as_str().unwrap_or_default();
            assert!(code == 6 && message.contains("which some readers of YAML take for the end"), "{report:#}");
        }
    }
}

#[test]
fn folders_are_read_whatever_the_case_of_names_and_a_linked_one_is_named() {
    let text = refused().to_string();
    let there = folder(&[("in/a.YAML", &text), ("in/b.Json", &text), ("other/c.yaml", &text), ("in/README.md", "x")]);
    symlink("../other", there.path().join("in/linked")).unwrap();
    let (code, report) = report(&there, &["in"], "");
    let files: BTreeSet<&str> =
        report["findings"].as_array().unwrap().iter().map(|it| it["file"].as_str().unwrap()).collect();
    assert_eq!((code, files), (3, BTreeSet::from(["in/a.YAML", "in/b.Json"])));
    let problems = report["problems"].as_array().unwrap();
    assert!(problems.len() == 1 && problems[0]["file"] == "in/linked", "{problems:#?}");
    assert_ne!(report["coverage"]["percent"], 100);
}

#[test]
fn an_analysis_where_nothing_is_guarded_is_told() {
    let elsewhere = ANALYSIS.replace("namespace: flame,", "namespace: flam,");
    let template = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d, namespace: flam}}\nspec:\n  template: {}\n",
        serde_saphyr::from_str::<Value>(ANALYSIS).unwrap()
    );
    let other = "apiVersion: v1\nkind: Pod\nmetadata: {name: o, namespace: flam}\nspec: {containers: []}\n";
    let (code, report) =
        report(&folder(&[("in/a.yaml", &elsewhere), ("in/d.yaml", &template), ("in/o.yaml", other)]), &["in"], "");
    let found: Vec<_> = report["findings"].as_array().unwrap().iter().map(|it| (&it["rule"], &it["outcome"])).collect();
    assert_eq!(code, 3);
    assert_eq!(found, [(&json!("outside-guard"), &json!("refused")), (&json!("outside-guard"), &json!("warning"))]);
    assert_eq!((&report["summary"]["judged"], &report["summary"]["unguarded"]), (&json!(2), &json!(1)));
}

#[test]
fn each_of_several_objects_counts_and_has_cases_of_its_own() {
    let text = refused().to_string();
    let there = folder(&[("in/a.yaml", &text), ("in/b.yaml", &text), ("in/broken/c.yaml", "kind: [\n")]);
    let (_, told) = report(&there, &["in/a.yaml", "in/b.yaml"], "");
    assert_eq!(told["score"], 0, "nothing of it is good");
    assert_eq!(report(&there, &["in/broken"], "").1["score"], 0, "nobody knows");
    let junit = String::from_utf8(audit(&there, &["in/a.yaml", "in/b.yaml", "--output", "junit"], "").stdout).unwrap();
    let case = |line: &&str| line.trim_start().starts_with("<testcase ");
    let cases: Vec<&str> = junit.lines().filter(case).collect();
    let distinct: BTreeSet<&str> = cases.iter().copied().collect();
    assert!(cases.len() > 10 && cases.len() == distinct.len(), "{junit}");
    write(there.path(), "in/n.yaml", "kind: [\n");
    let table = String::from_utf8(audit(&there, &["in/n.yaml", "--output", "csv"], "").stdout).unwrap();
    assert!(table.lines().any(|line| line.starts_with("error,,coverage,") && line.contains("in/n.yaml")), "{table}");
}

#[test]
fn a_cluster_that_does_not_answer_is_no_audit() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [closed, silent.local_addr().unwrap()] {
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n"
        );
        let there = folder(&[("kubeconfig", &config)]);
        let output = audit(&there, &["--cluster", "--kubeconfig", "kubeconfig"], "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{said}");
        assert!(
            said.starts_with("flamewarden: ") && said.contains("no cluster answers at the address of kubeconfig"),
            "{said}"
        );
    }
}
