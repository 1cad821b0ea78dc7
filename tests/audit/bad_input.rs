//! Input that is broken, hostile or too large: named with its place and reason, and the rest still judged.

use std::fs::File;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::{ANALYSIS, folder, report};

#[test]
fn each_is_named_and_the_rest_is_judged() {
    let level = |letter: char| {
        let before = vec![format!("*{}", char::from(letter as u8 - 1)); 10];
        format!("{letter}: &{letter} [{}]\n", before.join(","))
    };
    let bomb = format!("a: &a [{}]\n{}kind: *i\n", ["x"; 10].join(","), ('b'..='i').map(level).collect::<String>());
    let deep = format!("{}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let files = [
        ("in/a-bomb.yaml", bomb.as_str()),
        ("in/b-deep.yaml", deep.as_str()),
        ("in/c-empty.yaml", ""),
        ("in/d-tabs.yaml", "kind:\tPod\n\tmetadata: {}\n"),
        ("in/e-trailing.json", "{\"kind\": \"Pod\"} more"),
        ("in/f-good.yaml", ANALYSIS),
        ("in/g-kind.yaml", "{apiVersion: example.org/v1, kind: Widget, metadata: {name: w, namespace: flame}}\n"),
        ("in/h-number.yaml", "kind: 5\n"),
        ("in/i-crlf.yaml", "kind: Pod\r\n---\r\nkind: [\r\n"),
    ];
    let folder = folder(&files);
    std::fs::write(folder.path().join("in/j-binary.yaml"), b"kind: Pod\n\xff\xfe\x00\x01").unwrap();
    // It takes no room on the disk, and none in memory.
    File::create(folder.path().join("in/k-large.yaml")).unwrap().set_len(1 << 40).unwrap();
    let begun = Instant::now();
    let (code, report) = report(&folder, &["in"], "");
    assert!(begun.elapsed() < Duration::from_secs(30), "a file that is too large is not read");
    let problems: Vec<String> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{}:{}: {}", it["file"].as_str().unwrap(), it["line"], it["message"].as_str().unwrap()))
        .collect();
    insta::assert_snapshot!(problems.join("\n"));
    assert_eq!((code, &report["summary"]["judged"]), (6, &json!(1)));
    assert_eq!(&report["summary"]["notJudged"], &json!(1), "an unknown kind is counted");
    assert!(report["coverage"]["percent"].as_u64().unwrap() < 100);
}
