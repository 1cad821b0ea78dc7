//! One identity, one owner: nobody inherits it who only waits, nobody joins it by a claim, and the owner goes on.

use serde_json::{Value, json};

use crate::caller::PatchKind;
use crate::flamewarden::{Guarded, guarded};
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn a_waiting_pod_inherits_nothing_while_the_owner_is_there() {
    run(async {
        let guarded = guarded().await;
        let deployments = format!("{APPS}/deployments");
        let deployment_path = format!("{deployments}/analysis-waits");
        guarded.editor.create(&deployments, &deployment("waits", OWN, 1)).await.unwrap();
        let first = running(guarded, "waits", OWN, 1).await.remove(0);
        guarded.editor.create(PODS, &bare("waiting", "waits")).await.unwrap();
        guarded.logged("gate stays closed", "waiting").await;
        // Without any pod the Deployment is still there; what it makes then is younger than the one that waits.
        let scaled = |replicas: u32| json!({"spec": {"replicas": replicas}});
        guarded.editor.patch(&deployment_path, PatchKind::Merge, &scaled(0)).await.unwrap();
        guarded.cluster.gone(&format!("{PODS}/{}", name(&first))).await;
        guarded.editor.patch(&deployment_path, PatchKind::Merge, &scaled(1)).await.unwrap();
        running(guarded, "waits", OWN, 1).await;
        assert!(gated(&guarded.cluster.admin.get(&format!("{PODS}/waiting")).await.unwrap()));
        // Once the owner and its pods are gone the identity is free.
        guarded.editor.delete(&deployment_path, Some(&background())).await.unwrap();
        running(guarded, "waits", OTHER, 1).await;
    });
}

#[test]
fn a_job_does_not_join_the_identity_of_a_deployment_that_it_names_as_its_owner() {
    run(async {
        let guarded = guarded().await;
        let owner = guarded.editor.create(&format!("{APPS}/deployments"), &deployment("joined", OWN, 1)).await.unwrap();
        running(guarded, "joined", OWN, 1).await;
        let mut job = job("claims", "joined", OTHER);
        job["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "Deployment",
            "name": "analysis-joined", "uid": owner["metadata"]["uid"], "controller": true}]);
        // Only controllers may name an owner at all; this one stands for whoever found a way.
        let cronjobs = "system:serviceaccount:kube-system:cronjob-controller";
        let controller = guarded.cluster.plane.caller(cronjobs, Some("system:masters")).await;
        controller.create(JOBS, &job).await.unwrap();
        let pod = wait_until("the Job makes a pod", PATIENCE, async || {
            pods(guarded, "joined").await.into_iter().find(|pod| image(pod) == OTHER)
        });
        let pod = name(&pod.await).to_owned();
        guarded.logged("gate stays closed", &pod).await;
        assert!(gated(&guarded.cluster.admin.get(&format!("{PODS}/{pod}")).await.unwrap()));
    });
}

#[test]
fn all_pods_of_one_owner_run_and_an_owner_made_again_has_the_identity_again() {
    run(async {
        let guarded = guarded().await;
        let deployments = format!("{APPS}/deployments");
        guarded.editor.create(&deployments, &deployment("rolls", OWN, 2)).await.unwrap();
        guarded.editor.create(JOBS, &job("side-by-side", "jobs", OWN)).await.unwrap();
        let mut set = deployment("sets", OWN, 2);
        set["kind"] = json!("StatefulSet");
        guarded.editor.create(&format!("{APPS}/statefulsets"), &set).await.unwrap();
        for id in ["rolls", "jobs", "sets"] {
            running(guarded, id, OWN, 2).await;
        }
        let path = format!("{deployments}/analysis-rolls");
        guarded.editor.patch(&path, PatchKind::Merge, &deployment("rolls", OTHER, 2)).await.unwrap();
        running(guarded, "rolls", OTHER, 2).await;
        guarded.editor.delete(&path, Some(&background())).await.unwrap();
        guarded.editor.create(&deployments, &deployment("rolls", OWN, 2)).await.unwrap();
        running(guarded, "rolls", OWN, 2).await;
    });
}

/// Waits until so many pods of an identity run with an image, and gives them.
async fn running(guarded: &Guarded, id: &str, with: &str, count: usize) -> Vec<Value> {
    let runs = |pod: &Value| {
        image(pod) == with && pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null()
    };
    wait_until(&format!("{count} pods of {id} run {with}"), PATIENCE, async || {
        let pods: Vec<Value> = pods(guarded, id).await.into_iter().filter(runs).collect();
        (pods.len() == count).then_some(pods)
    })
    .await
}

async fn pods(guarded: &Guarded, id: &str) -> Vec<Value> {
    let list = guarded.cluster.admin.get(&format!("{PODS}?labelSelector=app%3Danalysis-{id}")).await.unwrap();
    list["items"].as_array().unwrap().clone()
}

fn image(pod: &Value) -> &str {
    pod["spec"]["containers"][0]["image"].as_str().unwrap()
}

fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap()
}

fn gated(pod: &Value) -> bool {
    pod["spec"]["schedulingGates"] == json!([{"name": "flamewarden.dev/network-policy"}])
}

fn labels(id: &str) -> Value {
    json!({"component": "flame-analysis", "app": format!("analysis-{id}")})
}

fn template(id: &str, image: &str) -> Value {
    json!({"metadata": {"labels": labels(id)}, "spec": {
        "terminationGracePeriodSeconds": 1, "containers": [{"name": format!("analysis-{id}"), "image": image}],
    }})
}

fn bare(name: &str, id: &str) -> Value {
    let mut pod = template(id, OTHER);
    pod["metadata"]["name"] = json!(name);
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod
}

fn deployment(id: &str, image: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("analysis-{id}")},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels(id)}, "template": template(id, image)},
    })
}

fn job(name: &str, id: &str, image: &str) -> Value {
    let mut template = template(id, image);
    template["spec"]["restartPolicy"] = json!("Never");
    json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"parallelism": 2, "completions": 2, "template": template},
    })
}

fn background() -> Value {
    json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"})
}

const PODS: &str = "/api/v1/namespaces/flame/pods";
const APPS: &str = "/apis/apps/v1/namespaces/flame";
const JOBS: &str = "/apis/batch/v1/namespaces/flame/jobs";
const OWN: &str = "harbor.example/node/own:1";
const OTHER: &str = "harbor.example/node/other:1";
