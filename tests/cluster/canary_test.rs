//! What canaries have told of the network opens gates or keeps them closed, where the policies say so; and runs of the
//! canary itself, whose pods the test plays.

use std::collections::BTreeSet;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::caller::{Caller, PatchKind};
use crate::flamewarden::{CONTROLLER, good_analysis, policy_files};
use crate::kubelet::Order;
use crate::lab::{Lab, log, unguarded};
use crate::part::Part;
use crate::probes::samples;
use crate::recording::Recording;
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn where_it_is_required_a_gate_opens_by_a_result_that_holds_and_by_nothing_else() {
    run(async {
        let mut lab = Lab::start().await;
        // Without an image no canary comes between the results that the test records.
        let mut controller = lab.controllers.remove(0);
        controller.signal("TERM");
        controller.wait();
        let mut recipe = controller.recipe().clone();
        recipe.arguments.retain(|argument| !argument.starts_with("--installed-image="));
        lab.controllers.push(Part::start(recipe));
        lab.install_again(&with_network("{enforcement: required}")).await;
        let writer = lab.cluster.plane.caller(CONTROLLER, None).await;

        let now = Timestamp::now();
        let [old, future] = [-181, 10].map(|minutes| now + SignedDuration::from_mins(minutes));
        let mut unreadable = record("enforced", now);
        unreadable["data"]["at"] = json!("today");
        for (id, recorded, told) in [
            ("unknown", None, "no canary has told anything yet"),
            ("unreadable", Some(unreadable), "cannot be read"),
            ("old", Some(record("enforced", old)), "is too old"),
            ("future", Some(record("enforced", future)), "is yet to come"),
            (
                "bad",
                Some(record("notEnforced", now)),
                "does not enforce policies from a pod's first packet (as the test says",
            ),
            ("nothing", Some(record("unknown", now)), "the canary told nothing"),
        ] {
            if let Some(recorded) = &recorded {
                write(&writer, recorded).await;
            }
            lab.create("flame", &pod(id)).await;
            held(&lab, id, told).await;
            let stored = lab.cluster.admin.get(&format!("{PODS}/{id}")).await.unwrap();
            assert_eq!(stored["spec"]["schedulingGates"], json!([{"name": "flamewarden.dev/network-policy"}]), "{id}");
        }
        let said = || log(&lab.controllers[0]).matches("the policies ask for canaries, and none runs").count();
        wait_until("the missing image is told", PATIENCE, async || (said() > 0).then_some(())).await;

        // Whoever waits is let go when the result comes.
        write(&writer, &record("enforced", Timestamp::now())).await;
        for id in ["unknown", "unreadable", "old", "future", "bad", "nothing"] {
            lab.running("flame", &format!("analysis-{id}"), 1).await;
        }
        assert_eq!(said(), 1, "it is told once");

        // Where it is reported only, gates open as before.
        write(&writer, &record("notEnforced", Timestamp::now())).await;
        lab.install_again(&with_network("{enforcement: reported}")).await;
        lab.create("flame", &pod("reported")).await;
        lab.running("flame", "analysis-reported", 1).await;
        told(&lab, "not_enforced").await;
    });
}

#[test]
fn a_run_tells_what_its_pods_have_found_and_leaves_nothing_and_each_pod_comes_after_its_policy() {
    run(async {
        let lab = Lab::start().await;
        let admin = &lab.cluster.admin;
        lab.cluster.kubelet.order(SYSTEM, Order::Wait);
        // Of a run that a leader before has left.
        let left = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "flamewarden-canary-left-sealed", "labels": {"app.kubernetes.io/name": "flamewarden-canary"}},
            "spec": {"podSelector": {"matchLabels": {"a": "b"}}},
        });
        admin.create(POLICIES, &left).await.unwrap();
        let pods = Recording::start(admin, OWN_PODS).await;
        let policies = Recording::start(admin, POLICIES).await;
        lab.install_again(&with_network("{}")).await;
        let reaches = r#"{"attempts":250,"connected":250,"firstConnectMs":1,"lastConnectMs":4990}"#;
        let silent = r#"{"attempts":250,"connected":0,"firstConnectMs":null,"lastConnectMs":null}"#;
        let at_first = r#"{"attempts":250,"connected":3,"firstConnectMs":1,"lastConnectMs":55}"#;
        for (open, sealed, result, metric, detail) in [
            (
                reaches,
                Some(silent),
                "enforced",
                "enforced",
                "a sealed pod connected not once in 250 attempts, on node node-1",
            ),
            (
                reaches,
                Some(at_first),
                "notEnforced",
                "not_enforced",
                "a sealed pod connected 3 times of 250, for its first 55 ms only: the network enforces late, on node node-1",
            ),
            (
                silent,
                None,
                "unknown",
                "unknown",
                "the open pod could not connect either, so what the sealed one could not do says nothing",
            ),
        ] {
            let listener = found(&lab, "listener").await;
            status(&lab, &listener, &json!({"running": {}})).await;
            for (role, message) in [("open", Some(open)), ("sealed", sealed)] {
                let Some(message) = message else { continue };
                let prober = found(&lab, role).await;
                let arguments = &prober["spec"]["containers"][0]["args"];
                assert_eq!(*arguments, json!(["canary", "probe", "--to=10.1.2.3:9445"]));
                status(&lab, &prober, &json!({"terminated": {"exitCode": 0, "message": message}})).await;
            }
            stands_there(&lab, result, detail).await;
            for path in [OWN_PODS, POLICIES] {
                let ours = format!("{path}?labelSelector=app.kubernetes.io%2Fname%3Dflamewarden-canary");
                lab.cluster.read(&ours, |list| list["items"].as_array()?.is_empty().then_some(())).await;
            }
            told(&lab, metric).await;
            // Without a result the next run is due.
            admin.delete(RECORD, None).await.unwrap();
        }
        each_pod_comes_after_its_policy(&pods, &policies);
    });
}

/// What was found is stored with its time and its node.
async fn stands_there(lab: &Lab, result: &str, detail: &str) {
    let data = lab.cluster.read(RECORD, |record| Some(record["data"].clone())).await;
    assert_eq!((&data["result"], &data["detail"]), (&json!(result), &json!(detail)));
    let age = Timestamp::now().duration_since(data["at"].as_str().unwrap().parse().unwrap());
    assert!(!age.is_negative() && age < SignedDuration::from_mins(2), "{age}");
    let nodes: Value = serde_json::from_str(data["nodes"].as_str().unwrap()).unwrap();
    let wanted =
        if result == "unknown" { json!([]) } else { json!([{"node": "node-1", "result": result, "at": data["at"]}]) };
    assert_eq!(nodes, wanted);
}

/// The third run has no sealed pod: its open one had reached nobody. The fourth may have begun.
fn each_pod_comes_after_its_policy(pods: &Recording, policies: &Recording) {
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    let is_pod = |object: &Value| object["kind"] == "Pod";
    let made: BTreeSet<String> = pods.of(is_pod).iter().map(|event| name(&event.object)).collect();
    let ends = |role: &str| made.iter().filter(|made| made.ends_with(role)).count();
    assert_eq!((ends("-open"), ends("-sealed")), (3, 2), "{made:?}");
    for pod in &made {
        let first = |recording: &Recording| {
            let events = recording.of(|object| name(object) == *pod);
            events.into_iter().min_by_key(|event| event.version).unwrap()
        };
        let (policy, pod) = (first(policies), first(pods));
        assert!(policy.version < pod.version, "{made:?}");
        let selected = policy.object["spec"]["podSelector"]["matchLabels"].as_object().unwrap();
        let labels = &pod.object["metadata"]["labels"];
        assert!(selected.len() == 2 && selected.iter().all(|(key, value)| labels[key] == *value), "{labels}");
        assert_eq!(policy.object["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
        let role = &selected["flamewarden.dev/canary"];
        assert_eq!(policy.object["spec"]["egress"].is_array(), role == "open", "{role} has another way out");
    }
}

/// The pod of a role of the run that is under way, once it has a node.
async fn found(lab: &Lab, role: &str) -> Value {
    let path = format!("{OWN_PODS}?labelSelector=flamewarden.dev%2Fcanary%3D{role}");
    let find = |list: &Value| {
        let stays =
            |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null() && pod["spec"]["nodeName"].is_string();
        list["items"].as_array()?.iter().find(stays).cloned()
    };
    lab.cluster.read(&path, find).await
}

/// Says of a pod what its kubelet would.
async fn status(lab: &Lab, pod: &Value, state: &Value) {
    let runs = state["running"].is_object();
    let container =
        json!({"name": "canary", "image": "x", "imageID": "x", "ready": runs, "restartCount": 0, "state": state});
    let phase = if runs { "Running" } else { "Succeeded" };
    let address = "10.1.2.3";
    let status = json!({"status": {"phase": phase, "podIP": address, "podIPs": [{"ip": address}], "containerStatuses": [container]}});
    let path = format!("{OWN_PODS}/{}/status", pod["metadata"]["name"].as_str().unwrap());
    lab.cluster.admin.patch(&path, PatchKind::Strategic, &status).await.unwrap();
}

/// Waits until an Event says that a pod waits, and for what.
async fn held(lab: &Lab, id: &str, why: &str) {
    let events = "/apis/events.k8s.io/v1/namespaces/flame/events";
    lab.cluster
        .read(events, |list| {
            let mut about = list["items"].as_array()?.iter().filter(|event| event["regarding"]["name"] == id);
            about
                .any(|event| {
                    let note = event["note"].as_str().unwrap();
                    event["reason"] == "GateHeld" && note.contains(why) && note.contains("The gate opens when a canary")
                })
                .then_some(())
        })
        .await;
}

/// Waits until the metric says that and nothing else.
async fn told(lab: &Lab, result: &str) {
    wait_until(&format!("the metric says {result}"), PATIENCE, async || {
        let samples = samples(&lab.controllers[0], "flamewarden_network_enforcement").await?;
        let said: Vec<&String> = samples.iter().filter(|(_, value)| **value == 1).map(|(said, _)| said).collect();
        (samples.len() == 3 && said == [result]).then_some(())
    })
    .await;
}

/// Stores what a canary would have told, with the controller's own rights.
async fn write(writer: &Caller, record: &Value) {
    wait_until("the record is written", PATIENCE, async || {
        match writer.call(Method::PUT, RECORD, Some(record)).await {
            Err(refusal) if refusal.code == 404 => writer.create(RECORDS, record).await.ok(),
            done => done.ok(),
        }
    })
    .await;
}

fn record(result: &str, at: Timestamp) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flamewarden-canary"},
        "data": {"result": result, "at": at.to_string(), "detail": "as the test says", "nodes": "[]"},
    })
}

fn pod(id: &str) -> Value {
    let mut pod = good_analysis(id);
    pod["metadata"]["name"] = json!(id);
    pod
}

/// The policies of such a cluster with that section in their Installation.
fn with_network(section: &str) -> Vec<(String, String)> {
    let mut files = policy_files(&unguarded());
    for (_, text) in files.iter_mut().filter(|(name, _)| name == "installation.yaml") {
        *text += &format!("  network: {section}\n");
    }
    files
}

const SYSTEM: &str = "flamewarden-system";
const PODS: &str = "/api/v1/namespaces/flame/pods";
const OWN_PODS: &str = "/api/v1/namespaces/flamewarden-system/pods";
const POLICIES: &str = "/apis/networking.k8s.io/v1/namespaces/flamewarden-system/networkpolicies";
const RECORDS: &str = "/api/v1/namespaces/flamewarden-system/configmaps";
const RECORD: &str = "/api/v1/namespaces/flamewarden-system/configmaps/flamewarden-canary";
