//! Edge: `flamewarden release`: frees a cluster of everything of Flamewarden's that could block it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use super::{kubeconfig, print};
use crate::cluster::{Cluster, ClusterProblem, Kind, leader};
use crate::facts::Place;
use crate::install::CONTROLLER;
use crate::isolation::{MANAGED_BY, app_of_policy};
use crate::model::labels::{ANALYSIS_FINALIZER, APP, ISOLATES, ISOLATION_FINALIZER, NETWORK_GATE, SCAN_GATE};

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Release {
    /// How to reach the API server; without it, by KUBECONFIG or ~/.kube/config, or as a pod does.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Flamewarden's own namespace.
    #[arg(long, value_name = "NAME", default_value = "flamewarden-system")]
    namespace: String,
    /// Opens the gates of pods that wait for Flamewarden; otherwise they are only listed.
    #[arg(long)]
    open_gates: bool,
}

impl Release {
    /// Frees, and prints each thing that it did.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.context("cannot start the runtime")?.block_on(self.release())
    }

    async fn release(self) -> anyhow::Result<()> {
        let cluster = Cluster::connect(kubeconfig(self.kubeconfig.clone()).as_deref(), MANAGER).await?;
        self.refuse_beside_a_controller(&cluster).await?;
        let (mut deleted, mut kept) = (0, 0);
        for kind in REGISTERED {
            for object in cluster.list_everywhere(kind, OURS, Some).await? {
                let place = place(&object);
                cluster.delete(kind, &place, uid(&object)).await?;
                deleted += 1;
                print(&format!("deleted {kind:?} {}\n", place.name))?;
            }
        }
        let pods = cluster.list_everywhere(Kind::Pod, "", |pod| Pod::read(&pod)).await?;
        let waiting: Vec<&Pod> = pods.iter().filter(|pod| !pod.gates.is_empty()).collect();
        for pod in &waiting {
            self.release_pod(&cluster, pod).await?;
        }
        for policy in cluster.list_everywhere(Kind::NetworkPolicy, "", ours).await? {
            match release_policy(&cluster, &policy, &pods).await? {
                Fate::Keep => kept += 1,
                Fate::Delete | Fate::Free => deleted += 1,
            }
        }
        deleted += free_analyses(&cluster).await?;
        let waiting = if self.open_gates { 0 } else { waiting.len() };
        print(&told(deleted, kept, waiting))
    }

    /// A controller that still runs would make every policy again.
    async fn refuse_beside_a_controller(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let place = Place { namespace: self.namespace.clone(), name: CONTROLLER.to_owned() };
        let leases = cluster.list_everywhere(Kind::Lease, "", Some).await?;
        let named = |lease: &&Value| lease.pointer("/metadata/name").is_some_and(|name| name == CONTROLLER);
        let homes: Vec<String> = leases.iter().filter(named).map(|lease| self::place(lease).namespace).collect();
        if let Some(home) = homes.first().filter(|_| !homes.contains(&self.namespace)) {
            bail!(
                "no controller was ever at work in namespace {}, but one in {home}: add `--namespace {home}`, so that \
                 this can look whether it still is",
                self.namespace
            );
        }
        let looks = |holder: &str, duration: Duration| {
            // Whoever cannot be told waits all the same.
            let _ = print(&format!(
                "looks whether the controller `{holder}` is at work: {}s at most\n",
                duration.as_secs()
            ));
        };
        if let Some(holder) = leader(cluster, &place, looks).await? {
            bail!(
                "the controller `{holder}` is at work and would undo this; stop it first: \
                 kubectl -n {} scale deployment {CONTROLLER} --replicas=0",
                self.namespace
            );
        }
        Ok(())
    }

    async fn release_pod(&self, cluster: &Cluster, pod: &Pod) -> anyhow::Result<()> {
        let Place { namespace, name } = &pod.place;
        if !self.open_gates {
            return print(&format!(
                "waits Pod {namespace}/{name}: {} (--open-gates lets it run unchecked)\n",
                pod.gates.join(", ")
            ));
        }
        for gate in &pod.gates {
            patiently(async || {
                take(cluster, Kind::Pod, &pod.place, ["spec", "schedulingGates"], &json!({"name": gate})).await
            })
            .await?;
        }
        print(&format!("opened Pod {namespace}/{name}\n"))
    }
}

/// What is to be known of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pod {
    place: Place,
    /// The label `app`.
    app: Option<String>,
    /// Our gates that it waits at.
    gates: Vec<String>,
}

impl Pod {
    /// None for a pod that has ended, which waits for nobody and has no network, and for one that is no concern of ours.
    fn read(pod: &Value) -> Option<Pod> {
        let phase = pod.pointer("/status/phase").and_then(Value::as_str);
        let gates = pod.pointer("/spec/schedulingGates").and_then(Value::as_array);
        let names = gates.into_iter().flatten().filter_map(|gate| gate.get("name")?.as_str());
        let ours = names.filter(|name| [NETWORK_GATE, SCAN_GATE].contains(name)).map(str::to_owned);
        let app = pod.pointer("/metadata/labels").and_then(|labels| labels.get(APP)?.as_str()).map(str::to_owned);
        let pod = Pod { place: place(pod), app, gates: ours.collect() };
        let concerns = pod.app.is_some() || !pod.gates.is_empty();
        (concerns && !matches!(phase, Some("Succeeded" | "Failed"))).then_some(pod)
    }
}

/// What is left to do.
fn told(deleted: usize, kept: usize, waiting: usize) -> String {
    let left = match (kept, waiting) {
        (0, 0) => "nothing of Flamewarden's is left that could hold something up".to_owned(),
        _ => format!("{kept} policies were kept, {waiting} pods wait; run this again when their pods are gone"),
    };
    format!("{deleted} objects deleted or freed; {left}\n")
}

/// Takes the finalizer from every Analysis, which nobody would take any more. The Analyses themselves stay.
async fn free_analyses(cluster: &Cluster) -> anyhow::Result<usize> {
    let held = |analysis: Value| {
        let finalizers = analysis.pointer("/metadata/finalizers").and_then(Value::as_array);
        finalizers.into_iter().flatten().any(|finalizer| finalizer == ANALYSIS_FINALIZER).then(|| place(&analysis))
    };
    let held = match cluster.list_everywhere(Kind::Analysis, "", held).await {
        Err(problem) if problem.is_gone() => Vec::new(),
        listed => listed?,
    };
    let finalizer = json!(ANALYSIS_FINALIZER);
    for place in &held {
        patiently(async || take(cluster, Kind::Analysis, place, ["metadata", "finalizers"], &finalizer).await).await?;
        print(&format!("freed Analysis {}/{}\n", place.namespace, place.name))?;
    }
    Ok(held.len())
}

async fn release_policy(cluster: &Cluster, policy: &Value, pods: &[Pod]) -> anyhow::Result<Fate> {
    let fate = fate(policy, pods);
    let place = place(policy);
    let finalizer = json!(ISOLATION_FINALIZER);
    let free = async || take(cluster, Kind::NetworkPolicy, &place, ["metadata", "finalizers"], &finalizer).await;
    patiently(free).await?;
    if fate == Fate::Delete {
        patiently(async || cluster.delete(Kind::NetworkPolicy, &place, uid(policy)).await).await?;
    }
    let said = match fate {
        Fate::Delete => ("deleted", ""),
        Fate::Free => ("freed", ": it was being deleted"),
        Fate::Keep => ("kept", ": its pods are there and it isolates them; run this again when they are gone"),
    };
    print(&format!("{} NetworkPolicy {}/{}{}\n", said.0, place.namespace, place.name, said.1))?;
    Ok(fate)
}

/// What becomes of a policy of the guard's once its finalizer is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nobody needs it.
    Delete,
    /// It goes by itself.
    Free,
    /// Without it, pods that run would have the network to themselves.
    Keep,
}

/// A policy that has our finalizer, or one that was kept when it was taken.
fn ours(policy: Value) -> Option<Value> {
    let finalizers = policy.pointer("/metadata/finalizers").and_then(Value::as_array);
    let held = finalizers.into_iter().flatten().any(|finalizer| finalizer == ISOLATION_FINALIZER);
    let label = |key: &str| policy.pointer("/metadata/labels")?.get(key)?.as_str();
    let isolates = label(ISOLATES).filter(|_| label("app.kubernetes.io/managed-by") == Some(MANAGED_BY));
    let kept = isolates.is_some_and(|app| Some(app) == app_of_policy(&place(&policy).name));
    (held || kept).then_some(policy)
}

fn fate(policy: &Value, pods: &[Pod]) -> Fate {
    if policy.pointer("/metadata/deletionTimestamp").is_some() {
        return Fate::Free;
    }
    let Place { namespace, name } = place(policy);
    let app = app_of_policy(&name);
    let isolated = |pod: &Pod| app.is_some() && pod.app.as_deref() == app && pod.place.namespace == namespace;
    if pods.iter().any(isolated) { Fate::Keep } else { Fate::Delete }
}

/// Takes one entry out of a list in an object; one that is not there is taken.
async fn take(
    cluster: &Cluster,
    kind: Kind,
    place: &Place,
    list: [&str; 2],
    entry: &Value,
) -> Result<(), ClusterProblem> {
    let Some(text) = cluster.read(kind, place).await? else { return Ok(()) };
    let object: Value = serde_json::from_str(&text).map_err(|_| ClusterProblem::Shape(place.name.clone()))?;
    let pointer = format!("/{}/{}", list[0], list[1]);
    let entries = object.pointer(&pointer).and_then(Value::as_array);
    let Some(index) = entries.and_then(|entries| entries.iter().position(|one| one == entry)) else { return Ok(()) };
    let path = format!("{pointer}/{index}");
    let patch = json!([{"op": "test", "path": path, "value": entry}, {"op": "remove", "path": path}]);
    let patch = serde_json::from_value(patch).map_err(|_| ClusterProblem::Shape(place.name.clone()))?;
    match cluster.change(kind, place, patch).await {
        Err(problem) if problem.is_gone() => Ok(()),
        done => done.map(drop),
    }
}

/// The API server takes a moment to stop asking a webhook that was deleted, which may be one that nobody answers.
async fn patiently(call: impl AsyncFn() -> Result<(), ClusterProblem>) -> Result<(), ClusterProblem> {
    for _ in 0..ATTEMPTS {
        if call().await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    call().await
}

fn place(object: &Value) -> Place {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    Place { namespace: text("/metadata/namespace"), name: text("/metadata/name") }
}

fn uid(object: &Value) -> &str {
    object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default()
}

const MANAGER: &str = "flamewarden-release";
const OURS: &str = "app.kubernetes.io/part-of=flamewarden";
/// All that can refuse somebody's request, bindings before what they bind.
const REGISTERED: [Kind; 4] = [
    Kind::MutatingWebhookConfiguration,
    Kind::ValidatingWebhookConfiguration,
    Kind::ValidatingAdmissionPolicyBinding,
    Kind::ValidatingAdmissionPolicy,
];
const ATTEMPTS: usize = 30;
const PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_stays_while_its_pods_are_there() {
        let policy = |finalizer: &str| json!({"metadata": {"namespace": "flame", "name": "flamewarden-analysis-a.spare", "finalizers": ["x", finalizer]}});
        let mut deleted = policy(ISOLATION_FINALIZER);
        deleted["metadata"]["deletionTimestamp"] = json!("now");
        let pod = |namespace: &str, app: &str, phase: &str| json!({"metadata": {"namespace": namespace, "labels": {"app": app}}, "status": {"phase": phase}});
        let kept = |isolates: &str, by: &str| json!({"metadata": {"namespace": "flame", "name": "flamewarden-analysis-a", "labels": {ISOLATES: isolates, "app.kubernetes.io/managed-by": by}}});
        let strangers = [pod("flame", "analysis-b", "Running"), pod("other", "analysis-a", "Running")];
        for (policy, pods, want) in [
            (policy("other"), vec![], None),
            (kept("analysis-a", "flamewarden"), vec![], Some(Fate::Delete)),
            (kept("analysis-a", "flamewarden"), vec![pod("flame", "analysis-a", "Running")], Some(Fate::Keep)),
            (kept("analysis-b", "flamewarden"), vec![], None),
            (kept("analysis-a", "helm"), vec![], None),
            (policy(ISOLATION_FINALIZER), strangers.to_vec(), Some(Fate::Delete)),
            (policy(ISOLATION_FINALIZER), vec![pod("flame", "analysis-a", "Failed")], Some(Fate::Delete)),
            (policy(ISOLATION_FINALIZER), vec![pod("flame", "analysis-a", "Pending")], Some(Fate::Keep)),
            (deleted, vec![pod("flame", "analysis-a", "Running")], Some(Fate::Free)),
        ] {
            let said = format!("{policy} {pods:?}");
            let pods: Vec<Pod> = pods.iter().filter_map(Pod::read).collect();
            assert_eq!(ours(policy).map(|policy| fate(&policy, &pods)), want, "{said}");
        }
    }

    #[test]
    fn of_a_pod_only_its_identity_and_our_gates_count() {
        let pod = |labels: Value, gates: Value| json!({"metadata": {"namespace": "flame", "name": "p", "labels": labels}, "spec": {"schedulingGates": gates}});
        let gates = json!([{"name": "other"}, {"name": NETWORK_GATE}, {"name": SCAN_GATE}]);
        let ours = [NETWORK_GATE, SCAN_GATE].map(str::to_owned).to_vec();
        let read = |app: Option<&str>, gates: Vec<String>| {
            let place = Place { namespace: "flame".to_owned(), name: "p".to_owned() };
            Some(Pod { place, app: app.map(str::to_owned), gates })
        };
        for (pod, want) in [
            (pod(json!({"app": "a"}), gates.clone()), read(Some("a"), ours.clone())),
            (pod(json!({"app": "a"}), json!([])), read(Some("a"), Vec::new())),
            (pod(json!({}), gates), read(None, ours)),
            (pod(json!({}), json!([{"name": "other"}])), None),
        ] {
            assert_eq!(Pod::read(&pod), want, "{pod}");
        }
    }
}
