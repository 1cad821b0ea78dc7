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

#[test]
fn a_pod_that_a_controller_adopts_runs_only_what_its_template_says() {
    run(async {
        let guarded = guarded().await;
        let mut claims = bare("claims-a-hash", "adopts");
        claims["metadata"]["labels"]["pod-template-hash"] = json!("h");
        let refused = guarded.editor.create(PODS, &claims).await.unwrap_err();
        assert!(refused.message.contains("owner-reference: metadata.labels"), "{}", refused.message);
        // The set waits with its second pod until the first is available, which takes an hour.
        for (id, image) in [("adopts", OWN), ("refuses", OTHER)] {
            let mut set = deployment(id, OWN, 2);
            set["kind"] = json!("StatefulSet");
            set["spec"]["minReadySeconds"] = json!(3600);
            guarded.editor.create(&format!("{APPS}/statefulsets"), &set).await.unwrap();
            running(guarded, id, OWN, 1).await;
            let mut second = bare(&format!("analysis-{id}-1"), id);
            second["spec"]["containers"][0]["image"] = json!(image);
            guarded.editor.create(PODS, &second).await.unwrap();
        }
        running(guarded, "adopts", OWN, 2).await;
        guarded.logged("not what its controllers' templates say", "analysis-refuses-1").await;
        let pod = guarded.cluster.admin.get(&format!("{PODS}/analysis-refuses-1")).await.unwrap();
        let owners = &pod["metadata"]["ownerReferences"];
        assert_eq!((owners[0]["kind"].as_str(), gated(&pod)), (Some("StatefulSet"), true), "{owners}");
    });
}

#[test]
fn a_replicaset_that_a_deployment_adopts_makes_pods_that_wait_unless_they_are_the_deployments() {
    run(async {
        let guarded = guarded().await;
        // Its first pod is available after minutes, so that the Deployment leaves other ReplicaSets as they are.
        let mut victim = deployment("sets-adopted", OWN, 1);
        victim["spec"]["minReadySeconds"] = json!(500);
        guarded.editor.create(&format!("{APPS}/deployments"), &victim).await.unwrap();
        running(guarded, "sets-adopted", OWN, 1).await;
        let path = format!("{SETS}/evil");
        guarded.editor.create(SETS, &evil("evil", "sets-adopted", &labels("sets-adopted"))).await.unwrap();
        wait_until("the Deployment adopts the ReplicaSet", PATIENCE, async || {
            let set = guarded.cluster.admin.get(&path).await.unwrap();
            set["metadata"]["ownerReferences"].is_array().then_some(())
        })
        .await;
        guarded.editor.patch(&path, PatchKind::Merge, &json!({"spec": {"replicas": 1}})).await.unwrap();
        guarded.logged("not what its controllers' templates say", "evil-").await;
        let pods = pods(guarded, "sets-adopted").await;
        let evil: Vec<bool> = pods.iter().filter(|pod| image(pod) == OTHER).map(gated).collect();
        assert_eq!(evil, [true]);
    });
}

#[test]
fn an_owner_forged_before_a_template_is_guarded_does_not_come_with_it() {
    run(async {
        let guarded = guarded().await;
        let deployments = format!("{APPS}/deployments");
        let victim = guarded.editor.create(&deployments, &deployment("forged", OWN, 1)).await.unwrap();
        running(guarded, "forged", OWN, 1).await;
        let mut unguarded = evil("forged", "forged", &labels("forged"));
        unguarded["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "Deployment",
            "name": "analysis-forged", "uid": victim["metadata"]["uid"], "controller": true}]);
        unguarded["spec"]["template"]["metadata"]["labels"] = json!({"flamewarden.dev/analysis": "evil"});
        unguarded["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example/other:1");
        guarded.editor.create(SETS, &unguarded).await.unwrap();
        let mut guarding = evil("forged", "forged", &json!({"app": null, "component": null}));
        guarding["spec"]["replicas"] = json!(1);
        let guarding = guarded.editor.patch(&format!("{SETS}/forged"), PatchKind::Merge, &guarding).await;
        let refused = guarding.unwrap_err();
        assert!(refused.message.contains("owner-reference: metadata.ownerReferences[0]"), "{}", refused.message);
    });
}

#[test]
fn a_deployment_lets_go_of_a_replicaset_that_lost_its_labels_and_goes_on() {
    run(async {
        let guarded = guarded().await;
        let deployments = format!("{APPS}/deployments");
        guarded.editor.create(&deployments, &deployment("let-go", OWN, 1)).await.unwrap();
        let pod = running(guarded, "let-go", OWN, 1).await.remove(0);
        let set = format!("{SETS}/{}", pod["metadata"]["ownerReferences"][0]["name"].as_str().unwrap());
        let unlabelled = json!({"metadata": {"labels": {"app": null}}});
        let refused = guarded.editor.patch(&set, PatchKind::Merge, &unlabelled).await.unwrap_err();
        assert!(refused.message.contains("owner-reference: metadata.labels.app"), "{}", refused.message);
        // As if it had been relabelled while nobody was asked.
        let deployer = "system:serviceaccount:kube-system:deployment-controller";
        let controller = guarded.cluster.plane.caller(deployer, Some("system:masters")).await;
        controller.patch(&set, PatchKind::Merge, &unlabelled).await.unwrap();
        wait_until("the Deployment lets go", PATIENCE, async || {
            let set = guarded.cluster.admin.get(&set).await.unwrap();
            set["metadata"]["ownerReferences"].is_null().then_some(())
        })
        .await;
        let path = format!("{deployments}/analysis-let-go");
        guarded.editor.patch(&path, PatchKind::Merge, &deployment("let-go", OTHER, 1)).await.unwrap();
        running(guarded, "let-go", OTHER, 1).await;
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

/// Without the digest that it is pinned to.
fn image(pod: &Value) -> &str {
    pod["spec"]["containers"][0]["image"].as_str().unwrap().split('@').next().unwrap()
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

/// A ReplicaSet without pods that could be a Deployment's by its own labels, not by what it would run.
fn evil(name: &str, id: &str, own_labels: &Value) -> Value {
    let mut template = template(id, OTHER);
    template["metadata"]["labels"]["flamewarden.dev/analysis"] = json!("evil");
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "labels": own_labels},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"flamewarden.dev/analysis": "evil"}}, "template": template},
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
const SETS: &str = "/apis/apps/v1/namespaces/flame/replicasets";
const JOBS: &str = "/apis/batch/v1/namespaces/flame/jobs";
const OWN: &str = "harbor.example/node/own:1";
const OTHER: &str = "harbor.example/node/other:1";
