//! Reports near the longest that is read, made to take memory: an answer, in memory that a small controller has.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::sample::Sample;

const MATCHES: usize = 100_000;
/// Of the largest seen, in MiB; ARCHITECTURE counts with it in the sum of a controller.
const MOST_MEMORY: u64 = 80;
/// Of what is read to its end and not kept, in MiB. Kept, each of these would take twice as much.
const MOST_UNKEPT: u64 = 64;
/// About as long as what is read.
const LONG: usize = 126 << 20;
const PIECE: usize = 1 << 20;

#[test]
fn a_very_large_report_is_answered_within_bounded_memory() {
    let sample = Sample::new();
    let whole: Value = serde_json::from_str(&sample.text()).unwrap();
    let one = whole["matches"][1].to_string();
    let mut fed = Fed::new();
    fed.write(&around(&whole, "matches").0);
    for number in 0..MATCHES {
        let one = one.replace("CVE-2026-0001", &format!("CVE-2026-{number:06}"));
        fed.write(&format!("{}{one}", if number == 0 { "[" } else { "," }));
    }
    fed.write("]");
    let (memory, written) = (fed.peak(), fed.written);
    let done = fed.ended(&around(&whole, "matches").1);
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(written > 100_000_000, "{written}");
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(told["vulnerabilities"].as_array().unwrap().len(), MATCHES);
    let (grounds, more) = (told["verdict"]["grounds"].as_array().unwrap().len(), told["verdict"]["more"].as_u64());
    assert_eq!((grounds, more), (20, Some(MATCHES as u64 - 20)));
    println!("{} MB with {MATCHES} matches: {memory} MiB held", written / 1_000_000);
    assert!(memory < MOST_MEMORY, "{memory} MiB");
}

/// What grows in memory is not kept, or there is too much of it: then nothing is known of the image.
#[test]
fn a_report_that_is_made_to_take_memory_does_not() {
    let many =
        |items: &'static str| Shape { open: "[", item: Box::new(move |_| vec![items; 1000].join(",")), close: "]" };
    let numbered = |item: fn(usize) -> String| Shape { open: "{", item: Box::new(item), close: "}" };
    let text = |item: &'static str| Shape { open: "\"", item: Box::new(move |_| item.repeat(1000)), close: "\"" };
    let provider = |number| format!(r#""{number}":{{}}"#);
    let package = |number| format!(r#"{{"vulnerability":{{"id":"CVE-{number}"}},"artifact":{{"name":""}}}}"#);
    let packages = || Shape { open: "[", item: Box::new(package), close: "]" };
    let unread = "no Grype report: ";
    for (place, shape, says) in [
        ("/matches/0/appliedIgnoreRules", many(r#"{"x":"some more, which nobody reads"}"#), ""),
        ("/matches/0/relatedVulnerabilities", many(r#"{"id":"","x":"some more, which nobody reads"}"#), ""),
        ("/matches/0/vulnerability/cvss", many(r#"{"metrics":{"baseScore":5}}"#), ""),
        ("/alertsByPackage", many(r#"{"alerts":[]}"#), ""),
        ("/alertsByPackage/0/alerts", many(r#"{"type":"none"}"#), ""),
        ("/descriptor/configuration/ignore", many(r#"{"x":"some more, which nobody reads"}"#), ""),
        ("/matches/0/vulnerability/fix/versions", many(r#""""#), "a list with more than 256 items"),
        ("/matches", packages(), "more than 100000 matches"),
        ("/ignoredMatches", packages(), "matches that take more than 16 MiB"),
        ("/descriptor/db/providers", numbered(provider), "more than 256 providers"),
        ("/descriptor/configuration", numbered(provider), "a configuration with more than 512 keys"),
        ("/matches/0/artifact/name", text("x"), "a text in it is longer than 8 MiB"),
        ("/descriptor/name", text(r"\u0001\u0001"), "a text in it is longer than 8 MiB"),
        ("/more", Shape { open: "", item: Box::new(|_| "[".repeat(1000)), close: "" }, "nested deeper than 128 levels"),
    ] {
        let (memory, done) = shape.read_at(place);
        let told: Value = serde_json::from_slice(&done.stdout).unwrap();
        let grounds = told["verdict"]["grounds"].to_string();
        println!("{place}: {memory} MiB held, {} {grounds:.200}", told["verdict"]["outcome"]);
        let most = if says.is_empty() { MOST_UNKEPT } else { MOST_MEMORY };
        assert!(memory < most, "{place}: {memory} MiB");
        if says.is_empty() {
            assert!(told["digest"].is_string(), "{place}: {grounds}");
        } else {
            assert!(grounds.contains(unread) && grounds.contains(says), "{place}: {grounds}");
        }
    }
}

/// A value of many pieces.
struct Shape {
    open: &'static str,
    item: Box<dyn Fn(usize) -> String>,
    close: &'static str,
}

impl Shape {
    /// The most memory that was held until all of it was read, and what came of it; all else is a good report.
    fn read_at(&self, place: &str) -> (u64, Output) {
        let mut report: Value = serde_json::from_str(&Sample::passing().text()).unwrap();
        report["alertsByPackage"] = serde_json::json!([{"alerts": []}]);
        let (parent, key) = place.rsplit_once('/').unwrap();
        report.pointer_mut(parent).unwrap()[key] = MARK.into();
        let text = report.to_string();
        let (head, tail) = text.split_once(&format!("\"{MARK}\"")).unwrap();
        let comma = if self.open == "[" || self.open == "{" { "," } else { "" };
        let mut fed = Fed::new();
        fed.write(&format!("{head}{}", self.open));
        let mut piece = String::with_capacity(2 * PIECE);
        let mut memory = 0;
        for number in 0.. {
            if number > 0 {
                piece.push_str(comma);
            }
            piece.push_str(&(self.item)(number));
            if piece.len() >= PIECE {
                fed.write(&piece);
                piece.clear();
                // Who is refused ends early.
                memory = fed.peak().max(memory);
                if fed.is_over || fed.written > LONG {
                    break;
                }
            }
        }
        (memory, fed.ended(&format!("{}{tail}", self.close)))
    }
}

/// The command, which is given a report piece by piece.
struct Fed {
    process: Child,
    written: usize,
    is_over: bool,
}

impl Fed {
    fn new() -> Fed {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
        command.args(["scan", "--report", "-", "--output", "json"]);
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Fed { process, written: 0, is_over: false }
    }

    fn write(&mut self, text: &str) {
        self.is_over |= self.process.stdin.as_mut().unwrap().write_all(text.as_bytes()).is_err();
        self.written += text.len();
    }

    /// The most memory that it has held, in MiB: by now that is what it keeps of what it has read.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024)
    }

    fn ended(mut self, rest: &str) -> Output {
        self.write(rest);
        drop(self.process.stdin.take());
        self.process.wait_with_output().unwrap()
    }
}

/// What stands before and after a member's value.
fn around(report: &Value, key: &str) -> (String, String) {
    let mut rest = report.clone();
    rest.as_object_mut().unwrap().remove(key);
    let rest = rest.to_string();
    (format!(r#"{{"{key}":"#), format!(",{}", rest.strip_prefix('{').unwrap()))
}

const MARK: &str = "here it stands";
