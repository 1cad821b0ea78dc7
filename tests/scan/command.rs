//! `flamewarden scan --report`: what it prints, and its exit codes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::sample::Sample;

/// A folder with a report and an SBOM.
fn folder(report: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("report.json"), report).unwrap();
    fs::write(folder.path().join("sbom.json"), include_str!("../fixtures/grype/sbom.json")).unwrap();
    folder
}

/// Exit code, standard output and standard error.
fn scan(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
    let done = command.arg("scan").args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

#[test]
fn a_failing_image_is_told_by_a_table() {
    let folder = folder(&Sample::new().text());
    let (code, told, _) = scan(folder.path(), &["--report", "report.json", "--sbom", "sbom.json"]);
    assert_eq!(code, 1);
    assert_eq!(
        told,
        "\
report.json: fail
SEVERITY  VULNERABILITY        PACKAGE        VERSION   FIXED IN
critical  CVE-2026-0001        openssl (deb)  3.0.11-1  3.0.12-1  fails: critical and above fail
high      GHSA-aaaa-bbbb-cccc  lodash (npm)   4.17.20   4.17.21   fails: high and above fail where a fix exists; it is known to be exploited
2 vulnerabilities reach a limit, 1 do not (1 medium)
grype [not provided], 2026-11-21T23:23:38.366990387Z; database v6.1.4 of 2026-11-21T00:00:00Z; manifest DIGEST
"
        .replace("2026-11-21T23:23:38.366990387Z", &taken())
        .replace("DIGEST", Sample::new().digest())
    );
}

#[test]
fn exit_codes_tell_what_may_run_from_what_fails_and_from_what_nobody_knows() {
    let digest = Sample::new().digest().to_owned();
    let other = format!("sha256:{}", "0".repeat(64));
    for (what, report, more, want) in [
        ("it may run", Sample::passing().fresh().text(), vec!["--sbom", "sbom.json"], 0),
        ("it fails", Sample::new().fresh().text(), vec![], 1),
        ("it is stale", Sample::passing().at("").text().replace("2026", "2025"), vec!["--sbom", "sbom.json"], 3),
        ("nobody knows", Sample::passing().fresh().with("/matches", json!([])).text(), vec![], 3),
        ("no report", String::new(), vec![], 3),
        ("cut", "{".to_owned(), vec![], 3),
        ("of that image", Sample::passing().fresh().text(), vec!["--digest", &digest, "--platform", "linux/amd64"], 0),
        ("of another", Sample::passing().fresh().text(), vec!["--digest", &other], 3),
        (
            "of another platform",
            Sample::passing().fresh().text(),
            vec!["--digest", &digest, "--platform", "linux/arm64"],
            3,
        ),
        ("no policies", Sample::passing().fresh().text(), vec!["--policies", "none"], 2),
        ("no SBOM", Sample::passing().fresh().text(), vec!["--sbom", "none"], 2),
    ] {
        let folder = folder(&report);
        let (code, told, complaint) = scan(folder.path(), &[&["--report", "report.json"], &more[..]].concat());
        assert_eq!(code, want, "{what}: {told}{complaint}");
    }
    let (code, told, complaint) = scan(Path::new("/"), &["--report", "none.json"]);
    assert_eq!((code, told.as_str()), (2, ""), "{complaint}");
    assert!(complaint.contains("cannot read none.json"), "{complaint}");
}

#[test]
fn the_other_forms_are_for_programs() {
    let folder = folder(&Sample::new().text());
    let told = |form: &str| -> Value {
        let (code, told, _) = scan(folder.path(), &["--report", "report.json", "--output", form]);
        assert_eq!(code, 1);
        serde_json::from_str(&told).unwrap()
    };
    let report = told("json");
    assert_eq!(report["apiVersion"], "flamewarden.dev/scan/v1alpha1");
    assert_eq!((&report["verdict"]["outcome"], &report["digest"]), (&json!("fail"), &json!(Sample::new().digest())));
    let fates: Vec<&str> =
        report["vulnerabilities"].as_array().unwrap().iter().map(|one| one["fate"].as_str().unwrap()).collect();
    assert_eq!(fates, ["fails", "fails", "passes"]);

    let sarif = told("sarif");
    let run = &sarif["runs"][0];
    let levels: Vec<&str> =
        run["results"].as_array().unwrap().iter().map(|one| one["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["error", "error", "note"]);
    assert_eq!(run["results"][0]["ruleId"], "CVE-2026-0001");
    let log: serde_sarif::sarif::Sarif = serde_json::from_value(sarif).unwrap();
    assert_eq!(log.runs.len(), 1);
}

fn taken() -> String {
    let report: Value = serde_json::from_str(&Sample::new().text()).unwrap();
    report["descriptor"]["timestamp"].as_str().unwrap().to_owned()
}

/// Grype would show them to whoever answers there, without TLS.
#[test]
fn docker_s_credentials_are_not_for_hosts_that_grype_asks_in_plain_http() {
    let folder = tempfile::tempdir().unwrap();
    let grype = folder.path().join("grype");
    fs::write(&grype, "#!/bin/sh\necho \"with ${DOCKER_CONFIG:-nothing} at $HOME\" >&2\nexit 1\n").unwrap();
    fs::set_permissions(&grype, fs::Permissions::from_mode(0o755)).unwrap();
    let withheld = "Docker's credentials were not used";
    for (image, more, want, told) in [
        ("harbor.example/a:1", None, "with /docker at", false),
        ("127.0.0.1:5000/a:1", None, "with nothing at", true),
        ("harbor.local/a:1", None, "with nothing at", true),
        ("127.0.0.1:5000/a:1", Some("--plain-http"), "with /docker at", false),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
        command.args(["scan", image, "--database", ".", "--grype"]).arg(&grype).args(more);
        let done = command.env("DOCKER_CONFIG", "/docker").output().unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(said.contains(want) && said.contains(withheld) == told, "{image} {more:?}: {said}");
    }
}
