//! Installed, upgraded and removed as README says: what is printed goes through kubectl as it is, and is enough.

use std::fs;

use serde_json::{Value, json};

use crate::by_service::{ByService, Replica, SYSTEM, image};
use crate::cert_manager;
use crate::flamewarden::{CONTROLLER, WEBHOOK, good_analysis};
use crate::pki::Authority;
use crate::removed::removed_as_readme_says;
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn what_is_printed_is_enough_an_upgrade_changes_images_only_and_a_removal_leaves_nothing() {
    run(async {
        let cluster = ByService::install("policies").await;
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
        removed_as_readme_says(&cluster, ATTENDED).await;
    });
}

/// Its Secret is served and renewed, and what its injector writes stays, whatever else goes on.
#[test]
fn with_cert_manager_its_certificate_is_served_and_its_authority_stays() {
    run(async {
        let cluster = ByService::prepare(&["--certificates", "cert-manager"], "policies").await;
        cert_manager::know(&cluster).await;
        cluster.apply(&image('0'));
        let authority = Authority::new("cert-manager");
        cert_manager::issue(&cluster, &authority).await;
        cert_manager::inject(&cluster, &authority).await;
        cluster.start().await;
        isolated_and_freed(&cluster, "first").await;
        let before = installed(&cluster);
        // A leaf of the same authority, as after 60 days.
        let replicas = cluster.replicas.lock().await;
        let known: Vec<usize> = replicas.iter().map(Replica::certificates).collect();
        cert_manager::issue(&cluster, &authority).await;
        wait_until("every replica serves the new certificate", PATIENCE, async || {
            replicas.iter().zip(&known).all(|(replica, known)| replica.certificates() > *known).then_some(())
        })
        .await;
        cluster.apply(&image('0'));
        isolated_and_freed(&cluster, "renewed").await;
        assert_eq!(installed(&cluster), before);
        for (verb, group, resource, namespace, name) in [
            ("patch", "", "secrets", SYSTEM, "flamewarden-webhook-tls"),
            ("get", "", "secrets", SYSTEM, "flamewarden-webhook-tls"),
            ("patch", ADMISSION, "validatingwebhookconfigurations", "", "flamewarden-pods"),
        ] {
            assert!(!may(&cluster, CONTROLLER, verb, group, resource, namespace, name).await, "{verb} {resource}");
        }
    });
}

/// All that the controller does: an analysis is isolated and freed, a refusal is told.
async fn work(cluster: &ByService, id: &str) {
    let mut bad = good_analysis(id);
    bad["metadata"]["name"] = json!(id);
    bad["spec"]["hostNetwork"] = json!(true);
    let job = cluster.admin.create(JOBS, &job(id, 0)).await.unwrap();
    bad["metadata"]["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": id,
        "controller": true, "uid": job["metadata"]["uid"]}]);
    cluster.admin.create(PODS, &bad).await.unwrap_err();
    let events = format!("/apis/events.k8s.io/v1/namespaces/{ATTENDED}/events");
    wait_until("the refusal is told", PATIENCE, async || {
        let list = cluster.admin.get(&events).await.ok()?;
        let ours = |event: &Value| event["reportingController"].as_str().is_some_and(|who| who.contains("flamewarden"));
        let told = |event: &Value| event["regarding"]["name"] == id && ours(event);
        list["items"].as_array()?.iter().any(told).then_some(())
    })
    .await;
    cluster.admin.delete(&format!("{JOBS}/{id}?propagationPolicy=Background"), None).await.unwrap();
    isolated_and_freed(cluster, &format!("{id}-runs")).await;
}

/// An analysis gets its policy before its gate is lifted, and the policy goes after it; no right was missing.
async fn isolated_and_freed(cluster: &ByService, id: &str) {
    let policy = format!("/apis/networking.k8s.io/v1/namespaces/{ATTENDED}/networkpolicies/flamewarden-analysis-{id}");
    cluster.admin.create(JOBS, &job(id, 1)).await.unwrap();
    let selected = format!("{PODS}?labelSelector=app%3Danalysis-{id}");
    wait_until("the gate is lifted", PATIENCE, async || {
        let list = cluster.admin.get(&selected).await.ok()?;
        let pod = list["items"].as_array()?.first()?;
        pod["spec"]["schedulingGates"].is_null().then_some(())
    })
    .await;
    cluster.admin.get(&policy).await.unwrap();
    cluster.admin.delete(&format!("{JOBS}/{id}?propagationPolicy=Background"), None).await.unwrap();
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

/// A Job of an analysis with so many pods.
fn job(id: &str, pods: u8) -> Value {
    let mut pod = good_analysis(id);
    pod["spec"]["terminationGracePeriodSeconds"] = json!(1);
    pod["spec"]["restartPolicy"] = json!("Never");
    let template = json!({"metadata": {"labels": pod["metadata"]["labels"]}, "spec": pod["spec"]});
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": id},
        "spec": {"template": template, "parallelism": pods}})
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
        // Labelled pods may be anywhere, and the audit finds them.
        (CONTROLLER, "list", "", "pods", "default", "", true),
        (CONTROLLER, "get", "", "pods", "default", "", false),
        (CONTROLLER, "create", "networking.k8s.io", "networkpolicies", ATTENDED, "", true),
        (CONTROLLER, "create", "networking.k8s.io", "networkpolicies", "default", "", false),
        (CONTROLLER, "delete", "networking.k8s.io", "networkpolicies", "default", "", false),
        (CONTROLLER, "get", "", "secrets", SYSTEM, "flamewarden-authority", true),
        (CONTROLLER, "get", "", "secrets", SYSTEM, "other", false),
        (CONTROLLER, "list", "", "secrets", SYSTEM, "", false),
        // Pull secrets, of which nobody knows the names beforehand, for asking registries.
        (CONTROLLER, "get", "", "secrets", ATTENDED, "flame-harbor-credentials", true),
        (CONTROLLER, "get", "", "secrets", "default", "", false),
        (CONTROLLER, "list", "", "secrets", ATTENDED, "", false),
        (CONTROLLER, "patch", "", "secrets", ATTENDED, "flame-harbor-credentials", false),
        // Jobs that scan, and the Secret with what each is to do.
        (CONTROLLER, "create", "batch", "jobs", SYSTEM, "", true),
        (CONTROLLER, "create", "batch", "jobs", ATTENDED, "", false),
        (CONTROLLER, "create", "", "secrets", SYSTEM, "", true),
        (CONTROLLER, "create", "", "secrets", ATTENDED, "", false),
        (CONTROLLER, "delete", ADMISSION, "validatingwebhookconfigurations", "", "flamewarden-pods", false),
        (CONTROLLER, "patch", ADMISSION, "validatingwebhookconfigurations", "", "flamewarden-pods", true),
        (CONTROLLER, "patch", ADMISSION, "validatingwebhookconfigurations", "", "others", false),
        (CONTROLLER, "patch", ADMISSION, "validatingadmissionpolicies", "", "flamewarden-gate", false),
        (CONTROLLER, "patch", "rbac.authorization.k8s.io", "roles", ATTENDED, "flamewarden-controller", false),
        (CONTROLLER, "create", "", "serviceaccounts/token", SYSTEM, "", false),
        (CONTROLLER, "create", "", "pods/exec", ATTENDED, "", false),
        (CONTROLLER, "impersonate", "", "users", "", "", false),
    ] {
        let may = may(cluster, who, verb, group, resource, namespace, name).await;
        assert_eq!(may, want, "{who} {verb} {group}/{resource} {namespace}/{name}");
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one question, in the order of the tables")]
async fn may(
    cluster: &ByService,
    who: &str,
    verb: &str,
    group: &str,
    resource: &str,
    namespace: &str,
    name: &str,
) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": who,
        "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{SYSTEM}"), "system:authenticated"],
        "resourceAttributes": {"verb": verb, "group": group, "resource": resource, "subresource": subresource,
            "namespace": namespace, "name": name},
    }});
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    cluster.admin.create(path, &review).await.unwrap()["status"]["allowed"] == true
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
const ATTENDED: &str = "flame-attacks";
const PODS: &str = "/api/v1/namespaces/flame-attacks/pods";
const JOBS: &str = "/apis/batch/v1/namespaces/flame-attacks/jobs";
const ADMISSION: &str = "admissionregistration.k8s.io";
