//! Calls the checkers that `install` fetches.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

/// Where the checkers are.
pub(crate) static TOOLS: LazyLock<PathBuf> = LazyLock::new(|| printed("install"));
/// Where the published definitions of OpenReports are.
pub(crate) static DEFINITIONS: LazyLock<PathBuf> = LazyLock::new(|| printed("definitions"));
/// SARIF's schema as OASIS publishes it, which a crate of ours has.
pub(crate) static SARIF: LazyLock<PathBuf> = LazyLock::new(|| {
    // What other platforms need may not be there.
    let platform = format!("--filter-platform={}-unknown-linux-gnu", std::env::consts::ARCH);
    let arguments = ["metadata", "--format-version=1", "--locked", "--offline", &platform];
    let metadata: Value = serde_json::from_slice(&output(Command::new(env!("CARGO")).args(arguments))).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == "serde-sarif").unwrap();
    Path::new(package["manifest_path"].as_str().unwrap()).with_file_name("src").join("schema.json")
});

/// What a check of `check.py` finds.
pub(crate) fn check(name: &str, files: &[&Path]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forms/check.py");
    let mut command = Command::new(TOOLS.join("bin/python"));
    let arguments = [script.as_os_str(), OsStr::new(name)];
    serde_json::from_slice(&output(command.args(arguments).args(files))).unwrap()
}

/// What is wrong with it.
pub(crate) fn problems(found: &Value) -> Vec<&str> {
    found["problems"].as_array().unwrap().iter().map(|problem| problem.as_str().unwrap()).collect()
}

/// What the Nu Html Checker says of pages, warnings and remarks included.
pub(crate) fn html_problems(files: &[&Path]) -> Vec<String> {
    let mut command = Command::new("java");
    command.arg("-jar").arg(TOOLS.join("node_modules/vnu-jar/build/dist/vnu.jar"));
    // With `--exit-zero-always` a failure of the checker itself is told apart from what it finds.
    let found = output(command.args(["--format", "json", "--stdout", "--exit-zero-always"]).args(files));
    let found: Value = serde_json::from_slice(&found).unwrap();
    found["messages"].as_array().unwrap().iter().map(Value::to_string).collect()
}

/// A copy of a file in which one text stands for another.
pub(crate) fn changed(file: &Path, from: &str, to: &str) -> PathBuf {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{} says {from}", file.display());
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let changed = file.with_file_name(format!("changed-{number}-{}", file.file_name().unwrap().display()));
    fs::write(&changed, text.replacen(from, to, 1)).unwrap();
    changed
}

fn printed(script: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forms").join(script);
    PathBuf::from(String::from_utf8(output(&mut Command::new(path))).unwrap().trim_end())
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
