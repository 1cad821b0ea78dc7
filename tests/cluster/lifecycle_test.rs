//! Lifecycles that must end well whatever Flamewarden's policies say by then.

use serde_json::{Value, json};

use crate::caller::{Caller, PatchKind};
use crate::kubelet::Kubelet;
use crate::lab::{Lab, collection};
use crate::shared::run;

/// The policy is tightened when the pods run already: none of them would be let in any more.
#[test]
fn with_a_tightened_policy_nodes_jobs_and_namespaces_still_end() {
    run(async {
        let lab = Lab::start().await;
        lab.create(NAMESPACE, &deployment("drained")).await;
        lab.create(NAMESPACE, &job("finished")).await;
        lab.create(ENDING, &deployment("ended")).await;
        let [drained] = only(lab.running(NAMESPACE, "analysis-drained", 1).await);
        let [finished] = only(lab.running(NAMESPACE, "analysis-finished", 1).await);
        lab.running(ENDING, "analysis-ended", 1).await;
        let lost_node = second_node(&lab).await;
        lab.create(NAMESPACE, &deployment("lost")).await;
        let [lost] = only(lab.running(NAMESPACE, "analysis-lost", 1).await);

        lab.change_profile(&TIGHTER).await;
        let refusal = lab.cluster.admin.create(&pod_path(NAMESPACE, ""), &analysis("late")).await.unwrap_err();
        assert!(
            refusal.message.contains("resources: spec.containers[0].resources.requests.memory"),
            "{}",
            refusal.message
        );

        finish_job(&lab, &finished).await;
        drain(&lab, &drained).await;
        lose_node(&lab, lost_node, &lost).await;
        end_namespace(&lab).await;
    });
}

/// Its tracking finalizer goes, then its time to live ends it, and the policy after it.
async fn finish_job(lab: &Lab, pod: &str) {
    lab.cluster.kubelet.end(NAMESPACE, pod, 0);
    lab.cluster.gone(&format!("{}/analysis-finished", collection(NAMESPACE, "Job"))).await;
    expect_released(lab, "finished", pod).await;
}

/// As `kubectl drain` does: cordon, then evict. The Deployment's next pod is refused, which keeps nobody waiting.
async fn drain(lab: &Lab, pod: &str) {
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}});
    lab.cluster.admin.create(&format!("{}/eviction", pod_path(NAMESPACE, pod)), &eviction).await.unwrap();
    expect_released(lab, "drained", pod).await;
    let deployment = format!("{}/analysis-drained", collection(NAMESPACE, "Deployment"));
    let told = lab.cluster.read(&deployment, |deployment| {
        let conditions = deployment["status"]["conditions"].as_array()?;
        let failure = conditions.iter().find(|condition| condition["type"] == "ReplicaFailure")?;
        Some(failure["message"].as_str()?.to_owned())
    });
    assert!(told.await.contains("requests.memory"));
}

/// The kubelet falls silent. The controllers that then act would take a minute and a half; the test acts as they do.
async fn lose_node(lab: &Lab, node: Kubelet, pod: &str) {
    let name = node.name().to_owned();
    drop(node);
    let path = pod_path(NAMESPACE, pod);
    let disrupted = |reason: &str| {
        json!({"type": "DisruptionTarget", "status": "True", "reason": reason,
        "message": "as the test says", "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    // Taint eviction works under the name of the controller that it once was a part of.
    let evicting = controller(lab, "node-controller");
    let status = json!({"status": {"conditions": [disrupted("DeletionByTaintManager")]}});
    evicting.patch(&format!("{path}/status"), PatchKind::Strategic, &status).await.unwrap();
    evicting.delete(&path, None).await.unwrap();
    let waits = lab.cluster.admin.get(&path).await.unwrap();
    assert!(waits["metadata"]["deletionTimestamp"].is_string(), "nobody is there to end it");
    lab.cluster.admin.delete(&format!("/api/v1/nodes/{name}"), None).await.unwrap();
    let collecting = controller(lab, "pod-garbage-collector");
    let status = json!({"status": {"phase": "Failed", "conditions": [disrupted("DeletionByPodGC")]}});
    collecting.patch(&format!("{path}/status"), PatchKind::Strategic, &status).await.unwrap();
    collecting.delete(&path, Some(&json!({"gracePeriodSeconds": 0}))).await.unwrap();
    expect_released(lab, "lost", pod).await;
}

async fn end_namespace(lab: &Lab) {
    let path = format!("/api/v1/namespaces/{ENDING}");
    lab.cluster.admin.delete(&path, None).await.unwrap();
    lab.cluster.gone(&path).await;
}

/// The pod goes, and its policy after it.
async fn expect_released(lab: &Lab, id: &str, pod: &str) {
    lab.cluster.gone(&pod_path(NAMESPACE, pod)).await;
    lab.cluster.gone(&format!("{}/flamewarden-analysis-{id}", collection(NAMESPACE, "NetworkPolicy"))).await;
}

/// A second node, and no more room on the first.
async fn second_node(lab: &Lab) -> Kubelet {
    let cordon = json!({"spec": {"unschedulable": true}});
    let first = format!("/api/v1/nodes/{}", lab.cluster.kubelet.name());
    lab.cluster.admin.patch(&first, PatchKind::Merge, &cordon).await.unwrap();
    Kubelet::start(&lab.cluster.plane, "node-2").await
}

fn controller(lab: &Lab, name: &str) -> Caller {
    let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];
    lab.cluster.admin.acting_as(&format!("system:serviceaccount:kube-system:{name}"), &groups)
}

fn only(names: Vec<String>) -> [String; 1] {
    names.try_into().unwrap()
}

fn pod_path(namespace: &str, name: &str) -> String {
    let pods = collection(namespace, "Pod");
    if name.is_empty() { pods } else { format!("{pods}/{name}") }
}

fn analysis(id: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": id, "labels": labels(id)}, "spec": spec(id)})
}

fn deployment(id: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("analysis-{id}")},
        "spec": {
            "selector": {"matchLabels": labels(id)}, "template": {"metadata": {"labels": labels(id)}, "spec": spec(id)},
        },
    })
}

fn job(id: &str) -> Value {
    let mut spec = spec(id);
    spec["restartPolicy"] = json!("Never");
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": format!("analysis-{id}")},
        "spec": {"ttlSecondsAfterFinished": 1, "template": {"metadata": {"labels": labels(id)}, "spec": spec}},
    })
}

fn labels(id: &str) -> Value {
    json!({"app": format!("analysis-{id}"), "component": "flame-analysis"})
}

fn spec(id: &str) -> Value {
    let limits = json!({"memory": "4Gi"});
    let container = json!({
        "name": format!("analysis-{id}"), "image": "harbor.example/node/image:1", "resources": {"limits": limits},
    });
    json!({"containers": [container], "terminationGracePeriodSeconds": 1})
}

const NAMESPACE: &str = "flame";
const ENDING: &str = "flame-try";
const TIGHTER: [(&str, &str); 2] = [
    ("limits: {cpu: \"2\", memory: 4Gi,", "limits: {cpu: \"2\", memory: 1Gi,"),
    ("maximum: {cpu: \"8\", memory: 32Gi,", "maximum: {cpu: \"8\", memory: 1Gi,"),
];
