//! Edge: lets policies go whose pods are gone, also in namespaces that end, where the guard may not look any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use json_patch::jsonptr::PointerBuf;
use json_patch::{Patch, PatchOperation, RemoveOperation, TestOperation};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use super::ending::pods_are_gone;
use super::observe::isolated_app;
use super::plan::{Identity, MayGo};
use crate::cluster::{Cluster, ClusterProblem, Kind, Leadership, List};
use crate::facts::Place;
use crate::model::labels::ISOLATION_FINALIZER;
use crate::model::{Json, Keep, parse};
use crate::policy::PolicySet;

/// Whether a policy may go, by what the API server has now: a watch can be behind.
pub(super) async fn may_go(
    cluster: &Cluster,
    identity: &Identity,
    because: &MayGo,
    policies: &PolicySet,
) -> Result<bool, ClusterProblem> {
    match because {
        MayGo::Replaced(name) => {
            let place = Place { namespace: identity.namespace.clone(), name: name.clone() };
            let text = cluster.read(Kind::NetworkPolicy, &place).await?.unwrap_or_default();
            Ok(parse(text.as_bytes()).is_ok_and(|policy| finalizer(&policy).is_some()))
        }
        MayGo::Ended => nobody_is_left(cluster, identity, policies).await,
    }
}

async fn nobody_is_left(cluster: &Cluster, identity: &Identity, policies: &PolicySet) -> Result<bool, ClusterProblem> {
    let selector = format!("component={},app={}", policies.analysis.guards.component, identity.app);
    let mut left = false;
    let list = List { kind: Kind::Pod, namespace: &identity.namespace, labels: &selector, fields: "" };
    match cluster.each_part(list, &[], |_| left = true).await {
        Ok(_) => Ok(!left),
        // As where the namespace ends and has lost its Role.
        Err(problem) if problem.is_forbidden() => namespace_says_pods_are_gone(cluster, &identity.namespace).await,
        Err(problem) => Err(problem),
    }
}

async fn namespace_says_pods_are_gone(cluster: &Cluster, namespace: &str) -> Result<bool, ClusterProblem> {
    let place = Place { namespace: String::new(), name: namespace.to_owned() };
    let text = cluster.read(Kind::Namespace, &place).await?.unwrap_or_default();
    Ok(parse(text.as_bytes()).is_ok_and(|namespace| pods_are_gone(&namespace)))
}

/// Takes our finalizer from a policy; one that is gone or has none is free.
pub(super) async fn free(cluster: &Cluster, place: &Place) -> Result<(), ClusterProblem> {
    let Some(text) = cluster.read(Kind::NetworkPolicy, place).await? else { return Ok(()) };
    let Some(patch) = parse(text.as_bytes()).ok().as_ref().and_then(without_finalizer) else { return Ok(()) };
    match cluster.change(Kind::NetworkPolicy, place, patch).await {
        Err(problem) if problem.is_gone() => {}
        done => drop(done?),
    }
    info!(namespace = place.namespace, policy = place.name, "isolation policy freed");
    Ok(())
}

/// The patch that takes our finalizer from an object; none where it has none.
fn without_finalizer(object: &Json<'_>) -> Option<Patch> {
    let index = finalizer(object)?;
    let path = PointerBuf::from_tokens(["metadata", "finalizers", &index.to_string()]);
    Some(Patch(vec![
        PatchOperation::Test(TestOperation { path: path.clone(), value: json!(ISOLATION_FINALIZER) }),
        PatchOperation::Remove(RemoveOperation { path }),
    ]))
}

/// Where our finalizer stands among an object's.
fn finalizer(object: &Json<'_>) -> Option<usize> {
    let finalizers = object.at(&["metadata", "finalizers"])?.items();
    finalizers.iter().position(|finalizer| finalizer.text() == Some(ISOLATION_FINALIZER))
}

/// Looks after guarded namespaces that end. Where the guard still sees the pods it comes to the same.
pub struct Endings {
    /// Its connection.
    pub cluster: Cluster,
    /// Whether it may write.
    pub leadership: Leadership,
    /// The policies in force.
    pub policies: Arc<ArcSwap<PolicySet>>,
}

impl Endings {
    /// Looks again and again until `stop` says so.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        // Since when all pods of a namespace are known to be gone.
        let mut since = BTreeMap::new();
        loop {
            let policies = self.policies.load_full();
            for namespace in &policies.installation.namespaces {
                if let Err(problem) = self.look(&namespace.name, &policies, &mut since).await {
                    warn!(namespace = namespace.name, %problem, "cannot see whether the namespace ends");
                }
            }
            let wait = match (self.leadership.holds(), since.is_empty()) {
                (false, _) => NOT_LEADING,
                (true, true) => LOOK,
                (true, false) => LOOK_CLOSELY,
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn look(
        &self,
        namespace: &str,
        policies: &PolicySet,
        since: &mut BTreeMap<String, Instant>,
    ) -> Result<(), ClusterProblem> {
        if !self.leadership.holds() {
            return Ok(());
        }
        if !namespace_says_pods_are_gone(&self.cluster, namespace).await? {
            since.remove(namespace);
            return Ok(());
        }
        let gone = *since.entry(namespace.to_owned()).or_insert_with(Instant::now);
        // Nobody knows what grace these pods had: what a profile allows at the most.
        let grace = Duration::from_secs(policies.analysis.security.grace_maximum.unsigned_abs());
        if gone.elapsed() < grace * 2 {
            return Ok(());
        }
        let mut ending = Vec::new();
        let keep = |text: &[u8]| ending.extend(parse(text).ok().and_then(|policy| name_of_ending(&policy, policies)));
        self.cluster
            .each_part(List { kind: Kind::NetworkPolicy, namespace, labels: "", fields: "" }, ENDING, keep)
            .await?;
        for name in ending {
            free(&self.cluster, &Place { namespace: namespace.to_owned(), name }).await?;
        }
        Ok(())
    }
}

/// The name of an isolation policy that is being deleted; none for any other.
fn name_of_ending(policy: &Json<'_>, policies: &PolicySet) -> Option<String> {
    let name = policy.text_at(&["metadata", "name"])?;
    policy.at(&["metadata", "deletionTimestamp"])?;
    isolated_app(name, policies)?;
    Some(name.to_owned())
}

const ENDING: Keep = &[&["metadata", "name"], &["metadata", "deletionTimestamp"]];
const LOOK: Duration = Duration::from_secs(10);
const LOOK_CLOSELY: Duration = Duration::from_secs(2);
const NOT_LEADING: Duration = Duration::from_millis(200);
