//! What others signed, as long as it may be: verified in memory that a small controller has.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use flamewarden::policy::ScanPolicy;
use serde_json::{Value, json};

use crate::attested::{COSIGN, found, list, statement};
use crate::sample::NOW;
use crate::signer::{Attached, ENVELOPE, STATEMENT, Signer};

/// Nearly as long as the longest that is fetched, in an envelope.
const LONG: usize = 11 << 20;
const FOUND: usize = 90_000;
/// In MiB, with what was fetched.
const MOST_MEMORY: usize = 110;
const TEST: &str = "verified::what_others_signed_is_verified_within_bounded_memory";
const FOLDER: &str = "FLAMEWARDEN_TEST_VERIFIES";
const MARK: &str = "held: ";

#[test]
fn what_others_signed_is_verified_within_bounded_memory() {
    if let Ok(folder) = env::var(FOLDER) {
        return println!("\n{MARK}{}", verify(Path::new(&folder)));
    }
    let (ci, other, folder) = (Signer::new("ci"), Signer::new("other"), tempfile::tempdir().unwrap());
    let write = |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).unwrap();
    write("policy", &serde_json::to_vec(&json!({"attestations": {"keys": [ci.key()]}})).unwrap());
    // A base64 text with slashes, which JSON may write in two bytes: so it is not borrowed.
    let unknown = String::from_utf8(other.envelope(STATEMENT, &"???".repeat(LONG / 3)).content).unwrap();
    write("1", unknown.replacen("Pz8/", "Pz8\\/", 1_000).as_bytes());
    let all: Vec<Value> = (0..FOUND).map(|number| json!({"id": format!("CVE-{number}"), "severity": []})).collect();
    let mut text = statement(COSIGN, list(json!(all))).to_string();
    text.push_str(&" ".repeat(LONG - text.len()));
    write("2", &ci.envelope(STATEMENT, &text).content);
    let mut command = Command::new(env::current_exe().unwrap());
    let done = command.args(["--exact", TEST, "--nocapture"]).env(FOLDER, folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let held = said.lines().find_map(|line| line.strip_prefix(MARK)).unwrap_or_else(|| panic!("{said}"));
    let held = held.parse::<usize>().unwrap() / 1024;
    println!("{held} MiB held");
    assert!(held < MOST_MEMORY, "{held} MiB");
}

/// How much memory it takes, in a process that does nothing else.
fn verify(folder: &Path) -> usize {
    let before = memory("VmRSS:");
    let policy: ScanPolicy = serde_json::from_slice(&fs::read(folder.join("policy")).unwrap()).unwrap();
    let read = |name| Attached {
        media_type: ENVELOPE.to_owned(),
        annotations: [].into(),
        content: fs::read(folder.join(name)).unwrap(),
    };
    let trust = found(&[read("1"), read("2")], &policy, NOW);
    assert!(trust.attested.is_some() && trust.passed_over == ["none of the keys signed it"], "{trust:?}");
    memory("VmHWM:") - before
}

fn memory(what: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
