//! Edge: one run: policy, then pod, three times; what the pods told; and everything gone again.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;
use tracing::warn;

use super::objects::{Role, Run, Task, all_runs};
use super::outcome::Found;
use super::seen::{Seen, seen};
use super::verdict::{Tally, verdict};
use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::telemetry::whole;

/// Makes one run, rather on this node than on another, and takes its objects away.
pub(super) async fn found(cluster: &Cluster, run: &Run, near: Option<&str>) -> Found {
    let acting = Acting { cluster, run };
    let found = match tokio::time::timeout(PATIENCE, acting.find(near)).await {
        Ok(found) => found.unwrap_or_else(Found::nothing),
        Err(_) => Found::nothing(format!("it was not done within {PATIENCE:?}")),
    };
    if let Err(problem) = sweep(cluster, &run.namespace).await {
        warn!(problem = %whole(&problem), "a canary's objects are left; its pods end by themselves, and the next run removes them");
    }
    found
}

/// Removes what is left of any run.
pub(super) async fn sweep(cluster: &Cluster, namespace: &str) -> Result<(), ClusterProblem> {
    // While a pod is there its policy is.
    for kind in [Kind::Pod, Kind::NetworkPolicy] {
        let text = cluster.list(kind, namespace, &all_runs()).await?;
        let list: Value = serde_json::from_str(&text).unwrap_or_default();
        for found in list.get("items").and_then(Value::as_array).into_iter().flatten() {
            let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let place = Place { namespace: namespace.to_owned(), name: text("/metadata/name").to_owned() };
            cluster.delete(kind, &place, text("/metadata/uid")).await?;
        }
    }
    Ok(())
}

struct Acting<'a> {
    cluster: &'a Cluster,
    run: &'a Run,
}

impl Acting<'_> {
    /// What the run says; or why it says nothing.
    async fn find(&self, near: Option<&str>) -> Result<Found, String> {
        self.make(Role::Listener, &Task::Listen).await?;
        let to = self.address().await?;
        self.make(Role::Open, &Task::ConnectNear(to, near)).await?;
        let (node, open) = self.told(Role::Open).await?;
        // Without a listener that can be reached nothing is learnt of the sealed pod.
        if !matches!(open, Ok(Tally { connected: 1.., .. })) {
            let sealed = Err("it was not made".to_owned());
            let (result, detail) = verdict(&open, &sealed);
            return Ok(Found { result, detail, node: Some(node) });
        }
        self.make(Role::Sealed, &Task::ConnectOn(to, &node)).await?;
        let (node, sealed) = self.told(Role::Sealed).await?;
        let silent = matches!(sealed, Ok(Tally { connected: 0, .. }));
        // The same process has listened all the while: its pod never starts it again.
        if silent && self.look(Role::Listener).await? != Seen::Runs(to) {
            return Err("the listener has ended meanwhile, so that nobody was there to be reached".to_owned());
        }
        let (result, detail) = verdict(&open, &sealed);
        Ok(Found { result, detail, node: Some(node) })
    }

    /// The policy of a role, which is read again as it is stored, and then its pod.
    async fn make(&self, role: Role, task: &Task<'_>) -> Result<(), String> {
        let (place, policy) = (self.run.place(role), self.run.policy(role));
        let told = |problem: ClusterProblem| whole(&problem);
        self.cluster.store(Kind::NetworkPolicy, &place, &policy).await.map_err(told)?;
        let stored = self.cluster.read(Kind::NetworkPolicy, &place).await.map_err(told)?;
        let stored: Value = stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        if !is_stored(&stored, &policy) {
            return Err(format!("the network policy {} is not stored as it was written", place.name));
        }
        self.cluster.store(Kind::Pod, &place, &self.run.pod(role, task)).await.map_err(told)
    }

    async fn address(&self) -> Result<IpAddr, String> {
        match self.after_waiting(Role::Listener).await? {
            Seen::Runs(address) => Ok(address),
            Seen::Ended { told, .. } => Err(format!("the listener has ended: {}", told.err().unwrap_or_default())),
            Seen::Failed(why) | Seen::Waits(why) => Err(format!("the listener does not run: {why}")),
        }
    }

    /// Where a prober ran, and what it counted.
    async fn told(&self, role: Role) -> Result<(String, Result<Tally, String>), String> {
        let mut left = PROBING;
        loop {
            match self.after_waiting(role).await? {
                Seen::Ended { node, told } => return Ok((node, told)),
                Seen::Failed(why) | Seen::Waits(why) => return Err(format!("a prober did not run: {why}")),
                Seen::Runs(_) if left.is_zero() => return Err("a prober does not come to its end".to_owned()),
                Seen::Runs(_) => sleep(LOOK).await,
            }
            left = left.saturating_sub(LOOK);
        }
    }

    /// How a pod stands when it waits no more, or has waited for long.
    async fn after_waiting(&self, role: Role) -> Result<Seen, String> {
        let mut left = STARTING;
        loop {
            match self.look(role).await? {
                Seen::Waits(_) if !left.is_zero() => sleep(LOOK).await,
                seen => return Ok(seen),
            }
            left = left.saturating_sub(LOOK);
        }
    }

    async fn look(&self, role: Role) -> Result<Seen, String> {
        let place = self.run.place(role);
        let text = self.cluster.read(Kind::Pod, &place).await.map_err(|problem| whole(&problem))?;
        let pod = text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        Ok(pod.as_ref().map_or_else(|| Seen::Failed("somebody has deleted it".to_owned()), seen))
    }
}

/// Whether a policy that is read selects and lets through what was written. Empty lists are stored as none.
fn is_stored(stored: &Value, written: &Value) -> bool {
    let said = |policy: &Value, pointer: &str| policy.pointer(pointer).cloned().unwrap_or(Value::Array(Vec::new()));
    ["/spec/podSelector", "/spec/policyTypes", "/spec/ingress", "/spec/egress"]
        .into_iter()
        .all(|pointer| said(stored, pointer) == said(written, pointer))
}

/// For a pod to be scheduled and to have its image pulled.
const STARTING: Duration = Duration::from_secs(90);
/// For a prober that has started, with as much again for a slow machine.
const PROBING: Duration = Duration::from_secs(20);
/// For a whole run.
const PATIENCE: Duration = Duration::from_secs(240);
const LOOK: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_that_is_stored_otherwise_seals_nothing() {
        let run = Run { namespace: "n".to_owned(), image: "i".to_owned(), id: "a".to_owned() };
        let written = run.policy(Role::Sealed);
        let mut stored = written.clone();
        stored["spec"].as_object_mut().unwrap().retain(|key, _| key != "ingress" && key != "egress");
        assert!(is_stored(&stored, &written) && is_stored(&written, &written));
        for (key, value) in [
            ("egress", json!([{}])),
            ("policyTypes", json!(["Ingress"])),
            ("podSelector", json!({"matchLabels": {"a": "b"}})),
        ] {
            let mut other = stored.clone();
            other["spec"][key] = value;
            assert!(!is_stored(&other, &written), "{other}");
        }
        assert!(!is_stored(&Value::Null, &written));
    }
}
