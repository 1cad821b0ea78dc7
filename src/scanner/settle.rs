//! Edge: lets a pod go that waits for verdicts on its images, pinned to what was scanned, or tells why it has to wait.

use std::sync::Arc;

use jiff::Timestamp;
use json_patch::jsonptr::PointerBuf;
use json_patch::{Patch, PatchOperation, TestOperation};
use serde_json::json;
use tracing::{info, warn};

use super::lookups::{self, Asker};
use crate::cluster::{Cluster, ClusterProblem, Event, Kind, Often, Recorder};
use crate::facts::{Place, ScanMemory};
use crate::model::labels::SCAN_GATE;
use crate::model::{Edit, FieldPath, Finding, Json, PodView, Reference, parse};
use crate::policy::PolicySet;
use crate::rules::{ScanKnowledge, mend, scan_findings};
use crate::telemetry::whole;

/// Looks at pods that wait.
#[derive(Clone)]
pub(super) struct Settler {
    pub(super) cluster: Cluster,
    pub(super) policies: Arc<PolicySet>,
    pub(super) scans: Arc<ScanMemory>,
    pub(super) recorder: Arc<Recorder>,
}

impl Settler {
    /// Judges a pod from what the API server has now, as admission does.
    pub(super) async fn settle(&self, place: &Place, uid: &str) -> Result<(), ClusterProblem> {
        let Some(text) = self.cluster.read(Kind::Pod, place).await? else { return Ok(()) };
        let Ok(pod) = parse(text.as_bytes()) else { return Err(ClusterProblem::Shape(place.name.clone())) };
        let view = PodView::new(&pod, FieldPath::default());
        let profile = self.policies.profile_of(&view);
        let (Some(profile), true) = (profile, pod.text_at(&["metadata", "uid"]) == Some(uid)) else {
            return Ok(());
        };
        let findings = {
            let scans = self.scans.read();
            scan_findings(&view, profile, ScanKnowledge::Known(&scans), Timestamp::now())
        };
        let stays: Vec<&Finding> = findings.iter().filter(|finding| !finding.has_remedy()).collect();
        if !stays.is_empty() {
            self.tell(place, uid, &stays).await?;
            return Ok(());
        }
        let edits = findings.iter().flat_map(|finding| finding.remedy.iter().cloned());
        // Somebody else was faster.
        let Some(gate) = gate(&pod) else { return Ok(()) };
        let shape = || ClusterProblem::Shape(place.name.clone());
        let patch = letting_go(&pod, gate, edits.collect()).ok_or_else(shape)?;
        self.cluster.change(Kind::Pod, place, patch).await?;
        info!(namespace = place.namespace, pod = place.name, "verdicts let the pod go");
        Ok(())
    }

    /// By a condition of the pod, and by an Event.
    async fn tell(&self, place: &Place, uid: &str, stays: &[&Finding]) -> Result<(), ClusterProblem> {
        let told: Vec<String> = stays.iter().map(|finding| format!("{}: {}", finding.path, finding.message)).collect();
        let note = format!("Flamewarden keeps the gate {SCAN_GATE} closed: {}", told.join("; "));
        let (api_version, kind) = Kind::Pod.type_names();
        let condition = json!({
            "type": "flamewarden.dev/Scanned", "status": "False", "reason": "NoPassingVerdict",
            "message": note.chars().take(CONDITION).collect::<String>(), "lastTransitionTime": Timestamp::now().to_string(),
        });
        let object = json!({
            "apiVersion": api_version, "kind": kind, "metadata": {"name": place.name, "namespace": place.namespace, "uid": uid},
            "status": {"conditions": [condition]},
        });
        self.cluster.apply_status(Kind::Pod, place, &object).await?;
        let about = Reference { api_version, kind: kind.to_owned(), name: place.name.clone(), uid: uid.to_owned() };
        let (reason, action, key) = ("ScanHeld", "LiftGate", Timestamp::now().to_string());
        self.record(&Event { namespace: place.namespace.clone(), about, reason, action, note, key }).await;
        Ok(())
    }

    /// By an Event, at the object that asks for the image.
    ///
    /// # Errors
    /// It was not told.
    pub(super) async fn tell_of_lookup(&self, asker: &Asker, name: &str, reason: &str) -> Result<(), String> {
        let event = lookups::event(asker, name, reason);
        if !self.recorder.admits(&event, Often::Seldom) {
            return Err("as many Events as may be were told within the last minute".to_owned());
        }
        self.recorder.write(&event).await.map_err(|problem| whole(&problem))
    }

    async fn record(&self, event: &Event) {
        if self.recorder.admits(event, Often::Seldom)
            && let Err(problem) = self.recorder.write(event).await
        {
            warn!(namespace = event.namespace, %problem, "event not written");
        }
    }
}

/// Which of a pod's gates is the one that stays closed for verdicts.
fn gate(pod: &Json<'_>) -> Option<usize> {
    let gates = pod.at(&["spec", "schedulingGates"])?.items();
    gates.iter().position(|gate| gate.text_at(&["name"]) == Some(SCAN_GATE))
}

/// The patch that pins the images and opens the gate of exactly the version that was judged.
fn letting_go(pod: &Json<'_>, gate: usize, mut edits: Vec<Edit>) -> Option<Patch> {
    let version = pod.text_at(&["metadata", "resourceVersion"])?;
    edits.push(Edit::Remove(FieldPath::of(&["spec", "schedulingGates"]).index(gate)));
    let Patch(changes) = mend(pod, &edits).ok()?;
    let path = PointerBuf::from_tokens(["metadata", "resourceVersion"]);
    let test = PatchOperation::Test(TestOperation { path, value: json!(version) });
    Some(Patch([test].into_iter().chain(changes).collect()))
}

/// As long as the API server lets it be.
const CONDITION: usize = 32768;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_goes_in_the_version_that_was_judged_with_what_was_scanned() {
        let text = format!(
            r#"{{"metadata":{{"resourceVersion":"7"}},"spec":{{"schedulingGates":[{{"name":"x"}},{{"name":"{SCAN_GATE}"}}],
                "containers":[{{"image":"r/a:1"}}]}}}}"#
        );
        let pod = parse(text.as_bytes()).unwrap();
        let path = FieldPath::of(&["spec", "containers"]).index(0).key("image");
        assert_eq!(gate(&pod), Some(1));
        let patch = letting_go(&pod, 1, vec![Edit::Set(path, json!("r/a:1@d"))]).unwrap();
        assert_eq!(
            serde_json::to_value(patch).unwrap(),
            json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
                {"op": "replace", "path": "/spec/containers/0/image", "value": "r/a:1@d"},
                {"op": "replace", "path": "/spec/schedulingGates", "value": [{"name": "x"}]},
            ])
        );
        let open = parse(br#"{"metadata":{"resourceVersion":"7"},"spec":{}}"#).unwrap();
        assert_eq!(gate(&open), None);
    }
}
