//! FLAME's own Pod Orchestrator beside a gate that holds: an image that nobody has seen yet runs, every call is answered as
//! without the gate, and the pod starts as soon as its verdict is there.

use std::time::Instant;

use serde_json::Value;

use crate::flame::{Images, Orchestrator};
use crate::gate::{FLAME, SOUND, debian, gate, path};
use crate::recording::Recording;
use crate::shared::{Cluster, run};

#[test]
fn flames_orchestrator_runs_a_new_image_with_every_call_answered_as_without_the_gate() {
    run(async {
        let gate = gate().await;
        let changed = gate.changed("    onUnknown: hold\n").await;
        let (analysis, pinned) = gate.tagged("flames", "1", SOUND).await;
        let nginx = debian("gateways/flames", SOUND);
        gate.registry.push("gateways/flames", &nginx).await;
        let gateway = gate.registry.tag("gateways/flames", "1", &nginx.manifest).await;
        let images = Images { analysis: analysis.clone(), gateway };
        let bare = gate.cluster.namespace("bare").await;
        let scans = Recording::start(&gate.cluster.admin, "/apis/flamewarden.dev/v1alpha1/imagescans").await;
        let pods = Recording::start(&gate.cluster.admin, &format!("/api/v1/namespaces/{FLAME}/pods")).await;
        let with = replay(gate.cluster, FLAME, images.clone()).await;
        let without = replay(gate.cluster, &bare, images).await;
        assert_eq!(with, without);
        // What ran is what was scanned, and no moment earlier than the scan had passed.
        let heard = |recording: &Recording, object: &str, wanted: &dyn Fn(&Value) -> bool| {
            let meant = |one: &Value| one["metadata"]["name"].as_str().is_some_and(|name| name.starts_with(object));
            let found = recording.of(meant).into_iter().find(|event| wanted(&event.object));
            found.unwrap_or_else(|| panic!("{object} was never so"))
        };
        let scan = path(&pinned).rsplit('/').next().unwrap().to_owned();
        let passes = heard(&scans, &scan, &|scan| scan["status"]["verdicts"][0]["outcome"] == "pass");
        let held = heard(&pods, ANALYSIS, &|pod| {
            pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| gates.len() == 2)
        });
        let bound = heard(&pods, ANALYSIS, &|pod| pod["spec"]["nodeName"].is_string());
        let runs = heard(&pods, ANALYSIS, &|pod| pod["status"]["phase"] == "Running");
        let digest = pinned.split_once('@').unwrap().1;
        assert_eq!(held.object["spec"]["containers"][0]["image"], *analysis);
        assert_eq!(bound.object["spec"]["containers"][0]["image"], format!("{analysis}@{digest}"));
        assert!(held.version < passes.version && passes.version < bound.version && bound.version < runs.version);
        let after = |moment: Instant| moment.saturating_duration_since(passes.heard).as_millis();
        println!(
            "after the verdict of FLAME's analysis: bound in {} ms, runs in {} ms",
            after(bound.heard),
            after(runs.heard)
        );
        drop(changed);
    });
}

/// Every call of two analyses of the same image, begun and stopped, with the code of its answer.
async fn replay(cluster: &Cluster, namespace: &str, images: Images) -> Vec<(String, u16)> {
    let mut orchestrator = Orchestrator::install_with(cluster, namespace, images).await;
    for analysis in [ANALYSIS, SECOND] {
        orchestrator.create(analysis).await;
    }
    for analysis in [ANALYSIS, SECOND] {
        orchestrator.stop(analysis).await;
    }
    orchestrator.calls.into_iter().map(|(call, code, _)| (call, code)).collect()
}

const ANALYSIS: &str = "analysis-2f0c3d5e-5d39-4b1f-8d1c-6f4f8a1c2b3d-1";
const SECOND: &str = "analysis-9b7e1d5e-5d39-4b1f-8d1c-6f4f8a1c2b3d-1";
