//! `flamewarden scan IMAGE`: Grype is run with settings of our own, whatever the caller's folder and environment say.

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::SignedDuration;
use serde_json::Value;

use crate::advisories::advisories;
use crate::image::{Image, index};
use crate::lab::{database, programs};
use crate::registry::Registry;
use crate::samples::{LODASH, RELEASE, openssl};

/// Exit code, standard output and standard error.
fn run(databases: &Path, image: &str, more: &[&str]) -> (i32, String, String) {
    // What Grype would read where it is run: a rule that leaves everything out.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".grype.yaml"), "ignore: [{package: {type: deb}}, {package: {type: npm}}]\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
    command
        .args(["scan", image, "--plain-http", "--database"])
        .arg(databases)
        .args(more)
        .env("GRYPE_ONLY_NOTFIXED", "true")
        .env("GRYPE_DISTRO", "debian:99")
        .env("GRYPE_EXCLUDE", "/**")
        .current_dir(folder.path());
    if !more.contains(&"--grype") {
        command.arg("--grype").arg(programs().join("grype"));
    }
    let done = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

#[tokio::test]
async fn an_image_is_scanned_with_settings_of_our_own() {
    let registry = Registry::start().await;
    let databases = database(&advisories(SignedDuration::from_hours(1)));
    let (old, new) = (openssl("3.0.11-1"), openssl("3.0.12-1"));
    let failing = Image::of("linux/amd64", &[RELEASE, ("var/lib/dpkg/status", &old), LODASH]);
    let passing = Image::of("linux/arm64", &[RELEASE, ("var/lib/dpkg/status", &new)]);
    let name = registry.push("team/app", &failing).await;
    let (code, told, complaint) = run(databases.path(), &name, &[]);
    assert_eq!(code, 1, "{told}{complaint}");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], format!("{name}: fail"));
    assert!(lines[2].starts_with("critical  CVE-2026-0001 "), "{told}");
    assert!(lines[3].starts_with("high      GHSA-aaaa-bbbb-cccc "), "{told}");
    assert!(lines[5].starts_with("grype 0.110.0, ") && lines[5].ends_with(&failing.manifest.digest()), "{told}");

    registry.push("team/app", &passing).await;
    let both = registry.push_manifest("team/app", &index(&[&failing, &passing])).await;
    assert_eq!(run(databases.path(), &both, &["--platform", "linux/amd64"]).0, 1);
    let (code, told, complaint) = run(databases.path(), &both, &["--platform", "linux/arm64", "-o", "json"]);
    assert_eq!(code, 0, "{told}{complaint}");
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["digest"], passing.manifest.digest(), "the manifest of that platform");
}

#[tokio::test]
async fn what_came_to_no_end_is_a_scan_error() {
    let registry = Registry::start().await;
    let databases = database(&advisories(SignedDuration::from_hours(1)));
    let image = Image::of("linux/amd64", &[RELEASE]);
    let name = registry.push("team/app", &image).await;
    let absent = format!("{}/team/none:1", registry.host);
    let nothing = tempfile::tempdir().unwrap();
    for (what, databases, image, more, want, told) in [
        ("no such image", databases.path(), absent.as_str(), &[][..], 3, "grype came to no end (exit status: 1)"),
        ("no database", nothing.path(), &name, &[], 3, "grype came to no end (exit status: 1)"),
        ("no time", databases.path(), &name, &["--timeout", "1ms"], 3, "grype has not ended after 0 s"),
        ("no image", databases.path(), "UPPER/case:tag:tag", &[], 2, "image `UPPER/case:tag:tag`"),
        ("no program", databases.path(), &name, &["--grype", "/no/grype"], 2, "cannot run /no/grype"),
    ] {
        let (code, out, complaint) = run(databases, image, more);
        assert_eq!(code, want, "{what}: {out}{complaint}");
        assert!(format!("{out}{complaint}").contains(told), "{what}: {out}{complaint}");
        assert_eq!(out.contains("scan error"), want == 3, "{what}: {out}");
    }
}
