//! Edge: carries out one step of the plan.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::{info, warn};

use super::free::{free, may_go};
use super::identity::{is_there, owned, remembered};
use super::judge::{Lift, Verdict, judge};
use super::lift::{Refusal, summary};
use super::makeup::Made;
use super::network::hindrance;
use super::owner::{OwnedPod, Owner, holder};
use super::plan::{Identity, MayGo, Step};
use super::settings::GuardSettings;
use super::tell;
use crate::cluster::{Cluster, ClusterProblem, Event, Kind, Leadership, Often, Recorder};
use crate::facts::{Adopted, Facts, Place, ScanMemory};
use crate::isolation;
use crate::model::labels::{ADOPTED, HOLDER};
use crate::model::{Reference, parse};
use crate::policy::PolicySet;

/// How a step ended.
pub(super) enum Outcome {
    /// Done, and this policy is stored now.
    Stored(Place, Value),
    /// Done; its effect will be seen.
    Settling,
    /// Not done: what the plan took for gone is there.
    StillNeeded,
    /// Not done: a gate stays closed, or something went wrong. The reason was logged.
    Failed,
}

/// Carries out steps for one analysis.
pub(super) struct Actor {
    cluster: Cluster,
    leadership: Leadership,
    /// Flamewarden's own namespace.
    own: String,
    policies: Arc<PolicySet>,
    scans: Arc<ScanMemory>,
    uids: Vec<(String, String)>,
    /// Name and uid.
    pods: Vec<(String, String)>,
    recorder: Arc<Recorder>,
}

impl Actor {
    pub(super) fn new(settings: &GuardSettings, policies: Arc<PolicySet>, facts: &Facts, identity: &Identity) -> Self {
        let pods = facts.pods.iter();
        let pods = pods.filter(|(place, fact)| place.namespace == identity.namespace && fact.app == identity.app);
        let own = facts.policies.iter();
        let own = own.filter(|(place, fact)| place.namespace == identity.namespace && fact.app == identity.app);
        Actor {
            cluster: settings.cluster.clone(),
            leadership: settings.leadership.clone(),
            own: settings.namespace.clone(),
            policies,
            scans: settings.scans.clone(),
            uids: own.map(|(place, policy)| (place.name.clone(), policy.uid.clone())).collect(),
            pods: pods.map(|(place, pod)| (place.name.clone(), pod.uid.clone())).collect(),
            recorder: settings.recorder.clone(),
        }
    }

    pub(super) async fn act(&self, identity: &Identity, step: Step) -> Outcome {
        let place = |name: String| Place { namespace: identity.namespace.clone(), name };
        if !self.leadership.holds() {
            return Outcome::Failed;
        }
        let done = match step {
            Step::Isolate { name, adopted } => self.isolate(identity, place(name), &adopted).await,
            Step::Adopt { pods, policy, adopted } => self.adopt(identity, &pods, place(policy), adopted).await,
            Step::Free { name, because } => self.free(identity, place(name), &because).await,
            Step::Delete { name, because } => self.delete(identity, place(name), &because).await,
            Step::Lift { pods } => self.lift(identity, pods).await,
            Step::Wait { .. } => Ok(Outcome::Settling),
        };
        done.unwrap_or_else(|problem| {
            let cause = problem.source().map(ToString::to_string);
            warn!(namespace = identity.namespace, app = identity.app, %problem, cause, "guard step failed");
            Outcome::Failed
        })
    }

    async fn isolate(
        &self,
        identity: &Identity,
        place: Place,
        adopted: &BTreeMap<String, Adopted>,
    ) -> Result<Outcome, ClusterProblem> {
        let outcome = self.write(identity, place, adopted).await;
        outcome.inspect(|_| info!(namespace = identity.namespace, app = identity.app, "isolation policy written"))
    }

    async fn write(
        &self,
        identity: &Identity,
        place: Place,
        adopted: &BTreeMap<String, Adopted>,
    ) -> Result<Outcome, ClusterProblem> {
        let known = self.uids.iter().map(|(name, _)| name);
        let holder = remembered(&self.cluster, &identity.namespace, known).await?;
        let adopted = (!adopted.is_empty()).then(|| (ADOPTED.to_owned(), json!(tell::written(adopted))));
        let annotations: Map<_, _> =
            adopted.into_iter().chain(holder.map(|owner| (HOLDER.to_owned(), json!(owner.written())))).collect();
        let mut policy =
            isolation::policy(&identity.app, &place.namespace, &self.policies.analysis, &self.policies.gateway);
        if let Some(metadata) = policy.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("name".to_owned(), json!(place.name));
            if !annotations.is_empty() {
                metadata.insert("annotations".to_owned(), Value::Object(annotations));
            }
        }
        let stored = self.cluster.apply(Kind::NetworkPolicy, &place, &policy).await?;
        Ok(Outcome::Stored(place, stored))
    }

    async fn free(&self, identity: &Identity, place: Place, because: &MayGo) -> Result<Outcome, ClusterProblem> {
        if !may_go(&self.cluster, identity, because, &self.policies).await? {
            return Ok(still_needed(&place));
        }
        free(&self.cluster, &place).await?;
        Ok(Outcome::Settling)
    }

    async fn delete(&self, identity: &Identity, place: Place, because: &MayGo) -> Result<Outcome, ClusterProblem> {
        let Some((_, uid)) = self.uids.iter().find(|(name, _)| *name == place.name) else {
            return Ok(Outcome::Settling);
        };
        if !may_go(&self.cluster, identity, because, &self.policies).await? {
            return Ok(still_needed(&place));
        }
        self.cluster.delete(Kind::NetworkPolicy, &place, uid).await?;
        Ok(Outcome::Settling)
    }

    /// Opens the gates of an analysis's pods, oldest first, each judged from what the API server has now.
    async fn lift(&self, identity: &Identity, names: Vec<String>) -> Result<Outcome, ClusterProblem> {
        let component = &self.policies.analysis.guards.component;
        let selector = format!("component={component},app={}", identity.app);
        let Ok(pods) = owned(&self.cluster, &identity.namespace, &selector).await? else {
            let why = "a pod of this identity has more owners or gates than are read";
            self.refuse(identity, "", &Refusal::Unreadable(why.to_owned())).await;
            return Ok(Outcome::Failed);
        };
        let place = Place { namespace: identity.namespace.clone(), name: isolation::policy_name(&identity.app) };
        // Without it no gate opens; the plan makes it again once that is seen.
        let Some(policy) = self.cluster.read(Kind::NetworkPolicy, &place).await? else { return Ok(Outcome::Settling) };
        let mut held_by = self.holder(&place, &policy, &pods).await?;
        let mut all_open = true;
        for name in names {
            let Some(pod) = pods.iter().find(|pod| pod.name == name) else { continue };
            if pod.made == Made::Otherwise {
                self.refuse(identity, &name, &Refusal::Strange).await;
                all_open = false;
                continue;
            }
            match held_by.as_ref().filter(|holder| holder.uid != pod.owner.uid) {
                Some(other) => {
                    self.refuse(identity, &name, &Refusal::Taken(other.uid.clone())).await;
                    all_open = false;
                }
                None => {
                    let takes = held_by.is_none().then_some((&place, policy.as_str(), &pod.owner));
                    match self.open(identity, pod, takes).await? {
                        Opened::Now => held_by = Some(pod.owner.clone()),
                        Opened::Before => {}
                        Opened::Not => all_open = false,
                    }
                }
            }
        }
        Ok(if all_open { Outcome::Settling } else { Outcome::Failed })
    }

    /// Who holds the identity; remembered from now on, if it was not.
    async fn holder(&self, place: &Place, policy: &str, pods: &[OwnedPod]) -> Result<Option<Owner>, ClusterProblem> {
        let known = parse(policy.as_bytes()).ok().as_ref().and_then(Owner::remembered);
        let there = match &known {
            Some(owner) => is_there(&self.cluster, &place.namespace, owner, pods).await?,
            None => false,
        };
        let holder = holder(pods, known.as_ref().filter(|_| there)).cloned();
        if let Some(owner) = holder.as_ref().filter(|_| holder != known) {
            self.remember(place, policy, owner).await?;
        }
        Ok(holder)
    }

    async fn remember(&self, place: &Place, policy: &str, owner: &Owner) -> Result<(), ClusterProblem> {
        let patch = parse(policy.as_bytes()).ok().as_ref().and_then(|policy| owner.remembering(policy));
        let patch = patch.ok_or_else(|| ClusterProblem::Shape(place.name.clone()))?;
        self.cluster.change(Kind::NetworkPolicy, place, patch).await?;
        info!(namespace = place.namespace, policy = place.name, holder = owner.written(), "identity taken");
        Ok(())
    }

    /// Says how pods stand that run although they never had a gate of ours, in their policy and by Events.
    async fn adopt(
        &self,
        identity: &Identity,
        names: &[String],
        policy: Place,
        mut adopted: BTreeMap<String, Adopted>,
    ) -> Result<Outcome, ClusterProblem> {
        let mut events = Vec::new();
        for (name, uid) in self.pods.iter().filter(|(name, ..)| names.contains(name)) {
            let place = Place { namespace: identity.namespace.clone(), name: name.clone() };
            let Some(judged) = judge(&self.cluster, &place, None, &self.policies, &self.scans).await? else { continue };
            let refusal = judged.err();
            let stands = if refusal.is_none() { Adopted::Conforming } else { Adopted::NotConforming };
            adopted.insert(uid.clone(), stands);
            info!(namespace = identity.namespace, app = identity.app, pod = name, adopted = ?stands, "pod from before adopted");
            events.push(tell::adopted(identity, pod_reference(name, uid), refusal.as_ref(), Timestamp::now()));
        }
        let outcome = self.write(identity, policy, &adopted).await?;
        for event in &events {
            self.tell(event).await;
        }
        Ok(outcome)
    }

    async fn refuse(&self, identity: &Identity, pod: &str, refusal: &Refusal) {
        let reason = summary(refusal);
        warn!(namespace = identity.namespace, app = identity.app, pod, reason, "gate stays closed");
        if let Some((name, uid)) = self.pods.iter().find(|(name, ..)| name == pod) {
            self.tell(&tell::held(identity, pod_reference(name, uid), refusal, Timestamp::now())).await;
        }
    }

    /// An Event that cannot be written keeps nobody from his work.
    async fn tell(&self, event: &Event) {
        if !self.recorder.admits(event, Often::Seldom) {
            return;
        }
        if let Err(problem) = self.recorder.write(event).await {
            warn!(namespace = event.namespace, %problem, "event not written");
        }
    }

    /// Opens one gate. Where nobody holds the identity, the pod's owner `takes` it first, so that no pod runs whose
    /// owner nobody remembers.
    async fn open(
        &self,
        identity: &Identity,
        pod: &OwnedPod,
        takes: Option<(&Place, &str, &Owner)>,
    ) -> Result<Opened, ClusterProblem> {
        let place = Place { namespace: identity.namespace.clone(), name: pod.name.clone() };
        let judged = judge(&self.cluster, &place, Some(&pod.uid), &self.policies, &self.scans).await?;
        let Some(judged) = judged else { return Ok(Opened::Before) };
        let Lift { patch, policies } = match judged {
            Ok(Verdict::Lift(lift)) => lift,
            Ok(Verdict::Open) => return Ok(Opened::Before),
            Ok(Verdict::Another) => return Ok(Opened::Not),
            Err(refusal) => {
                self.refuse(identity, &place.name, &refusal).await;
                return Ok(Opened::Not);
            }
        };
        // Of a pod that may run otherwise, so that what is wrong with the pod itself is told first.
        if let Some(refusal) = hindrance(&self.cluster, &self.own, &self.policies.installation).await? {
            self.refuse(identity, &place.name, &refusal).await;
            return Ok(Opened::Not);
        }
        if let Some((at, policy, owner)) = takes {
            self.remember(at, policy, owner).await?;
        }
        self.cluster.change(Kind::Pod, &place, patch).await?;
        info!(namespace = place.namespace, pod = place.name, policies, "gate lifted");
        Ok(Opened::Now)
    }
}

/// What became of a gate.
enum Opened {
    Now,
    /// There is no gate, or no pod any more.
    Before,
    Not,
}

fn still_needed(place: &Place) -> Outcome {
    warn!(namespace = place.namespace, policy = place.name, "isolation policy stays: it is needed after all");
    Outcome::StillNeeded
}

fn pod_reference(name: &str, uid: &str) -> Reference {
    let (api_version, kind) = Kind::Pod.type_names();
    Reference { api_version, kind: kind.to_owned(), name: name.to_owned(), uid: uid.to_owned() }
}
