//! What still works while all of Flamewarden is down, and what is refused without its mutating side.

use serde_json::{Value, json};

use crate::caller::PatchKind;
use crate::flamewarden::{good_analysis, settled};
use crate::lab::{GUARDED, Lab, collection};
use crate::shared::run;

/// Guarded identities are refused; everybody else in a shared namespace works on.
#[test]
fn while_all_replicas_are_stopped_other_workloads_scale_restart_and_upgrade() {
    run(async {
        let mut lab = Lab::start().await;
        for object in web() {
            lab.create(NAMESPACE, &object).await;
        }
        rolled_out(&lab, 1).await;
        (lab.webhook, lab.controllers) = (None, Vec::new());
        for (what, replicas, patch) in [
            ("scale up", 3, json!({"spec": {"replicas": 3}})),
            ("restart", 3, json!({"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}})),
            (
                "upgrade",
                3,
                json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}}}),
            ),
            ("scale down", 1, json!({"spec": {"replicas": 1}})),
        ] {
            let path = format!("{}/web", collection(NAMESPACE, "Deployment"));
            let patched = lab.cluster.admin.patch(&path, PatchKind::Strategic, &patch).await;
            patched.unwrap_or_else(|refusal| panic!("{what}: {}", refusal.message));
            rolled_out(&lab, replicas).await;
        }
        change_the_rest(&lab).await;
        for (what, object) in guarded_identities() {
            let path = collection(NAMESPACE, object["kind"].as_str().unwrap());
            let answer = lab.cluster.admin.create(&path, &object).await;
            let refusal = answer.expect_err(what);
            assert_eq!((refusal.code, refusal.reason.as_str()), (500, "InternalError"), "{what}: {}", refusal.message);
            assert!(refusal.message.contains("failed calling webhook"), "{what}: {}", refusal.message);
        }
    });
}

/// With no mutating configuration nothing adds the gate, and without it no analysis comes in.
#[test]
fn a_pod_that_comes_without_the_mutating_side_is_refused_for_want_of_the_gate() {
    run(async {
        let lab = Lab::start().await;
        let admin = &lab.cluster.admin;
        let pods = collection(NAMESPACE, "Pod");
        let mut analysis = good_analysis("ungated");
        analysis["metadata"]["name"] = json!("ungated");
        // What the mutating side would have made of it is all there but the gate.
        let mut mended = admin.create(&format!("{pods}?dryRun=All"), &analysis).await.unwrap();
        let kept = json!({"name": "ungated", "labels": mended["metadata"]["labels"]});
        mended["metadata"] = kept;
        mended["status"] = Value::Null;
        let gates = mended["spec"].as_object_mut().unwrap().remove("schedulingGates");
        let configurations = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
        admin.delete(configurations, None).await.unwrap();
        settled(admin).await;
        let refusal = admin.create(&pods, &mended).await.unwrap_err();
        assert_eq!(refusal.code, 403, "{}", refusal.message);
        let reasons: Vec<&str> = refusal.message.lines().skip(1).filter_map(|line| line.split(':').next()).collect();
        assert_eq!(reasons, ["network-gate"], "{}", refusal.message);
        assert_eq!(admin.get(&format!("{pods}/ungated")).await.unwrap_err().code, 404);
        mended["spec"]["schedulingGates"] = gates.unwrap();
        admin.create(&pods, &mended).await.unwrap();
        lab.running(NAMESPACE, "analysis-ungated", 1).await;
    });
}

/// Every pod of `web` is of the newest template and runs.
async fn rolled_out(lab: &Lab, replicas: u64) {
    let path = format!("{}/web", collection(NAMESPACE, "Deployment"));
    let done = |deployment: &Value| {
        let status = &deployment["status"];
        let seen = status["observedGeneration"] == deployment["metadata"]["generation"];
        let counts = ["replicas", "updatedReplicas", "readyReplicas"].map(|count| status[count].as_u64());
        (seen && counts == [Some(replicas); 3]).then_some(())
    };
    lab.cluster.read(&path, done).await;
}

/// Configuration, Service and policy change, a pod is evicted, a batch runs.
async fn change_the_rest(lab: &Lab) {
    let admin = &lab.cluster.admin;
    for (kind, patch) in [
        ("ConfigMap", json!({"data": {"key": "other"}})),
        ("Service", json!({"spec": {"ports": [{"port": 81}]}})),
        ("NetworkPolicy", json!({"spec": {"ingress": [{}]}})),
    ] {
        let path = format!("{}/web", collection(NAMESPACE, kind));
        admin
            .patch(&path, PatchKind::Merge, &patch)
            .await
            .unwrap_or_else(|refusal| panic!("{kind}: {}", refusal.message));
    }
    let [pod] = lab.running(NAMESPACE, "web", 1).await.try_into().unwrap();
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}});
    let path = format!("{}/{pod}", collection(NAMESPACE, "Pod"));
    admin.create(&format!("{path}/eviction"), &eviction).await.unwrap();
    lab.cluster.gone(&path).await;
    rolled_out(lab, 1).await;
    let batch = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web"},
        "spec": {"template": {"metadata": {"labels": {"app": "batch"}}, "spec": {
            "restartPolicy": "Never", "containers": [{"name": "web", "image": "web:1"}], "terminationGracePeriodSeconds": 1,
        }}},
    });
    lab.create(NAMESPACE, &batch).await;
    let [pod] = lab.running(NAMESPACE, "batch", 1).await.try_into().unwrap();
    lab.cluster.kubelet.end(NAMESPACE, &pod, 0);
    let job = format!("{}/web", collection(NAMESPACE, "Job"));
    lab.cluster.read(&job, |job| (job["status"]["succeeded"] == 1).then_some(())).await;
    for kind in ["NetworkPolicy", "Service", "ConfigMap", "Deployment"] {
        admin.delete(&format!("{}/web", collection(NAMESPACE, kind)), None).await.unwrap();
    }
}

/// Other software in a namespace that it shares with analyses.
fn web() -> [Value; 4] {
    let labels = json!({"app": "web"});
    let container = json!({"name": "web", "image": "web:1", "envFrom": [{"configMapRef": {"name": "web"}}]});
    [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"key": "value"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "containers": [container], "terminationGracePeriodSeconds": 1,
            }},
        }}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": labels, "ports": [{"port": 80}]}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "web"},
            "spec": {"podSelector": {"matchLabels": labels}, "ingress": [{"from": [{"podSelector": {}}]}]}}),
    ]
}

/// One of every sort of object that is a guarded identity's, or could touch one.
fn guarded_identities() -> Vec<(&'static str, Value)> {
    let named = |kind: &str, name: &str, rest: Value| {
        let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
        object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        object
    };
    let plain = json!({"containers": [{"name": "main", "image": "web:1"}]});
    let from_registry = json!({"containers": [{"name": "main", "image": "harbor.example/node/image:1"}]});
    let analysis = json!({"component": "flame-analysis", "app": "analysis-down"});
    let pod = |labels: Value, spec: &Value| {
        named("Pod", "down", json!({"metadata": {"name": "down", "labels": labels}, "spec": spec}))
    };
    let deployment = json!({"apiVersion": "apps/v1", "spec": {
        "selector": {"matchLabels": analysis}, "template": {"metadata": {"labels": analysis}, "spec": plain},
    }});
    let policy = |selector: Value| {
        let rest = json!({"apiVersion": "networking.k8s.io/v1", "spec": {"podSelector": selector}});
        named("NetworkPolicy", "down", rest)
    };
    let service =
        |selector: Value| named("Service", "down", json!({"spec": {"selector": selector, "ports": [{"port": 80}]}}));
    vec![
        ("an analysis", pod(analysis.clone(), &plain)),
        ("an analysis's image", pod(json!({"app": "web"}), &from_registry)),
        ("a gateway by its component", pod(json!({"component": "flame-analysis-nginx"}), &plain)),
        ("a gateway by its name", pod(json!({"app": "nginx-analysis-down"}), &plain)),
        ("an analysis's Deployment", named("Deployment", "down", deployment)),
        ("a policy for everything", policy(json!({}))),
        ("a policy for an analysis", policy(json!({"matchLabels": {"app": "analysis-down"}}))),
        (
            "a policy of Flamewarden's name",
            named(
                "NetworkPolicy",
                "flamewarden-analysis-down",
                json!({
                    "apiVersion": "networking.k8s.io/v1", "spec": {"podSelector": {"matchLabels": {"app": "web"}}},
                }),
            ),
        ),
        ("a Service for an analysis", service(json!({"app": "analysis-down"}))),
        ("a Service for a gateway", service(json!({"component": "flame-analysis-nginx"}))),
        (
            "a gateway's configuration",
            named("ConfigMap", "nginx-analysis-down-config", json!({"data": {"nginx.conf": ""}})),
        ),
        ("the pull secret", named("Secret", "flame-harbor-credentials", json!({"stringData": {"a": "b"}}))),
    ]
}

const NAMESPACE: &str = GUARDED[0];
