//! Whoever asks for an image that cannot be looked up is told why.

use serde_json::Value;

use crate::gate::{Gate, debian, gate};
use crate::shared::run;

#[test]
fn a_workload_is_told_once_why_its_image_cannot_be_looked_up() {
    run(async {
        let gate = gate().await;
        let _unchanged = gate.unchanged().await;
        let missing = format!("{}/node/missing:1", gate.registry.host);
        let closed = format!("{}/node/closed:1", gate.private.host);
        for (id, image, why) in [
            ("missing", &missing, "the registry has no "),
            ("closed", &closed, "be read only with a credential; give the pod a pull secret for it"),
        ] {
            gate.deployment("gate-a", id, image).await.unwrap();
            gate.logged(image, "failures=3").await;
            let told = told(gate, id).await;
            let [note] = told.as_slice() else { panic!("{told:?}") };
            let begins = format!("Flamewarden cannot find out what {image} is, so no pod runs with it: ");
            assert!(note.starts_with(&begins) && note.contains(why), "{note}");
            // The same Event once more would be the same object; within a minute it is not admitted, which is logged.
            assert!(!gate.has_logged("task=Telling(", image), "told again");
        }
    });
}

#[test]
fn a_registry_with_an_authority_of_its_own_is_asked_and_scanned_by_that() {
    run(async {
        let gate = gate().await;
        let _unchanged = gate.unchanged().await;
        let image = debian("secure", "3.0.12-1");
        let by_digest = gate.secure.push("node/secure", &image).await;
        let by_tag = gate.secure.tag("node/secure", "1", &image.manifest).await;
        gate.deployment("gate-a", "secure", &by_tag).await.unwrap();
        gate.judged(&by_digest, "pass").await;
        gate.runs("gate-a", "secure").await;
    });
}

/// What the Events about an analysis's Deployment say.
async fn told(gate: &Gate, id: &str) -> Vec<String> {
    let list = gate.cluster.admin.get("/apis/events.k8s.io/v1/namespaces/gate-a/events").await.unwrap();
    let is_it = |event: &&Value| {
        let about = &event["regarding"];
        event["reason"] == "ImageLookupFailed"
            && about["kind"] == "Deployment"
            && about["name"] == format!("analysis-{id}")
    };
    let events = list["items"].as_array().unwrap().iter().filter(is_it);
    events.map(|event| event["note"].as_str().unwrap().to_owned()).collect()
}
