//! What is told of a decision, whole: to the caller, the API server's audit log, and whoever reads metrics.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use json_patch::Patch;
use serde_json::{Value, json};

use crate::client::{Caller, Connection};
use crate::server::{Place, review};

/// What /validate answers.
async fn validated(connection: &mut Connection, review: &Value) -> Value {
    connection.post("/validate?timeout=10s", review.to_string()).await.unwrap().json()
}

/// The review with its pod as /mutate leaves it.
async fn mended(connection: &mut Connection, text: String) -> Value {
    let answer = connection.post("/mutate?timeout=10s", text.clone()).await.unwrap().json();
    let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
    let mut review: Value = serde_json::from_str(&text).unwrap();
    let patch: Patch = serde_json::from_slice(&patch).unwrap();
    json_patch::patch(&mut review["request"]["object"], &patch).unwrap();
    review
}

fn answer(response: Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

#[tokio::test]
async fn every_finding_is_told_at_once_and_the_audit_log_gets_the_rules() {
    let place = Place::mounted();
    let running = place.start().await;
    let mut connection = Caller::trusting(&place.generation("first")).connect(running.webhook.unwrap()).await.unwrap();
    let mut review = mended(&mut connection, review()).await;
    let allowed = answer(json!({"uid": "u-1", "allowed": true}));
    assert_eq!(validated(&mut connection, &review).await, allowed, "without a fault nothing is told");
    let spec = &mut review["request"]["object"]["spec"];
    spec["hostNetwork"] = json!(true);
    spec["containers"][0]["image"] = json!("docker.io/library/alpine:3");
    spec["serviceAccountName"] = json!("admin");
    let message = "flamewarden refuses this for 3 reason(s):\n\
        host-namespaces: spec.hostNetwork (true): leave it out\n\
        image-registry: spec.containers[0].image (\"docker.io/library/alpine:3\"): allowed are: harbor.example/node\n\
        service-account: spec.serviceAccountName (\"admin\"): allowed are: default";
    let refused = answer(json!({
        "uid": "u-1", "allowed": false, "status": {"code": 403, "reason": "Forbidden", "message": message},
        "auditAnnotations": {"refused-by": "host-namespaces,image-registry,service-account"},
    }));
    assert_eq!(validated(&mut connection, &review).await, refused);
}

#[tokio::test]
async fn flames_own_gateway_passes_with_a_warning_for_each_thing_that_it_lacks() {
    let place = Place::mounted();
    let running = place.start().await;
    let mut connection = Caller::trusting(&place.generation("first")).connect(running.webhook.unwrap()).await.unwrap();
    let review = mended(&mut connection, gateway()).await;
    let passed = answer(json!({"uid": "u-1", "allowed": true, "warnings": [
        "run-as-non-root: spec.securityContext.runAsNonRoot (absent): set it to true",
        "run-as-non-root: spec.securityContext.runAsUser (absent): name a numeric user that is not root",
        "run-as-non-root: spec.securityContext.runAsGroup (absent): \
         name a numeric group that is not root's; where none is named it is the image's",
        "capabilities: spec.containers[0].securityContext.capabilities (absent): drop ALL capabilities and add none",
        "privilege-escalation: spec.containers[0].securityContext.allowPrivilegeEscalation (absent): set it to false",
        "seccomp: spec.securityContext.seccompProfile (absent): set the type to RuntimeDefault",
        "resources: spec.containers[0].resources.limits.cpu (absent): name an amount",
        "resources: spec.containers[0].resources.limits.memory (absent): name an amount",
        "resources: spec.containers[0].resources.limits.ephemeral-storage (absent): name an amount",
        "service-links: spec.enableServiceLinks (true): set it to false",
    ]}));
    assert_eq!(validated(&mut connection, &review).await, passed);
    let metrics = Connection::plain(running.probes).await.fetch("/metrics").await.text;
    let counted = r#"flamewarden_admission_requests_total{side="validate",operation="CREATE",resource="pods",decision="warned"} 1"#;
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
}

/// A review of the pod of FLAME's own gateway, as its ReplicaSet makes it.
fn gateway() -> String {
    let mut review: Value = serde_json::from_str(&review()).unwrap();
    let request = &mut review["request"];
    request["userInfo"]["username"] = json!("system:serviceaccount:kube-system:replicaset-controller");
    let labels = json!({"component": "flame-analysis-nginx", "app": "nginx-analysis-a"});
    request["object"]["metadata"] = json!({"name": "p", "labels": labels});
    let container = json!({
        "name": "nginx-analysis-a", "image": "nginx:latest", "imagePullPolicy": "Always",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "volumeMounts": [{"name": "nginx-vol", "mountPath": "/etc/nginx/nginx.conf", "subPath": "nginx.conf"}],
    });
    let volume = json!({"name": "nginx-vol", "configMap": {"name": "nginx-analysis-a-config"}});
    request["object"]["spec"] =
        json!({"containers": [container], "volumes": [volume], "enableServiceLinks": true, "securityContext": {}});
    review.to_string()
}

#[tokio::test]
async fn an_exception_counts_until_it_expires() {
    let place = Place::mounted();
    let file = place.policies().join("flame-analysis.yaml");
    let shipped = fs::read_to_string(&file).unwrap();
    let faults = "capabilities,image-pull-policy,network-gate,privilege-escalation,pull-secret,resources,\
        run-as-non-root,seccomp,service-account-token,service-links";
    for (expires, excepted) in [("2020-01-01T00:00:00Z", None), ("2999-01-01T00:00:00Z", Some("seccomp,"))] {
        let exception = "{rule: seccomp, app: analysis-.*, owner: o, reason: r, expires: ";
        fs::write(&file, format!("{shipped}  exceptions:\n    - {exception}{expires}}}\n")).unwrap();
        let running = place.start().await;
        let mut connection =
            Caller::trusting(&place.generation("first")).connect(running.webhook.unwrap()).await.unwrap();
        let answer = validated(&mut connection, &serde_json::from_str(&review()).unwrap()).await;
        let told = answer["response"]["auditAnnotations"]["refused-by"].as_str().unwrap();
        let mut told: Vec<&str> = told.split(',').collect();
        told.sort_unstable();
        assert_eq!(told.join(","), faults.replace(excepted.unwrap_or("none"), ""), "until {expires}");
    }
}

#[tokio::test]
async fn durations_have_buckets_up_to_the_longest_call() {
    let place = Place::mounted();
    let running = place.start().await;
    let mut connection = Caller::trusting(&place.generation("first")).connect(running.webhook.unwrap()).await.unwrap();
    connection.post("/validate", review()).await.unwrap();
    let metrics = Connection::plain(running.probes).await.fetch("/metrics").await.text;
    let buckets = metrics.lines().filter_map(|line| {
        let (labels, count) = line.strip_prefix("flamewarden_admission_duration_seconds_bucket{")?.split_once("} ")?;
        assert!(labels.contains(r#"side="validate""#), "{line}");
        let bound = labels.split_once("le=\"")?.1.split_once('"')?.0;
        Some((bound, count.parse::<u64>().unwrap()))
    });
    let buckets: Vec<_> = buckets.collect();
    let bounds: Vec<&str> = buckets.iter().map(|(bound, _)| *bound).collect();
    let wanted = "0.001 0.002 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 +Inf";
    assert_eq!(bounds, wanted.split(' ').collect::<Vec<_>>());
    assert_eq!(buckets.last(), Some(&("+Inf", 1)));
}
