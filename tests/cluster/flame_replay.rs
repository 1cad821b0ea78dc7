//! FLAME's own Pod Orchestrator beside Flamewarden: its calls are answered as without, and no pod runs unisolated.

use std::time::Duration;

use serde_json::{Value, json};

use crate::flame::{GRACE, Orchestrator, SECRET};
use crate::flamewarden::guarded;
use crate::recording::{Event, Recording};
use crate::shared::{Cluster, PATIENCE, run, wait_until};

/// Create, create a second one (the pull secret is deleted and made again), restart the first, stop both.
/// With FLAME's own grace of 30 seconds the end would take a minute longer.
#[test]
fn flames_orchestrator_works_as_without_and_no_pod_is_bound_before_its_policy() {
    run(async {
        let guarded = guarded().await;
        let cluster = guarded.cluster;
        let bare = cluster.namespace("replay").await;
        let pods = Recording::start(&cluster.admin, &path("pods")).await;
        let policies = Recording::start(&cluster.admin, &path("networkpolicies")).await;
        let [with, without] = [replay(cluster, GUARDED).await, replay(cluster, &bare).await];
        assert_eq!(with.len(), without.len());
        for ((call, code, answer), (plain_call, plain_code, plain)) in with.iter().zip(&without) {
            assert_eq!((call, code), (plain_call, plain_code), "{answer}");
            assert_eq!(plainly(answer, GUARDED), plainly(&narrow(plain), &bare), "{call}");
        }
        for app in [FIRST, SECOND, RESTARTED] {
            expect_isolated(app, &pods, &policies).await;
        }
        assert_eq!(left(cluster, GUARDED).await, left(cluster, &bare).await);
    });
}

async fn replay(cluster: &Cluster, namespace: &str) -> Vec<(String, u16, Value)> {
    let mut orchestrator = Orchestrator::install(cluster, namespace).await;
    orchestrator.create(FIRST).await;
    expect_running(cluster, namespace, FIRST).await;
    orchestrator.create(SECOND).await;
    expect_running(cluster, namespace, FIRST).await;
    orchestrator.stop(FIRST).await;
    orchestrator.create(RESTARTED).await;
    for app in [SECOND, RESTARTED] {
        expect_running(cluster, namespace, app).await;
    }
    for app in [SECOND, RESTARTED] {
        orchestrator.stop(app).await;
    }
    orchestrator.calls
}

/// Analysis and gateway are scheduled and run.
async fn expect_running(cluster: &Cluster, namespace: &str, app: &str) {
    for app in [app.to_owned(), format!("nginx-{app}")] {
        let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{app}");
        let pods = cluster.read(&path, |list| {
            let pods = list["items"].as_array()?;
            let states = pods.iter().map(|pod| (&pod["spec"]["nodeName"], &pod["status"]["phase"]));
            let states: Vec<_> = states.map(|(node, phase)| json!([node, phase])).collect();
            (states == [json!([cluster.kubelet.name(), "Running"])]).then_some(())
        });
        pods.await;
    }
}

/// By the versions of what was stored: policy, binding, end of the pod, end of the policy, in this order.
async fn expect_isolated(app: &str, pods: &Recording, policies: &Recording) {
    let policy = format!("flamewarden-{app}");
    let of_policy = || policies.of(|object| object["metadata"]["name"] == *policy);
    wait_until(&format!("{policy} is gone"), PATIENCE, async || of_policy().last()?.deleted.then_some(())).await;
    let (policy, pod) = (of_policy(), pods.of(|object| object["metadata"]["labels"]["app"] == *app));
    let gone = |events: &[Event]| events.iter().find(|event| event.deleted).expect("it is gone").heard;
    let after = gone(&policy).saturating_duration_since(gone(&pod));
    assert!(after < Duration::from_secs(2 * GRACE + SLACK), "the policy of {app} went {after:?} after its pod");
    let version = |events: &[Event], wanted: &dyn Fn(&Event) -> bool| {
        events.iter().find(|event| wanted(event)).map(|event| event.version)
    };
    let order = [
        version(&pod, &|event| event.object["spec"]["schedulingGates"].is_array()),
        version(&policy, &|event| !event.deleted),
        version(&pod, &|event| event.object["spec"]["nodeName"].is_string()),
        version(&pod, &|event| event.deleted),
        version(&policy, &|event| event.object["metadata"]["deletionTimestamp"].is_string()),
        version(&policy, &|event| event.deleted),
    ];
    assert!(order.iter().all(Option::is_some), "{app}: {order:?}");
    assert!(order.is_sorted(), "{app}: {order:?}");
    let pods: std::collections::BTreeSet<_> =
        pod.iter().map(|event| event.object["metadata"]["uid"].as_str()).collect();
    assert_eq!(pods.len(), 1, "{app} had one pod, so no moment is hidden between two");
    // Flamewarden's policy was the same from its first moment to its last.
    let specs = policy.iter().map(|event| &event.object["spec"]);
    assert!(specs.clone().all(|spec| *spec == isolated(&json!({"app": app, "component": "flame-analysis"}))), "{app}");
    // The scheduler binds the pod for a gate that was open before: nobody else may write a binding.
    let gated_and_bound = |event: &&Event| {
        event.object["spec"]["schedulingGates"].is_array() && event.object["spec"]["nodeName"].is_string()
    };
    assert_eq!(pod.iter().filter(gated_and_bound).count(), 0, "{app}");
}

/// What FLAME is to be told of its own NetworkPolicy; anything else as it is.
fn narrow(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if answer["kind"] == "NetworkPolicy" {
        answer["spec"] = isolated(&answer["spec"]["podSelector"]["matchLabels"]);
    }
    answer
}

/// The shipped profile's policy for the pods with these labels.
fn isolated(labels: &Value) -> Value {
    let app = labels["app"].as_str().unwrap();
    let peer = json!([{"podSelector": {"matchLabels":
        {"app": format!("nginx-{app}"), "component": "flame-analysis-nginx"}}}]);
    let dns = json!([{
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }]);
    let port = |protocol: &str, port: u16| json!({"protocol": protocol, "port": port});
    json!({
        "podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": peer, "ports": [port("TCP", 8000)]}],
        "egress": [
            {"to": peer, "ports": [port("TCP", 80), port("TCP", 8080)]},
            {"to": dns, "ports": [port("UDP", 53), port("TCP", 53)]},
        ],
    })
}

/// An answer without what differs between any two namespaces or moments.
fn plainly(answer: &Value, namespace: &str) -> Value {
    let text = answer.to_string().replace(&format!("\"{namespace}\""), "\"NAMESPACE\"");
    let mut answer: Value = serde_json::from_str(&text).unwrap();
    strip(&mut answer);
    answer
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !FLEETING.contains(&name.as_str()));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Names of everything in a namespace, once it no longer changes: what an orchestrator leaves.
async fn left(cluster: &Cluster, namespace: &str) -> Value {
    let mut all = json!({});
    for (group, resource) in [
        ("/api/v1", "pods"),
        ("/api/v1", "services"),
        ("/api/v1", "configmaps"),
        ("/api/v1", "secrets"),
        ("/apis/apps/v1", "deployments"),
        ("/apis/apps/v1", "replicasets"),
        ("/apis/discovery.k8s.io/v1", "endpointslices"),
        ("/apis/networking.k8s.io/v1", "networkpolicies"),
    ] {
        let kept: &[&str] = match resource {
            "configmaps" => &["kube-root-ca.crt"],
            "secrets" => &[SECRET],
            _ => &[],
        };
        let path = format!("{group}/namespaces/{namespace}/{resource}");
        all[resource] = cluster
            .read(&path, |list| {
                let names: Vec<_> =
                    list["items"].as_array()?.iter().map(|item| item["metadata"]["name"].clone()).collect();
                (names == kept).then(|| json!(names))
            })
            .await;
    }
    all
}

fn path(resource: &str) -> String {
    let group = if resource == "networkpolicies" { "/apis/networking.k8s.io/v1" } else { "/api/v1" };
    format!("{group}/namespaces/{GUARDED}/{resource}")
}

const GUARDED: &str = "flame-replay";
const FIRST: &str = "analysis-2f0c3d5e-5d39-4b1f-8d1c-6f4f8a1c2b3d-1";
const RESTARTED: &str = "analysis-2f0c3d5e-5d39-4b1f-8d1c-6f4f8a1c2b3d-2";
const SECOND: &str = "analysis-9b7e1d5e-5d39-4b1f-8d1c-6f4f8a1c2b3d-1";
const FLEETING: [&str; 6] = ["uid", "resourceVersion", "creationTimestamp", "time", "clusterIP", "clusterIPs"];
/// Seconds for everything but the grace itself.
const SLACK: u64 = 20;
