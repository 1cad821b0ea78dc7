//! Edge: `flamewarden release`: frees a cluster of everything of Flamewarden's that could block it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::print;
use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::install::CONTROLLER;
use crate::model::labels::{APP, ISOLATION_FINALIZER, NETWORK_GATE, POLICY_PREFIX, SCAN_GATE, SPARE_SUFFIX};

/// Arguments of the command.
#[derive(Args)]
pub(super) struct Release {
    /// How to reach the API server; without it, as a pod does.
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
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
        let cluster = Cluster::connect(self.kubeconfig.as_deref(), MANAGER).await?;
        self.refuse_beside_a_controller(&cluster).await?;
        for kind in REGISTERED {
            for object in items(&cluster, kind, OURS).await? {
                let place = place(&object);
                cluster.delete(kind, &place, uid(&object)).await?;
                print(&format!("deleted {kind:?} {}\n", place.name))?;
            }
        }
        let pods = items(&cluster, Kind::Pod, "").await?;
        for pod in &pods {
            self.release_pod(&cluster, pod).await?;
        }
        for policy in items(&cluster, Kind::NetworkPolicy, "").await? {
            release_policy(&cluster, &policy, &pods).await?;
        }
        Ok(())
    }

    /// A controller that still runs would make every policy again.
    async fn refuse_beside_a_controller(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let place = Place { namespace: self.namespace.clone(), name: CONTROLLER.to_owned() };
        let Some(text) = cluster.read(Kind::Lease, &place).await? else { return Ok(()) };
        let lease: Value = serde_json::from_str(&text).context("the lease is not JSON")?;
        if let Some(holder) = led_by(&lease, Timestamp::now()) {
            bail!(
                "the controller `{holder}` is at work and would undo this; stop it first: \
                 kubectl -n {} scale deployment {CONTROLLER} --replicas=0",
                self.namespace
            );
        }
        Ok(())
    }

    async fn release_pod(&self, cluster: &Cluster, pod: &Value) -> anyhow::Result<()> {
        let (place, gates) = (place(pod), our_gates(pod));
        let Place { namespace, name } = &place;
        if gates.is_empty() {
            return Ok(());
        }
        if !self.open_gates {
            return print(&format!("waits Pod {namespace}/{name}: {}\n", gates.join(", ")));
        }
        for gate in gates {
            patiently(async || {
                take(cluster, Kind::Pod, &place, ["spec", "schedulingGates"], &json!({"name": gate})).await
            })
            .await?;
        }
        print(&format!("opened Pod {namespace}/{name}\n"))
    }
}

async fn release_policy(cluster: &Cluster, policy: &Value, pods: &[Value]) -> anyhow::Result<()> {
    let Some(fate) = fate(policy, pods) else { return Ok(()) };
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
        Fate::Keep => ("kept", ": its pods are there and it isolates them; delete it when they are gone"),
    };
    print(&format!("{} NetworkPolicy {}/{}{}\n", said.0, place.namespace, place.name, said.1))
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

/// None for a policy that does not have our finalizer.
fn fate(policy: &Value, pods: &[Value]) -> Option<Fate> {
    let finalizers = policy.pointer("/metadata/finalizers")?.as_array()?;
    finalizers.iter().find(|finalizer| *finalizer == ISOLATION_FINALIZER)?;
    if policy.pointer("/metadata/deletionTimestamp").is_some() {
        return Some(Fate::Free);
    }
    let Place { namespace, name } = place(policy);
    let app = name.strip_prefix(POLICY_PREFIX).unwrap_or(&name);
    let app = app.strip_suffix(SPARE_SUFFIX).unwrap_or(app);
    let isolated = |pod: &Value| {
        let phase = pod.pointer("/status/phase").and_then(Value::as_str);
        let labelled =
            pod.pointer("/metadata/labels").and_then(|labels| labels.get(APP)).is_some_and(|value| value == app);
        labelled && place(pod).namespace == namespace && !matches!(phase, Some("Succeeded" | "Failed"))
    };
    Some(if pods.iter().any(isolated) { Fate::Keep } else { Fate::Delete })
}

/// Who leads now, by a lease that has not run out; none where nobody does.
fn led_by(lease: &Value, now: Timestamp) -> Option<&str> {
    let spec = lease.get("spec")?;
    let holder = spec.get("holderIdentity")?.as_str().filter(|holder| !holder.is_empty())?;
    let renewed: Timestamp = spec.get("renewTime")?.as_str()?.parse().ok()?;
    let duration = SignedDuration::from_secs(spec.get("leaseDurationSeconds")?.as_i64()?);
    (now.duration_since(renewed) < duration).then_some(holder)
}

fn our_gates(pod: &Value) -> Vec<&str> {
    let gates = pod.pointer("/spec/schedulingGates").and_then(Value::as_array);
    let names = gates.into_iter().flatten().filter_map(|gate| gate.get("name")?.as_str());
    names.filter(|name| [NETWORK_GATE, SCAN_GATE].contains(name)).collect()
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
        done => done,
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

async fn items(cluster: &Cluster, kind: Kind, labels: &str) -> anyhow::Result<Vec<Value>> {
    let list = cluster.list(kind, "", labels).await?;
    let mut list: Value = serde_json::from_str(&list).with_context(|| format!("the list of {kind:?} is not JSON"))?;
    match list.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => bail!("the list of {kind:?} has no items"),
    }
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
        let policy = |finalizer: &str, deleted: Value| {
            json!({"metadata": {"namespace": "flame", "name": "flamewarden-analysis-a.spare", "finalizers": ["x", finalizer],
                "deletionTimestamp": deleted}})
        };
        let live = |finalizer: &str| {
            let mut live = policy(finalizer, Value::Null);
            live["metadata"].as_object_mut().unwrap().remove("deletionTimestamp");
            live
        };
        let pod = |namespace: &str, app: &str, phase: &str| json!({"metadata": {"namespace": namespace, "labels": {"app": app}}, "status": {"phase": phase}});
        let strangers = [pod("flame", "analysis-b", "Running"), pod("other", "analysis-a", "Running")];
        for (policy, pods, want) in [
            (live("other"), vec![], None),
            (live(ISOLATION_FINALIZER), strangers.to_vec(), Some(Fate::Delete)),
            (live(ISOLATION_FINALIZER), vec![pod("flame", "analysis-a", "Failed")], Some(Fate::Delete)),
            (live(ISOLATION_FINALIZER), vec![pod("flame", "analysis-a", "Pending")], Some(Fate::Keep)),
            (policy(ISOLATION_FINALIZER, json!("now")), vec![pod("flame", "analysis-a", "Running")], Some(Fate::Free)),
        ] {
            assert_eq!(fate(&policy, &pods), want, "{policy} {pods:?}");
        }
    }

    #[test]
    fn a_lease_that_ran_out_or_was_given_back_leads_nobody() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let lease = |holder: &str, renewed: &str| json!({"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15}});
        for (lease, want) in [
            (lease("first", "2026-01-01T00:00:46.000000Z"), Some("first")),
            (lease("first", "2026-01-01T00:00:45.000000Z"), None),
            (lease("", "2026-01-01T00:01:00.000000Z"), None),
            (json!({}), None),
        ] {
            assert_eq!(led_by(&lease, now), want, "{lease}");
        }
    }
}
