//! Flamewarden as the webhook of a real API server: what is stored, and what is told.

use serde_json::{Value, json};

use crate::flamewarden::guarded;
use crate::shared::run;

#[test]
fn an_analysis_without_security_context_is_stored_contained() {
    run(async {
        let guarded = guarded().await;
        let pods = "/api/v1/namespaces/flame/pods";
        guarded.editor.create(pods, &analysis("plain")).await.unwrap();
        let stored = guarded.cluster.admin.get(&format!("{pods}/plain")).await.unwrap();
        let taken = json!({
            "drop": stored["spec"]["containers"][0]["securityContext"]["capabilities"],
            "secrets": stored["spec"]["imagePullSecrets"],
        });
        assert_eq!(taken, json!({"drop": {"drop": ["ALL"]}, "secrets": [{"name": "flame-harbor-credentials"}]}));
    });
}

#[test]
fn an_analysis_with_an_unknown_label_is_refused_with_the_rule() {
    run(async {
        let guarded = guarded().await;
        let mut pod = analysis("labelled");
        pod["metadata"]["labels"]["k8s-app"] = json!("kube-dns");
        let refusal = guarded.editor.create("/api/v1/namespaces/flame/pods", &pod).await.unwrap_err();
        let wanted = "admission webhook \"pods.validate.flamewarden.dev\" denied the request: \
            flamewarden refuses this for 1 reason(s):\n\
            labels: metadata.labels.k8s-app (\"kube-dns\"): the profile does not name this key; leave it out";
        assert_eq!((refusal.code, refusal.message.as_str()), (403, wanted));
        let stored = guarded.cluster.admin.get("/api/v1/namespaces/flame/pods/labelled").await;
        assert_eq!(stored.unwrap_err().code, 404);
    });
}

#[test]
fn the_same_pod_elsewhere_is_left_alone() {
    run(async {
        let guarded = guarded().await;
        let pods = format!("/api/v1/namespaces/{}/pods", guarded.cluster.namespace("unguarded").await);
        let admin = &guarded.cluster.admin;
        admin.create(&pods, &analysis("plain")).await.unwrap();
        let stored = admin.get(&format!("{pods}/plain")).await.unwrap();
        let spec = &stored["spec"];
        let taken = [&spec["containers"][0]["securityContext"], &spec["imagePullSecrets"], &spec["schedulingGates"]];
        assert_eq!(taken, [&Value::Null; 3]);
    });
}

fn analysis(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"component": "flame-analysis", "app": format!("analysis-{name}")}},
        "spec": {"containers": [{"name": format!("analysis-{name}"), "image": "harbor.example/node/image:1"}]},
    })
}
