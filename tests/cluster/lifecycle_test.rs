//! Lifecycles that must end well whatever Flamewarden's policies say by then.

use serde_json::{Value, json};

use crate::caller::PatchKind;
use crate::kubelet::Kubelet;
use crate::lab::{Lab, collection};
use crate::recording::{Event, Recording};
use crate::shared::{PATIENCE, run, wait_until};

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
        let second_node = second_node(&lab).await;
        lab.create(NAMESPACE, &deployment("lost")).await;
        let [lost] = only(lab.running(NAMESPACE, "analysis-lost", 1).await);

        lab.change_profile(&TIGHTER).await;
        let refusal = lab.cluster.admin.create(&pod_path(NAMESPACE, ""), &analysis("late")).await.unwrap_err();
        let said = refusal.message.lines().skip(1).map(|line| line.split(" (").next().unwrap());
        assert_eq!(said.collect::<Vec<_>>(), REFUSED, "{}", refusal.message);

        // Its controllers take their time; the rest goes on meanwhile.
        let recording = Recording::start(&lab.cluster.admin, &pod_path(NAMESPACE, "")).await;
        let lost_node = second_node.name().to_owned();
        drop(second_node);
        finish_job(&lab, &finished).await;
        drain(&lab, &drained).await;
        end_namespace(&lab).await;
        lose_node(&lab, &lost_node, &lost, &recording).await;
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

/// The kubelet is silent. Kubernetes' own controllers find that out, evict the pod, and, once somebody has said that
/// the node is off, remove what no kubelet will.
async fn lose_node(lab: &Lab, node: &str, pod: &str, recording: &Recording) {
    let path = pod_path(NAMESPACE, pod);
    lab.cluster.read(&path, |pod| pod["metadata"]["deletionTimestamp"].is_string().then_some(())).await;
    lab.cluster.admin.get(&policy("lost")).await.expect("nobody has told that its containers ended");
    let off = json!([{"op": "add", "path": "/spec/taints/-",
        "value": {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}}]);
    lab.cluster.admin.patch(&format!("/api/v1/nodes/{node}"), PatchKind::Json, &off).await.unwrap();
    expect_released(lab, "lost", pod).await;
    let last = wait_until("the pod is seen to go", PATIENCE, async || {
        recording.of(|object| object["metadata"]["name"] == *pod).pop().filter(|event: &Event| event.deleted)
    })
    .await;
    let status = &last.object["status"];
    let disrupted = status["conditions"].as_array().unwrap().iter().find(|one| one["type"] == "DisruptionTarget");
    assert_eq!(json!([status["phase"], disrupted.unwrap()["reason"]]), json!(["Failed", "DeletionByTaintManager"]));
}

async fn end_namespace(lab: &Lab) {
    let path = format!("/api/v1/namespaces/{ENDING}");
    lab.cluster.admin.delete(&path, None).await.unwrap();
    lab.cluster.gone(&path).await;
}

/// The pod goes, and its policy after it.
async fn expect_released(lab: &Lab, id: &str, pod: &str) {
    lab.cluster.gone(&pod_path(NAMESPACE, pod)).await;
    lab.cluster.gone(&policy(id)).await;
}

/// A second node, and no more room on the first.
async fn second_node(lab: &Lab) -> Kubelet {
    let cordon = json!({"spec": {"unschedulable": true}});
    let first = format!("/api/v1/nodes/{}", lab.cluster.kubelet.name());
    lab.cluster.admin.patch(&first, PatchKind::Merge, &cordon).await.unwrap();
    Kubelet::start(&lab.cluster.plane, "node-2").await
}

fn only(names: Vec<String>) -> [String; 1] {
    names.try_into().unwrap()
}

fn pod_path(namespace: &str, name: &str) -> String {
    let pods = collection(namespace, "Pod");
    if name.is_empty() { pods } else { format!("{pods}/{name}") }
}

fn policy(id: &str) -> String {
    format!("{}/flamewarden-analysis-{id}", collection(NAMESPACE, "NetworkPolicy"))
}

fn analysis(id: &str) -> Value {
    let mut pod = template(id);
    pod["metadata"]["name"] = json!(id);
    pod
}

fn deployment(id: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("analysis-{id}")},
        "spec": {"selector": {"matchLabels": labels(id)}, "template": template(id)},
    })
}

fn job(id: &str) -> Value {
    let mut template = template(id);
    template["spec"]["restartPolicy"] = json!("Never");
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": format!("analysis-{id}")},
        "spec": {"ttlSecondsAfterFinished": 1, "template": template},
    })
}

fn labels(id: &str) -> Value {
    json!({"app": format!("analysis-{id}"), "component": "flame-analysis"})
}

/// A pod that the shipped profile takes, and the tightened one refuses in all that nobody mends.
fn template(id: &str) -> Value {
    let mut labels = labels(id);
    labels["flamewarden.dev/analysis"] = json!(id);
    let annotations = json!({"kubectl.kubernetes.io/default-container": format!("analysis-{id}")});
    let container = json!({
        "name": format!("analysis-{id}"), "image": "harbor.example/node/image:1",
        "resources": {"limits": {"memory": "4Gi"}},
    });
    json!({
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 5},
    })
}

const NAMESPACE: &str = "flame";
const ENDING: &str = "flame-try";
/// The running pods lack also what is mended in new ones: pull secret, root file system, user namespace and grace.
const TIGHTER: [(&str, &str); 11] = [
    ("      - flamewarden.dev/analysis\n", ""),
    ("      - kubectl.kubernetes.io/default-container\n", ""),
    ("    name: flame-harbor-credentials\n", "    name: other-credentials\n"),
    (
        "    pattern: flame-harbor-(credentials|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\n",
        "    pattern: other-credentials\n",
    ),
    ("    digest: any\n", "    digest: required\n"),
    ("    verdict: required\n", "    verdict: required\n    failOn: {severity: low}\n"),
    ("limits: {cpu: \"2\", memory: 4Gi,", "limits: {cpu: \"2\", memory: 1Gi,"),
    ("maximum: {cpu: \"8\", memory: 32Gi,", "maximum: {cpu: \"8\", memory: 1Gi,"),
    ("readOnlyRootFilesystem: any", "readOnlyRootFilesystem: required"),
    ("userNamespace: any", "userNamespace: required"),
    ("graceMaximum: 30", "graceMaximum: 2"),
];
/// What is not mended in a new one: rule and field.
const REFUSED: [&str; 5] = [
    "resources: spec.containers[0].resources.requests.memory",
    "image-digest: spec.containers[0].image",
    "image-scan: spec.containers[0].image",
    "labels: metadata.labels[\"flamewarden.dev/analysis\"]",
    "annotations: metadata.annotations[\"kubectl.kubernetes.io/default-container\"]",
];
