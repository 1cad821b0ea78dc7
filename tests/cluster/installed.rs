//! Installed and upgraded as README says: what is printed goes through kubectl as it is, and is enough.

use std::fs;

use serde_json::{Value, json};

use crate::by_service::{ByService, NAMESPACE, SYSTEM, image};
use crate::flamewarden::{CONTROLLER, WEBHOOK, good_analysis};
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn what_is_printed_is_enough_and_an_upgrade_changes_images_only() {
    run(async {
        let cluster = ByService::install(&[], "policies").await;
        work(&cluster, "first").await;
        rights(&cluster).await;
        for (what, digit) in [("upgraded", '1'), ("back", '0')] {
            let before = installed(&cluster);
            cluster.apply(&image(digit));
            let after = installed(&cluster);
            let changed: Vec<&Value> = after.iter().filter(|object| !before.contains(object)).collect();
            let named: Vec<[&Value; 2]> = changed.iter().map(|one| [&one["kind"], &one["metadata"]["name"]]).collect();
            assert_eq!(
                named,
                [["Deployment", "flamewarden-controller"], ["Deployment", "flamewarden-webhook"]],
                "{what}"
            );
            rolls_out(&cluster, &image(digit)).await;
            work(&cluster, what).await;
        }
    });
}

/// All that the controller does: an analysis is isolated and freed, a refusal is told, and no right is missing.
async fn work(cluster: &ByService, id: &str) {
    let pods = format!("/api/v1/namespaces/{ATTENDED}/pods");
    let policy = format!("/apis/networking.k8s.io/v1/namespaces/{ATTENDED}/networkpolicies/flamewarden-analysis-{id}");
    let mut pod = good_analysis(id);
    pod["metadata"]["name"] = json!(id);
    pod["spec"]["terminationGracePeriodSeconds"] = json!(1);
    // ReplicaSets and Jobs are asked whose pods are.
    let spec = json!({"template": {"metadata": {"labels": pod["metadata"]["labels"]}, "spec": pod["spec"]}});
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": id}, "spec": spec});
    job["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    let jobs = format!("/apis/batch/v1/namespaces/{ATTENDED}/jobs");
    cluster.admin.create(&jobs, &job).await.unwrap();
    let selected = format!("{pods}?labelSelector=app%3Danalysis-{id}");
    wait_until("the gate is lifted", PATIENCE, async || {
        let list = cluster.admin.get(&selected).await.ok()?;
        let pod = list["items"].as_array()?.first()?;
        pod["spec"]["schedulingGates"].is_null().then_some(())
    })
    .await;
    let mut bad = pod.clone();
    bad["spec"]["hostNetwork"] = json!(true);
    bad["metadata"]["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": id, "controller": true,
        "uid": cluster.admin.get(&format!("{jobs}/{id}")).await.unwrap()["metadata"]["uid"]}]);
    cluster.admin.create(&pods, &bad).await.unwrap_err();
    let events = format!("/apis/events.k8s.io/v1/namespaces/{ATTENDED}/events");
    wait_until("the refusal is told", PATIENCE, async || {
        let list = cluster.admin.get(&events).await.ok()?;
        let told = |event: &Value| event["regarding"]["name"] == id && event["reportingController"] != Value::Null;
        let ours =
            |event: &&Value| event["reportingController"].as_str().is_some_and(|who| who.contains("flamewarden"));
        list["items"].as_array()?.iter().filter(ours).any(told).then_some(())
    })
    .await;
    cluster.admin.delete(&format!("{jobs}/{id}?propagationPolicy=Background"), None).await.unwrap();
    wait_until("the policy goes after its pod", PATIENCE, async || {
        cluster.admin.get(&policy).await.is_err_and(|refusal| refusal.code == 404).then_some(())
    })
    .await;
    for part in cluster.controllers.lock().await.iter() {
        let log = fs::read_to_string(&part.recipe().log).unwrap();
        let denied: Vec<&str> = log.lines().filter(|line| line.to_lowercase().contains("forbidden")).collect();
        assert_eq!(denied, [""; 0], "the controller lacks a right");
    }
}

/// What each may do beyond reading what it must, and what it may not.
async fn rights(cluster: &ByService) {
    for (who, verb, group, resource, namespace, name, want) in [
        (WEBHOOK, "get", "", "pods", ATTENDED, "", true),
        (WEBHOOK, "list", "", "pods", ATTENDED, "", false),
        (WEBHOOK, "get", "", "pods", "default", "", false),
        (WEBHOOK, "get", "", "secrets", SYSTEM, "flamewarden-webhook-tls", false),
        (WEBHOOK, "patch", "", "pods", ATTENDED, "", false),
        (WEBHOOK, "create", "events.k8s.io", "events", ATTENDED, "", false),
        (WEBHOOK, "get", "coordination.k8s.io", "leases", SYSTEM, "flamewarden-controller", false),
        (CONTROLLER, "patch", "", "pods", ATTENDED, "", true),
        (CONTROLLER, "create", "", "pods", ATTENDED, "", false),
        (CONTROLLER, "delete", "", "pods", ATTENDED, "", false),
        (CONTROLLER, "list", "", "pods", "default", "", false),
        (CONTROLLER, "create", "networking.k8s.io", "networkpolicies", ATTENDED, "", true),
        (CONTROLLER, "create", "networking.k8s.io", "networkpolicies", "default", "", false),
        (CONTROLLER, "delete", "networking.k8s.io", "networkpolicies", "default", "", false),
        (CONTROLLER, "get", "", "secrets", SYSTEM, "flamewarden-authority", true),
        (CONTROLLER, "get", "", "secrets", SYSTEM, "other", false),
        (CONTROLLER, "list", "", "secrets", SYSTEM, "", false),
        (CONTROLLER, "get", "", "secrets", ATTENDED, "flame-harbor-credentials", false),
        (CONTROLLER, "delete", ADMISSION, "validatingwebhookconfigurations", "", "flamewarden-pods", false),
        (CONTROLLER, "patch", ADMISSION, "validatingwebhookconfigurations", "", "flamewarden-pods", true),
        (CONTROLLER, "patch", ADMISSION, "validatingwebhookconfigurations", "", "others", false),
        (CONTROLLER, "patch", ADMISSION, "validatingadmissionpolicies", "", "flamewarden-gate", false),
        (CONTROLLER, "patch", "rbac.authorization.k8s.io", "roles", ATTENDED, "flamewarden-controller", false),
        (CONTROLLER, "create", "", "serviceaccounts/token", SYSTEM, "", false),
        (CONTROLLER, "create", "", "pods/exec", ATTENDED, "", false),
        (CONTROLLER, "impersonate", "", "users", "", "", false),
    ] {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
            "user": who,
            "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{SYSTEM}"), "system:authenticated"],
            "resourceAttributes": {"verb": verb, "group": group, "resource": resource, "subresource": subresource,
                "namespace": namespace, "name": name},
        }});
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let answer = cluster.admin.create(path, &review).await.unwrap();
        assert_eq!(answer["status"]["allowed"], want, "{who} {verb} {group}/{resource} {namespace}/{name}");
    }
}

/// Everything that was printed, as it is stored, without what changes by itself: each `caBundle` is in it.
fn installed(cluster: &ByService) -> Vec<Value> {
    let mut list: Value = serde_json::from_str(&cluster.kubectl(&["get", "-o", "json", "-f"])).unwrap();
    let mut objects: Vec<Value> = std::mem::take(list["items"].as_array_mut().unwrap());
    for object in &mut objects {
        object["status"] = Value::Null;
        for changing in ["annotations", "generation", "managedFields", "resourceVersion"] {
            object["metadata"][changing] = Value::Null;
        }
        if object["kind"].as_str().unwrap().ends_with("WebhookConfiguration") {
            assert!(object["webhooks"][0]["clientConfig"]["caBundle"].is_string(), "{object}");
        }
    }
    objects
}

/// The Deployment controller has taken the image; nothing runs pods here, so it gets no further.
async fn rolls_out(cluster: &ByService, image: &str) {
    for name in ["flamewarden-controller", "flamewarden-webhook"] {
        let path = format!("/apis/apps/v1/namespaces/{SYSTEM}/deployments/{name}");
        wait_until("pods of the image are made", PATIENCE, async || {
            let deployment = cluster.admin.get(&path).await.ok()?;
            let pod = &deployment["spec"]["template"]["spec"];
            assert_eq!(pod["containers"][0]["image"], image);
            let status = &deployment["status"];
            let seen = status["observedGeneration"] == deployment["metadata"]["generation"];
            (seen && status["updatedReplicas"].as_u64() >= Some(1)).then_some(())
        })
        .await;
    }
}

/// Guarded, and looked after by the controller.
const ATTENDED: &str = NAMESPACE;
const ADMISSION: &str = "admissionregistration.k8s.io";
