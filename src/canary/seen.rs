//! How a pod of a run stands, as the API server tells it.

use std::net::IpAddr;

use serde_json::Value;

use super::objects::CONTAINER;
use super::verdict::Tally;

/// How a pod stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// It has not started; says what for, as far as that is told.
    Waits(String),
    /// Its container runs, at this address.
    Runs(IpAddr),
    /// Its container has ended.
    Ended {
        /// The node on which it ran.
        node: String,
        /// What it counted, or why nobody knows.
        told: Result<Tally, String>,
    },
    /// It failed without that its container ran to its end.
    Failed(String),
}

/// Reads a pod.
pub(super) fn seen(pod: &Value) -> Seen {
    let text = |pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten();
    let status = statuses.into_iter().find(|status| status.get("name").is_some_and(|name| name == CONTAINER));
    let state = |kind: &str| status.and_then(|status| status.get("state")?.get(kind));
    if let Some(ended) = state("terminated") {
        let node = text("/spec/nodeName").to_owned();
        return Seen::Ended { node, told: told(ended) };
    }
    if text("/status/phase") == "Failed" {
        return Seen::Failed(said(text("/status/reason"), text("/status/message")));
    }
    match (state("running"), text("/status/podIP").parse()) {
        (Some(_), Ok(address)) => Seen::Runs(address),
        _ => {
            let waiting =
                |key: &str| state("waiting").and_then(|waiting| waiting.get(key)?.as_str()).unwrap_or_default();
            Seen::Waits(match waiting("reason") {
                "" => unscheduled(pod),
                reason => said(reason, waiting("message")),
            })
        }
    }
}

fn told(ended: &Value) -> Result<Tally, String> {
    let text = |key: &str| ended.get(key).and_then(Value::as_str).unwrap_or_default();
    if ended.get("exitCode").and_then(Value::as_i64) != Some(0) {
        return Err(format!("it failed: {}", said(text("reason"), text("message"))));
    }
    Tally::read(text("message")).ok_or_else(|| "what it wrote is no count of connections".to_owned())
}

/// Why the scheduler has no node for it, if it says.
fn unscheduled(pod: &Value) -> String {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let is_not = |condition: &&Value| {
        condition.get("type").is_some_and(|kind| kind == "PodScheduled")
            && condition.get("status").is_some_and(|status| status == "False")
    };
    let condition = conditions.into_iter().find(is_not);
    let text = |key: &str| condition.and_then(|condition| condition.get(key)?.as_str()).unwrap_or_default();
    said(text("reason"), text("message"))
}

fn said(reason: &str, message: &str) -> String {
    let told: Vec<&str> = [reason, message].into_iter().filter(|text| !text.is_empty()).collect();
    let text = if told.is_empty() { "no reason is told".to_owned() } else { told.join(": ") };
    text.chars().take(SHOWN).collect()
}

/// Of a text that a kubelet or a registry made.
const SHOWN: usize = 256;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_read_by_its_one_container() {
        let pod = |phase: &str, state: Value| {
            let status = json!({"phase": phase, "podIP": "10.0.0.7",
                "containerStatuses": [{"name": "other", "state": {"running": {}}}, {"name": "canary", "state": state}]});
            json!({"spec": {"nodeName": "node-1"}, "status": status})
        };
        let tally = Tally { attempts: 250, ..Tally::default() };
        let ended =
            |code: i64, message: &str| json!({"terminated": {"exitCode": code, "reason": "Error", "message": message}});
        let seen_ended =
            |told: Result<Tally, &str>| Seen::Ended { node: "node-1".to_owned(), told: told.map_err(str::to_owned) };
        let message = serde_json::to_string(&tally).unwrap();
        let unscheduled = json!({"status": {"phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no node"}]}});
        for (pod, want) in [
            (json!({}), Seen::Waits("no reason is told".to_owned())),
            (unscheduled, Seen::Waits("Unschedulable: no node".to_owned())),
            (pod("Pending", json!({"waiting": {"reason": "ErrImagePull"}})), Seen::Waits("ErrImagePull".to_owned())),
            (pod("Running", json!({"running": {}})), Seen::Runs("10.0.0.7".parse().unwrap())),
            (pod("Succeeded", ended(0, &message)), seen_ended(Ok(tally))),
            (pod("Succeeded", ended(0, "")), seen_ended(Err("what it wrote is no count of connections"))),
            (pod("Failed", ended(1, &message)), seen_ended(Err(&format!("it failed: Error: {message}")))),
            (
                json!({"status": {"phase": "Failed", "reason": "DeadlineExceeded"}}),
                Seen::Failed("DeadlineExceeded".to_owned()),
            ),
        ] {
            assert_eq!(seen(&pod), want, "{pod}");
        }
        let mut unaddressed = pod("Running", json!({"running": {}}));
        unaddressed["status"]["podIP"] = Value::Null;
        assert_eq!(seen(&unaddressed), Seen::Waits("no reason is told".to_owned()));
    }
}
