//! A webhook configuration that somebody changes or deletes is told of, and no longer once it is as printed again.

use serde_json::{Value, json};

use crate::caller::PatchKind;
use crate::lab::{Lab, log};
use crate::probes::metrics;
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn a_configuration_that_is_not_as_printed_is_told_of() {
    run(async {
        let lab = Lab::start().await;
        let (workloads, connect) = (format!("{KIND}/flamewarden-workloads"), format!("{KIND}/flamewarden-connect"));
        let mut deleted = lab.cluster.admin.get(&connect).await.unwrap();
        lab.cluster.admin.patch(&workloads, PatchKind::Json, &failure_policy("Ignore")).await.unwrap();
        drifted(
            &lab,
            1,
            "configuration=\"ValidatingWebhookConfiguration/flamewarden-workloads\" fields=\"failurePolicy\"",
        )
        .await;
        lab.cluster.admin.delete(&connect, None).await.unwrap();
        drifted(&lab, 2, "configuration=\"ValidatingWebhookConfiguration/flamewarden-connect\" fields=\"missing\"")
            .await;

        lab.cluster.admin.patch(&workloads, PatchKind::Json, &failure_policy("Fail")).await.unwrap();
        deleted["metadata"] = json!({"name": deleted["metadata"]["name"]});
        lab.cluster.admin.create(KIND, &deleted).await.unwrap();
        drifted(&lab, 0, "").await;
    });
}

fn failure_policy(value: &str) -> Value {
    json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": value}])
}

/// Waits until so many are told of, and the log says so.
async fn drifted(lab: &Lab, count: usize, said: &str) {
    let line = format!("flamewarden_webhook_configurations_drifted {count}");
    wait_until(&line, PATIENCE, async || {
        let metrics = metrics(&lab.controllers[0]).await?;
        metrics.lines().any(|sample| sample == line).then_some(())
    })
    .await;
    let log = log(&lab.controllers[0]);
    assert!(log.contains(said), "{log}");
}

const KIND: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
