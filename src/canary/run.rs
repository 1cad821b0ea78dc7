//! Edge: has canaries run while this process leads, and writes down what they told.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::act::{found, sweep};
use super::objects::Run;
use super::outcome::{AGAIN, again, is_due, recorded};
use crate::cluster::{Cluster, ClusterProblem, Kind, Leadership};
use crate::facts::{CanaryRecord, CanaryResult, NetworkKnown, Place};
use crate::install::CANARY;
use crate::policy::{NetworkSettings, PolicySet};
use crate::telemetry::{Metrics, whole};

/// What the canary works with.
pub struct CanarySettings {
    /// A leader's connection.
    pub cluster: Cluster,
    /// Whether there is anything to do.
    pub leadership: Leadership,
    /// The policies in force; their section `network` asks for canaries.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// Flamewarden's own namespace.
    pub namespace: String,
    /// Flamewarden's own image, by digest; without it nothing runs.
    pub image: Option<String>,
    /// Where it is told what is known.
    pub metrics: Arc<Metrics>,
}

/// Has canaries run for as long as the process lives.
pub struct Canary {
    settings: CanarySettings,
    /// Whether what a leader before has left is gone.
    swept: bool,
    /// Whether it was said that there is no image.
    said: bool,
    /// Not before then: what is stored could not be read, or what a run told not be written down.
    rests: Option<Instant>,
}

impl Canary {
    /// One that has seen nothing yet.
    pub fn new(settings: CanarySettings) -> Self {
        Canary { settings, swept: false, said: false, rests: None }
    }

    /// Goes on until `stop` says so. A run that is under way is left to the next leader, who removes its objects.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.go_on() => {}
        }
        self.settings.metrics.network.clear();
    }

    async fn go_on(&mut self) {
        loop {
            let rests = self.rests.is_some_and(|until| Instant::now() < until);
            if self.settings.leadership.holds() {
                if !rests && let Err(problem) = self.look().await {
                    warn!(problem = %whole(&problem), "the canary is not looked after");
                    self.rests = Some(Instant::now() + AGAIN);
                }
            } else {
                self.swept = false;
                self.settings.metrics.network.clear();
            }
            sleep(LOOK).await;
        }
    }

    async fn look(&mut self) -> Result<(), ClusterProblem> {
        let policies = self.settings.policies.load_full();
        let stored = self.stored(&policies).await;
        let Some(network) = &policies.installation.network else { return Ok(()) };
        let stored = stored?;
        let Some(image) = self.settings.image.clone() else {
            if !std::mem::replace(&mut self.said, true) {
                warn!("the policies ask for canaries, and none runs: name Flamewarden's image with --installed-image");
            }
            return Ok(());
        };
        if !self.swept {
            sweep(&self.settings.cluster, &self.settings.namespace).await?;
            self.swept = true;
        }
        let before = stored.as_deref().and_then(CanaryRecord::read);
        if is_due(before.as_ref(), network.every(), Timestamp::now()) {
            self.canary(image, before.as_ref(), network).await?;
            self.stored(&policies).await?;
        }
        Ok(())
    }

    /// The ConfigMap's text. What it says is told by metrics.
    async fn stored(&self, policies: &PolicySet) -> Result<Option<String>, ClusterProblem> {
        let CanarySettings { cluster, metrics, .. } = &self.settings;
        let stored = cluster.read(Kind::ConfigMap, &self.place()).await;
        let text = stored.as_ref().ok().and_then(Option::as_deref);
        match NetworkKnown::read(text, policies.installation.result_holds(), Timestamp::now()) {
            NetworkKnown::Enforced { at } => metrics.network.tell("enforced", Some(at.as_second())),
            NetworkKnown::NotEnforced { at, .. } => metrics.network.tell("not_enforced", Some(at.as_second())),
            NetworkKnown::Unknown(_) => metrics.network.tell("unknown", None),
        }
        stored
    }

    async fn canary(
        &self,
        image: String,
        before: Option<&CanaryRecord>,
        network: &NetworkSettings,
    ) -> Result<(), ClusterProblem> {
        let CanarySettings { cluster, namespace, .. } = &self.settings;
        let id = format!("{:x}", Timestamp::now().as_millisecond());
        let run = Run { namespace: namespace.clone(), image, id };
        let found = found(cluster, &run, again(before)).await;
        let (detail, node) = (&found.detail, found.node.as_deref());
        match found.result {
            CanaryResult::Enforced => info!(node, detail, "the network enforces"),
            CanaryResult::NotEnforced => warn!(node, detail, "the network does not enforce from the first packet"),
            CanaryResult::Unknown => warn!(node, detail, "the canary told nothing"),
        }
        // Read again: the run has taken a while.
        let text = cluster.read(Kind::ConfigMap, &self.place()).await?;
        let stored: Option<Value> = text.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let before = text.as_deref().and_then(CanaryRecord::read);
        let record = recorded(before, &found, network.holds(), Timestamp::now());
        // Bound to the version that was read, so that of two leaders one fails.
        let version = stored.as_ref().and_then(|stored| stored.pointer("/metadata/resourceVersion"));
        let labels = json!({"app.kubernetes.io/part-of": "flamewarden"});
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": CANARY, "namespace": namespace, "labels": labels, "resourceVersion": version},
            "data": record.written(),
        });
        cluster.store(Kind::ConfigMap, &self.place(), &object).await
    }

    fn place(&self) -> Place {
        Place { namespace: self.settings.namespace.clone(), name: CANARY.to_owned() }
    }
}

/// How soon other settings, another leader's result and a run that is due are seen.
const LOOK: Duration = Duration::from_secs(10);
