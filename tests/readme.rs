//! README's tables name each option of `serve` and each metric that there is, and none besides.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking; clippy sees helpers as ordinary functions")]

use std::collections::BTreeSet;
use std::process::Command;

use regex::Regex;

const README: &str = include_str!("../README.md");

#[test]
fn every_option_of_serve_stands_in_the_table() {
    let help = Command::new(env!("CARGO_BIN_EXE_flamewarden")).args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let mut there = names(r"(?m)^ +(?:-\w, )?(--[a-z-]+)", &help);
    assert!(there.remove("--help") && there.len() > 20, "{help}");
    assert_eq!(names(r"(--[a-z][a-z-]+)", &first_cells("| option | default | |")), there);
}

/// A family without any sample yet is not printed, so the names are read where they are given.
#[test]
fn every_metric_stands_in_the_table() {
    let sources = concat!(
        include_str!("../src/telemetry.rs"),
        include_str!("../src/telemetry/audit.rs"),
        include_str!("../src/telemetry/network.rs")
    );
    let there = names(r#"registry\.register\(\s*"(\w+)""#, sources);
    assert!(there.len() > 20, "{there:?}");
    let told = names(r"`flamewarden_(\w+)`", &first_cells("| metric | labels | means |"));
    let plain = |name: &String| name.trim_end_matches("_total").trim_end_matches("_info").to_owned();
    assert_eq!(told.iter().map(plain).collect::<BTreeSet<String>>(), there);
    let counted = told.iter().filter(|name| name.ends_with("_total")).count();
    assert!(told.contains("build_info") && counted > 10, "{told:?}");
}

/// What stands in the first column of the table with this head.
fn first_cells(head: &str) -> String {
    let (_, table) = README.split_once(&format!("\n{head}\n")).unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| row.split('|').nth(1)).collect::<Vec<_>>().join("\n")
}

fn names(pattern: &str, text: &str) -> BTreeSet<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}
