//! What a kubelet does next for a pod, told from the pod alone and from what a test has ordered.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

/// What a test wants done to the pods of a namespace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    /// They start, and end promptly when they are deleted.
    Run,
    /// They stay as they are bound, until another order comes.
    Wait,
    /// They start, and do not honour a deletion until another order comes.
    Hang,
}

/// The next thing to do for one pod.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    Nothing,
    /// Report this status.
    Status(Value),
    /// Report this status after a container that ended was started again.
    Restart(Value),
    /// The containers have ended: remove the object.
    Remove,
}

/// Tells what is due. Everything not yet as it should be is one step; the next event brings the next.
pub(crate) fn plan(pod: &Value, order: Order, ending: Option<i32>, now: &str) -> Action {
    let phase = pod["status"]["phase"].as_str().unwrap_or("Pending");
    let over = ["Succeeded", "Failed"].contains(&phase);
    if pod["metadata"]["deletionTimestamp"].is_string() {
        return match order {
            Order::Hang => Action::Nothing,
            // A kubelet reports the end of the containers before it removes the object.
            _ if phase == "Running" => Action::Status(ended(pod, 0, now)),
            _ => Action::Remove,
        };
    }
    if over || order == Order::Wait {
        return Action::Nothing;
    }
    if let Some(complaint) = root_complaint(pod) {
        return if waits(pod) { Action::Nothing } else { Action::Status(waiting(pod, &complaint)) };
    }
    match (phase, ending) {
        ("Running", Some(code)) if restarts(pod, code) => Action::Restart(running(pod, now, 1)),
        ("Running", Some(code)) => Action::Status(ended(pod, code, now)),
        ("Running", None) => Action::Nothing,
        _ => Action::Status(running(pod, now, 0)),
    }
}

/// What a real kubelet says of a container that must not be root and is, or may be.
fn root_complaint(pod: &Value) -> Option<(String, String)> {
    containers(pod, "containers").chain(containers(pod, "initContainers")).find_map(|container| {
        let set = |field: &str| {
            let own = &container["securityContext"][field];
            if own.is_null() { &pod["spec"]["securityContext"][field] } else { own }
        };
        let name = container["name"].as_str().unwrap_or_default().to_owned();
        if set("runAsNonRoot").as_bool() != Some(true) {
            return None;
        }
        match set("runAsUser").as_i64() {
            Some(0) => Some((name, "container's runAsUser breaks non-root policy".to_owned())),
            // No image is ever read here, so its user is unknown, as one that is a name.
            None => Some((name, "container has runAsNonRoot and image has non-numeric user".to_owned())),
            Some(_) => None,
        }
    })
}

fn waits(pod: &Value) -> bool {
    pod["status"]["containerStatuses"]
        .as_array()
        .is_some_and(|all| all.iter().any(|status| status["state"]["waiting"]["reason"].as_str() == Some(CONFIG_ERROR)))
}

fn restarts(pod: &Value, code: i32) -> bool {
    match pod["spec"]["restartPolicy"].as_str() {
        Some("Never") => false,
        Some("OnFailure") => code != 0,
        _ => true,
    }
}

fn running(pod: &Value, now: &str, more_restarts: i64) -> Value {
    let state = json!({"running": {"startedAt": now}});
    let address = address(pod["metadata"]["uid"].as_str().unwrap_or_default());
    let mut status = json!({
        "phase": "Running", "startTime": now, "hostIP": "127.0.0.1", "podIP": address, "podIPs": [{"ip": address}],
        "conditions": conditions("True", now),
        "containerStatuses": statuses(pod, "containers", &state, true, more_restarts),
    });
    let done = json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}});
    add_init(pod, &mut status, &done);
    status
}

fn ended(pod: &Value, code: i32, now: &str) -> Value {
    let reason = if code == 0 { "Completed" } else { "Error" };
    let state = json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now}});
    json!({
        "phase": if code == 0 { "Succeeded" } else { "Failed" },
        "conditions": conditions("False", now),
        "containerStatuses": statuses(pod, "containers", &state, false, 0),
    })
}

fn waiting(pod: &Value, (guilty, complaint): &(String, String)) -> Value {
    let state =
        json!({"waiting": {"reason": CONFIG_ERROR, "message": format!("Error: {complaint} (container {guilty})")}});
    json!({"phase": "Pending", "containerStatuses": statuses(pod, "containers", &state, false, 0)})
}

fn conditions(ready: &str, now: &str) -> Value {
    let one = |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": now});
    json!([one("Initialized", "True"), one("ContainersReady", ready), one("Ready", ready)])
}

fn add_init(pod: &Value, status: &mut Value, state: &Value) {
    if containers(pod, "initContainers").next().is_some() {
        status["initContainerStatuses"] = statuses(pod, "initContainers", state, true, 0);
    }
}

fn statuses(pod: &Value, kind: &str, state: &Value, ready: bool, more_restarts: i64) -> Value {
    let before = pod["status"]["containerStatuses"][0]["restartCount"].as_i64().unwrap_or(0);
    let status = |container: &Value| {
        json!({
            "name": container["name"], "image": container["image"], "imageID": "", "containerID": "test://1",
            "ready": ready, "started": ready, "restartCount": before + more_restarts, "state": state,
            // What a kubelet that can resize says, so that the API server lets a resize come to admission.
            "resources": container["resources"], "allocatedResources": container["resources"]["requests"],
        })
    };
    containers(pod, kind).map(status).collect()
}

fn containers<'a>(pod: &'a Value, kind: &str) -> impl Iterator<Item = &'a Value> {
    pod["spec"][kind].as_array().into_iter().flatten()
}

/// An address of 10.128.0.0/9, the same each time for the same pod.
fn address(uid: &str) -> String {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    let [a, b, c, ..] = hasher.finish().to_be_bytes();
    format!("10.{}.{b}.{c}", a | 128)
}

const CONFIG_ERROR: &str = "CreateContainerConfigError";
