//! What the controller knows of images that nobody uses goes after a while.

use serde_json::json;

use crate::caller::PatchKind;
use crate::gate::{WRITER, gate, path};
use crate::shared::run;

#[test]
fn a_scan_that_nobody_has_used_for_long_is_deleted_and_is_made_again_when_somebody_does() {
    run(async {
        let gate = gate().await;
        let _unchanged = gate.unchanged().await;
        let image = gate.debian("unused", "3.0.12-1").await;
        gate.deployment("gate-c", "unused", &image).await.unwrap();
        let used = gate.judged(&image, "pass").await;
        assert!(used["status"]["unusedSince"].is_null(), "{used}");
        let deployment = "/apis/apps/v1/namespaces/gate-c/deployments/analysis-unused";
        gate.cluster.admin.delete(deployment, None).await.unwrap();
        gate.scan(&image, |scan| scan["status"]["unusedSince"].as_str().map(drop)).await;

        let month = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(30 * 24);
        let long = json!({"status": {"unusedSince": month.to_string()}});
        let writer = gate.cluster.plane.caller(WRITER, Some("system:masters")).await;
        writer.patch(&format!("{}/status", path(&image)), PatchKind::Merge, &long).await.unwrap();
        gate.cluster.gone(&path(&image)).await;
        gate.logged("an ImageScan that nobody uses is deleted", &image).await;
        gate.refused("gate-c", "unused", &image, "there is no scan of it yet").await;

        gate.deployment("gate-c", "unused", &image).await.unwrap();
        let anew = gate.judged(&image, "pass").await;
        assert_ne!(anew["metadata"]["uid"], used["metadata"]["uid"]);
    });
}
