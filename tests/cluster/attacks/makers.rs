//! The eight makers of pods: each makes the same pod its own way, and what is stored is looked at.

use jiff::{SignedDuration, Timestamp};
use json_patch::merge;
use serde_json::{Map, Value, json};

use super::attempt::{absolute, is_refused_by, told};
use super::catalogue::{Expect, Trial, filled};
use crate::caller::{PatchKind, Refusal};
use crate::flamewarden::{Guarded, good_analysis};
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
pub(super) async fn attempt_pod(guarded: &Guarded, trial: &Trial, maker: Maker) -> Result<(), String> {
    let id = format!("{}-{}", trial.id, maker.short());
    let making = Making { guarded, namespace: &trial.namespace, name: id.clone(), maker };
    let mut whole = good_analysis(&id);
    let app = format!("analysis-{id}");
    let given = |patch: &Option<Value>| filled(patch.as_ref().unwrap_or(&json!({})), &[("{app}", &app)]);
    merge(&mut whole["spec"]["containers"][0], &given(&trial.container));
    merge(&mut whole, &given(&trial.pod));
    let answer = guarded.editor.create(&making.collection(), &maker.object(&id, whole)).await;
    // A DaemonSet's pods name their node, which no analysis may: for it, what would be mended is refused.
    let refused = Expect::Refused("scheduling".to_owned());
    let expect = match trial.expect {
        Expect::Mended { .. } | Expect::Allowed(_) if maker == Maker::DaemonSet => &refused,
        _ => &trial.expect,
    };
    let outcome = match (expect, answer) {
        (Expect::Refused(rule), Ok(_)) if maker != Maker::Bare => making.pod_refused(rule).await,
        (Expect::Refused(rule), Err(refusal)) => making.nothing_stored(&refusal, rule).await,
        (Expect::Mended { stored, .. }, Ok(_)) => making.pod_has(stored).await,
        (Expect::Allowed(_), Ok(_)) => making.pod_has(&Map::new()).await,
        (Expect::Stored { has, .. }, Ok(_)) => making.pod_has(has).await,
        (expect, answer) => told(expect, &answer),
    };
    making.clear().await;
    outcome
}

/// One pod being made by one maker.
struct Making<'a> {
    guarded: &'a Guarded,
    namespace: &'a str,
    name: String,
    maker: Maker,
}

impl Making<'_> {
    fn collection(&self) -> String {
        absolute(&self.maker.resource(), self.namespace)
    }

    /// The creation was refused: by the right rule, and nothing is there.
    async fn nothing_stored(&self, refusal: &Refusal, rule: &str) -> Result<(), String> {
        if !is_refused_by(refusal, rule) {
            return Err(format!("wanted a refusal by {rule}, got {} {}", refusal.code, refusal.message));
        }
        let path = format!("{}/{}", self.collection(), self.name);
        match self.guarded.cluster.admin.get(&path).await {
            Err(gone) if gone.code == 404 => Ok(()),
            other => Err(format!("refused and yet stored: {other:?}")),
        }
    }

    /// The template was stored: the controller is told of the refusal, and there is no pod.
    async fn pod_refused(&self, rule: &str) -> Result<(), String> {
        self.trigger().await;
        let complaint = within(PATIENCE, async || self.complaint().await).await.unwrap_or_default();
        let pods = self.pods().await;
        match (complaint.contains(&format!("{rule}:")), pods.as_slice()) {
            (true, []) => Ok(()),
            _ => Err(format!("wanted a refusal by {rule} and no pod, got {} pods and: {complaint}", pods.len())),
        }
    }

    /// What the controller says of its failure to make a pod.
    async fn complaint(&self) -> Option<String> {
        // Events name the maker that failed: for some that is one made by ours.
        let path = absolute("events?fieldSelector=reason%3DFailedCreate", self.namespace);
        let events = self.guarded.cluster.admin.get(&path).await.ok()?;
        let ours = |event: &&Value| {
            let name = event["involvedObject"]["name"].as_str().unwrap_or_default();
            name == self.name || name.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with('-'))
        };
        let event = events["items"].as_array()?.iter().find(ours)?;
        event["message"].as_str().map(str::to_owned)
    }

    /// The pod is stored with these values.
    async fn pod_has(&self, wanted: &Map<String, Value>) -> Result<(), String> {
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
        Ok(())
    }

    /// The pods that bear the trial's name; their makers give them longer ones.
    async fn pods(&self) -> Vec<Value> {
        let all = self.guarded.cluster.admin.get(&absolute("pods", self.namespace)).await.unwrap();
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
        self.guarded.cluster.admin.patch(&path, PatchKind::Merge, &patch).await.unwrap();
    }

    /// Ends the maker, so that it does not try for ever.
    async fn clear(&self) {
        let path = format!("{}/{}", self.collection(), self.name);
        let _ = self.guarded.cluster.admin.delete(&path, Some(&json!({"propagationPolicy": "Background"}))).await;
    }
}
