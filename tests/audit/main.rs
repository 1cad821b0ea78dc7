//! `flamewarden audit` as a user calls it: exit codes and whole reports, in every form, of broken input too.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

mod agreement;
mod bad_input;
mod baselines;
mod bypasses;
mod files;
mod fixes;
mod forms;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const FILES: [(&str, &str); 3] = [
    ("flame-analysis.yaml", include_str!("../../policies/flame-analysis.yaml")),
    ("flame-gateway.yaml", include_str!("../../policies/flame-gateway.yaml")),
    ("installation.yaml", include_str!("../fixtures/installation.yaml")),
];

/// A folder with `policies/` in it and whatever else a test writes.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        write(folder.path(), &format!("policies/{name}"), text);
    }
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    folder
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn audit(folder: &TempDir, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
    command.arg("audit").args(arguments).current_dir(folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that ends without reading is judged by what it says.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub(crate) fn report(folder: &TempDir, arguments: &[&str], input: &str) -> (i32, Value) {
    let output = audit(folder, &[arguments, &["--output", "json"]].concat(), input);
    let text = String::from_utf8(output.stdout).unwrap();
    let value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), value)
}

/// An analysis as small as it may be; what it lacks is mended at admission.
pub(crate) const ANALYSIS: &str = "apiVersion: v1
kind: Pod
metadata: {name: a, namespace: flame, labels: {component: flame-analysis, app: analysis-a}}
spec: {containers: [{name: analysis-a, image: harbor.example/node/a:1}]}
";
