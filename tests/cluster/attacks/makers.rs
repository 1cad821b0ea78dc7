//! The eight makers of pods: each makes the same pod its own way, and what is stored is looked at.

use jiff::{SignedDuration, Timestamp};
use json_patch::merge;
use serde_json::{Map, Value, json};

use super::attempt::told;
use super::catalogue::{Expect, Trial, filled};
use super::field::{Field, Scene, absolute, holds};
use crate::caller::{Outcome, PatchKind};
use crate::flamewarden::good_analysis;
use crate::shared::{PATIENCE, within};

/// What makes a pod.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Maker {
    Bare,
    ReplicaSet,
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    ReplicationController,
}

impl Maker {
    pub(super) const ALL: [Maker; 8] = [
        Maker::Bare,
        Maker::ReplicaSet,
        Maker::Deployment,
        Maker::StatefulSet,
        Maker::DaemonSet,
        Maker::Job,
        Maker::CronJob,
        Maker::ReplicationController,
    ];

    /// All but the DaemonSet.
    pub(super) const OF_GOOD_PODS: [Maker; 7] = [
        Maker::Bare,
        Maker::ReplicaSet,
        Maker::Deployment,
        Maker::StatefulSet,
        Maker::Job,
        Maker::CronJob,
        Maker::ReplicationController,
    ];

    /// As messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Maker::Bare => "Pod",
            Maker::ReplicaSet => "ReplicaSet",
            Maker::Deployment => "Deployment",
            Maker::StatefulSet => "StatefulSet",
            Maker::DaemonSet => "DaemonSet",
            Maker::Job => "Job",
            Maker::CronJob => "CronJob",
            Maker::ReplicationController => "ReplicationController",
        }
    }

    fn resource(self) -> String {
        format!("{}s", self.name().to_lowercase())
    }

    fn short(self) -> &'static str {
        match self {
            Maker::Bare => "po",
            Maker::ReplicaSet => "rs",
            Maker::Deployment => "de",
            Maker::StatefulSet => "st",
            Maker::DaemonSet => "ds",
            Maker::Job => "jo",
            Maker::CronJob => "cj",
            Maker::ReplicationController => "rc",
        }
    }

    /// The object whose creation makes the pod.
    fn object(self, name: &str, pod: Value) -> Value {
        if self == Maker::Bare {
            let mut pod = pod;
            pod["metadata"]["name"] = json!(name);
            return pod;
        }
        let version = match self {
            Maker::ReplicationController => "v1",
            Maker::Job | Maker::CronJob => "batch/v1",
            _ => "apps/v1",
        };
        json!({"apiVersion": version, "kind": self.name(), "metadata": {"name": name}, "spec": self.spec(pod)})
    }

    fn spec(self, mut pod: Value) -> Value {
        if let Some(members) = pod.as_object_mut() {
            members.retain(|key, _| key == "metadata" || key == "spec");
        }
        let labels = pod["metadata"]["labels"].clone();
        if matches!(self, Maker::Job | Maker::CronJob) {
            pod["spec"]["restartPolicy"] = json!("Never");
        }
        let job = json!({"template": pod, "backoffLimit": 0});
        match self {
            Maker::Job => job,
            Maker::CronJob => json!({"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}),
            Maker::ReplicationController => json!({"replicas": 1, "selector": labels, "template": pod}),
            Maker::DaemonSet => json!({"selector": {"matchLabels": labels}, "template": pod}),
            _ => json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": pod}),
        }
    }
}

/// Lets one maker make the pod of a trial, and looks at what is stored.
pub(super) async fn attempt_pod(scene: Scene<'_>, trial: &Trial, maker: Maker) -> Result<(), String> {
    let id = format!("{}-{}", trial.id, maker.short());
    Field::prepare(scene, trial, &id).await?;
    let making = Making { scene, namespace: &trial.namespace, name: id.clone(), maker };
    let app = format!("analysis-{id}");
    let patch = asked_for(trial, &[("{app}", &app), ("{id}", &id)]);
    let mut whole = good_analysis(&id);
    merge(&mut whole["spec"]["containers"][0], &patch.container);
    merge(&mut whole, &patch.pod);
    let answer = scene.editor.create(&making.collection(), &maker.object(&id, whole)).await;
    // A DaemonSet's pods name their node, which no analysis may: for it, what would be mended is refused.
    let refused = Expect::Refused("scheduling".to_owned());
    let expect = match (&trial.expect, &trial.bare) {
        (_, Some(bare)) if maker == Maker::Bare => bare,
        (Expect::Mended { .. } | Expect::Allowed(_), _) if maker == Maker::DaemonSet => &refused,
        (expect, _) => expect,
    };
    let outcome = making.came_to(expect, &answer, &patch).await;
    making.clear().await;
    outcome
}

/// What a trial's pod says besides what every good analysis does.
struct Patch {
    pod: Value,
    container: Value,
}

fn asked_for(trial: &Trial, names: &[(&str, &str)]) -> Patch {
    let given = |patch: &Option<Value>| filled(patch.as_ref().unwrap_or(&json!({})), names);
    Patch { pod: given(&trial.pod), container: given(&trial.container) }
}

/// One pod being made by one maker.
struct Making<'a> {
    scene: Scene<'a>,
    namespace: &'a str,
    name: String,
    maker: Maker,
}

impl Making<'_> {
    fn collection(&self) -> String {
        absolute(&self.maker.resource(), self.namespace)
    }

    /// Whether the answer to the creation, and what is stored then, are as expected.
    async fn came_to(&self, expect: &Expect, answer: &Outcome, patch: &Patch) -> Result<(), String> {
        match (expect, answer) {
            // A template may be stored, and its maker be told of the refusal.
            (Expect::Refused(rule), Ok(_)) if self.maker != Maker::Bare => self.pod_refused(&format!("{rule}:")).await,
            (Expect::Stopped { says, .. }, Ok(_)) if self.maker != Maker::Bare => self.pod_refused(says).await,
            (Expect::Mended { stored, .. }, Ok(_)) => self.pod_has(stored).await.map(drop),
            (Expect::Stored { has, .. }, Ok(_)) => self.pod_has(has).await.map(drop),
            (Expect::Allowed(_), Ok(_)) => {
                let pod = self.pod_has(&Map::new()).await?;
                let is_so = holds(&pod, &patch.pod) && holds(&pod["spec"]["containers"][0], &patch.container);
                if is_so { Ok(()) } else { Err(format!("wanted what was asked for, stored is {pod}")) }
            }
            (expect, answer) => {
                told(expect, answer)?;
                self.nothing_stored().await
            }
        }
    }

    /// Neither the object nor a pod of it is there.
    async fn nothing_stored(&self) -> Result<(), String> {
        let path = format!("{}/{}", self.collection(), self.name);
        let stored = self.scene.cluster.admin.get(&path).await;
        match (stored, self.pods().await.as_slice()) {
            (Err(gone), []) if gone.code == 404 => Ok(()),
            (stored, pods) => Err(format!("refused and yet stored: {stored:?}, {} pods", pods.len())),
        }
    }

    /// The template was stored: the controller is told of the refusal, and there is no pod.
    async fn pod_refused(&self, says: &str) -> Result<(), String> {
        self.trigger().await;
        let complaint = within(PATIENCE, async || self.complaint().await).await.unwrap_or_default();
        let pods = self.pods().await;
        match (complaint.contains(says), pods.as_slice()) {
            (true, []) => Ok(()),
            _ => Err(format!("wanted a refusal by {says} and no pod, got {} pods and: {complaint}", pods.len())),
        }
    }

    /// What the controller says of its failure to make a pod.
    async fn complaint(&self) -> Option<String> {
        // Events name the maker that failed: for some that is one made by ours.
        let path = absolute("events?fieldSelector=reason%3DFailedCreate", self.namespace);
        let events = self.scene.cluster.admin.get(&path).await.ok()?;
        let ours = |event: &&Value| {
            let name = event["involvedObject"]["name"].as_str().unwrap_or_default();
            name == self.name || name.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with('-'))
        };
        let event = events["items"].as_array()?.iter().find(ours)?;
        event["message"].as_str().map(str::to_owned)
    }

    /// The pod is stored with these values; gives it.
    async fn pod_has(&self, wanted: &Map<String, Value>) -> Result<Value, String> {
        self.trigger().await;
        let Some(pod) = within(PATIENCE, async || self.pods().await.into_iter().next()).await else {
            return Err(format!("no pod came of it: {:?}", self.complaint().await));
        };
        for (pointer, value) in wanted {
            let stored = pod.pointer(pointer).unwrap_or(&Value::Null);
            if stored != value {
                return Err(format!("wanted {value} at {pointer}, stored is {stored}"));
            }
        }
        Ok(pod)
    }

    /// The pods that bear the trial's name; their makers give them longer ones.
    async fn pods(&self) -> Vec<Value> {
        let all = self.scene.cluster.admin.get(&absolute("pods", self.namespace)).await.unwrap();
        let ours = |pod: &&Value| {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            name == self.name || name.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with('-'))
        };
        all["items"].as_array().into_iter().flatten().filter(ours).cloned().collect()
    }

    /// Makes a CronJob due at once, by saying that it last ran a year ago.
    async fn trigger(&self) {
        if self.maker != Maker::CronJob {
            return;
        }
        let last = Timestamp::now() - SignedDuration::from_hours(24 * 366);
        let path = format!("{}/{}/status", self.collection(), self.name);
        let patch = json!({"status": {"lastScheduleTime": last.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()}});
        self.scene.cluster.admin.patch(&path, PatchKind::Merge, &patch).await.unwrap();
    }

    /// Ends the maker, so that it does not try for ever.
    async fn clear(&self) {
        let path = format!("{}/{}", self.collection(), self.name);
        let _ = self.scene.cluster.admin.delete(&path, Some(&json!({"propagationPolicy": "Background"}))).await;
    }
}
