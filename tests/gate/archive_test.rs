//! Reports that are too large for an object: judged again from the archive, which is not believed.

use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _};

use crate::gate::{CREATOR, Gate, gate, path};
use crate::image::Image;
use crate::samples::RELEASE;
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn a_large_report_is_judged_again_from_the_archive_and_one_that_was_changed_there_is_made_anew() {
    run(async {
        let gate = gate().await;
        let changed = gate.changed("").await;
        let image = gate.registry.push("node/large", &large()).await;
        let path = path(&image);
        let (scans, name) = path.rsplit_once('/').unwrap();
        let object = json!({"apiVersion": "flamewarden.dev/v1alpha1", "kind": "ImageScan", "metadata": {"name": name},
            "spec": {"image": image}});
        gate.cluster.plane.caller(CREATOR, Some("system:masters")).await.create(scans, &object).await.unwrap();
        let first = gate.judged(&image, "pass").await;
        let report = &first["status"]["report"];
        assert!(report["archived"].is_string() && report["text"].is_null(), "{report}");
        drop(changed);

        let changed = gate.changed("    failOn: {severity: medium}\n").await;
        let waits = gate.grype_waits();
        let again = gate.scan(&image, fails).await;
        assert_eq!(again["status"]["scannedAt"], first["status"]["scannedAt"], "nothing was scanned for that");
        std::fs::remove_file(waits).unwrap();
        drop(changed);

        let mut archive = archive(gate).await;
        let soften = "UPDATE reports SET text = REPLACE(text, '\"medium\"', '\"negligible\"')";
        assert!(sqlx::query(soften).execute(&mut archive).await.unwrap().rows_affected() > 0);
        let changed = gate.changed("    failOn: {severity: medium, severityFixed: low}\n").await;
        gate.logged("the kept report is not believed", name.strip_prefix("sha256-").unwrap()).await;
        // Under the limits of another test's turn it may have been made anew already.
        let is_anew = |scan: &Value| scan["status"]["scannedAt"] != first["status"]["scannedAt"];
        gate.scan(&image, |scan| is_anew(scan).then(|| fails(scan)).flatten()).await;

        let administrator = gate.cluster.plane.caller("security", Some("system:masters")).await;
        administrator.delete(&path, None).await.unwrap();
        wait_until("the report has gone with its image's scan", PATIENCE, async || {
            let left = sqlx::query_scalar("SELECT image FROM reports WHERE image = $1");
            let left: Option<String> =
                left.bind(name.replacen('-', ":", 1)).fetch_optional(&mut archive).await.unwrap();
            left.is_none().then_some(())
        })
        .await;
        drop(changed);
    });
}

fn fails(scan: &Value) -> Option<Value> {
    let verdicts = scan["status"]["verdicts"].as_array()?;
    verdicts.iter().any(|one| one["outcome"] == "fail").then(|| scan.clone())
}

/// Debian with more packages of a source with a hole than the report of an object can name.
fn large() -> Image {
    let package = |number: u32| {
        format!(
            "Package: libcrypto-part{number}\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.12-1\n\
             Architecture: amd64\nDescription: x\n\n"
        )
    };
    let list: String = (0..2000).map(package).collect();
    Image::of("linux/amd64", &[RELEASE, ("var/lib/dpkg/status", &list)])
}

async fn archive(gate: &Gate) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(&format!("sqlite:{}", gate.archive.display())).await.unwrap()
}
