//! A report of 100 MB with 100,000 matches: an answer, in memory that does not grow with what is not kept.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::sample::Sample;

const MATCHES: usize = 100_000;
/// Of the largest seen, in MiB: half of the text's length.
const MOST_MEMORY: u64 = 160;

#[test]
fn a_very_large_report_is_answered_within_bounded_memory() {
    let sample = Sample::new();
    let whole: Value = serde_json::from_str(&sample.text()).unwrap();
    let (head, tail) = around_matches(&whole);
    let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
    command.args(["scan", "--report", "-", "--output", "json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    let mut written = head.len() + tail.len();
    to.write_all(head.as_bytes()).unwrap();
    let one = whole["matches"][1].to_string();
    for number in 0..MATCHES {
        let one = one.replace("CVE-2026-0001", &format!("CVE-2026-{number:06}"));
        let text = format!("{}{one}", if number == 0 { "" } else { "," });
        written += text.len();
        to.write_all(text.as_bytes()).unwrap();
    }
    // What it holds now is what it keeps of the matches.
    let memory = peak(child.id());
    to.write_all(tail.as_bytes()).unwrap();
    drop(to);
    let done = child.wait_with_output().unwrap();
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(written > 100_000_000, "{written}");
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(told["vulnerabilities"].as_array().unwrap().len(), MATCHES);
    let (grounds, more) = (told["verdict"]["grounds"].as_array().unwrap().len(), told["verdict"]["more"].as_u64());
    assert_eq!((grounds, more), (20, Some(MATCHES as u64 - 20)));
    println!("{} MB with {MATCHES} matches: {memory} MiB held", written / 1_000_000);
    assert!(memory < MOST_MEMORY, "{memory} MiB");
}

/// What stands before and after the matches.
fn around_matches(report: &Value) -> (String, String) {
    let mut rest = report.clone();
    rest.as_object_mut().unwrap().remove("matches");
    let rest = rest.to_string();
    (r#"{"matches":["#.to_owned(), format!("],{}", rest.strip_prefix('{').unwrap()))
}

/// The most memory that a process has held, in MiB.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
