//! Grype with a database of the tests' own.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The folder that holds the programs; built where they are not there yet.
pub(crate) fn programs() -> PathBuf {
    let output = Command::new(BUILD).output().expect("cannot run tests/grype/build");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

/// A folder of Grype's databases (`GRYPE_DB_CACHE_DIR`) with one of these advisories.
pub(crate) fn database(advisories: &Value) -> TempDir {
    let (written, imported) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut writer =
        Command::new(programs().join("database")).arg(written.path()).stdin(Stdio::piped()).spawn().unwrap();
    writer.stdin.take().unwrap().write_all(advisories.to_string().as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
    let file = written.path().join("vulnerability.db");
    let done = grype(imported.path()).args(["db", "import"]).arg(file).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    imported
}

/// Grype with that folder of databases, without a way to others.
fn grype(databases: &Path) -> Command {
    let mut command = Command::new(programs().join("grype"));
    command
        .env_clear()
        .env("GRYPE_DB_CACHE_DIR", databases)
        .env("GRYPE_DB_AUTO_UPDATE", "false")
        .env("GRYPE_CHECK_FOR_APP_UPDATE", "false")
        .env("GRYPE_REGISTRY_INSECURE_USE_HTTP", "true")
        .env("HOME", databases)
        .current_dir(databases);
    command
}

/// A scan by hand: what came of it, and what was written.
pub(crate) struct Scanned {
    pub(crate) done: Output,
    pub(crate) report: String,
    pub(crate) sbom: String,
}

/// Scans an image with more arguments.
pub(crate) fn scan(databases: &Path, image: &str, more: &[&str]) -> Scanned {
    let folder = tempfile::tempdir().unwrap();
    let (report, sbom) = (folder.path().join("report"), folder.path().join("sbom"));
    let done = grype(databases)
        .arg(format!("registry:{image}"))
        .args(["-o", &format!("json={}", report.display()), "-o", &format!("cyclonedx-json={}", sbom.display())])
        .args(more)
        .output()
        .unwrap();
    let read = |file: &Path| fs::read_to_string(file).unwrap_or_default();
    Scanned { done, report: read(&report), sbom: read(&sbom) }
}

const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grype/build");
