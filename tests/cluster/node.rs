//! The node's services next to analyses that Flamewarden makes, and a creator who asks for them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::caller::{Caller, PatchKind};
use crate::flamewarden::Guarded;
use crate::shared::{Cluster, PATIENCE, within};

/// The namespace where analyses are made, with the node's services in it.
pub(crate) struct Node {
    pub(crate) guarded: &'static Guarded,
    pub(crate) creator: Caller,
    namespace: &'static str,
}

impl Node {
    pub(crate) async fn of(guarded: &'static Guarded, namespace: &'static str) -> Node {
        let creator =
            guarded.cluster.plane.caller("system:serviceaccount:flame:flame-po", Some("system:masters")).await;
        services(guarded.cluster, namespace).await;
        Node { guarded, creator, namespace }
    }

    pub(crate) fn admin(&self) -> &'static Caller {
        &self.guarded.cluster.admin
    }

    pub(crate) fn collection(&self, resource: &str) -> String {
        let group = match resource {
            "analyses" => "/apis/flamewarden.dev/v1alpha1",
            "deployments" | "replicasets" => "/apis/apps/v1",
            "networkpolicies" => "/apis/networking.k8s.io/v1",
            _ => "/api/v1",
        };
        format!("{group}/namespaces/{}/{resource}", self.namespace)
    }

    pub(crate) fn at(&self, resource: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(resource))
    }

    pub(crate) async fn ask_for(&self, id: &str, image: &str) {
        self.secrets(id).await;
        self.analysis(id, image).await;
    }

    pub(crate) async fn analysis(&self, id: &str, image: &str) {
        self.creator.create(&self.collection("analyses"), &analysis(id, image)).await.unwrap();
    }

    pub(crate) async fn secrets(&self, id: &str) {
        self.secrets_with(id, json!({"DATA_SOURCE_TOKEN": "none_needed", "KEYCLOAK_TOKEN": "x"})).await;
    }

    /// The pull secret, and a token Secret that holds this.
    pub(crate) async fn secrets_with(&self, id: &str, tokens: Value) {
        for secret in secrets(id, tokens) {
            self.creator.create(&self.collection("secrets"), &secret).await.unwrap();
        }
    }

    pub(crate) async fn wants(&self, id: &str, spec: Value) {
        self.creator.patch(&self.at("analyses", id), PatchKind::Merge, &json!({"spec": spec})).await.unwrap();
    }

    pub(crate) async fn status(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let wanted = |object: &Value| wanted(&object["status"]).then(|| object["status"].clone());
        self.guarded.cluster.read(&self.at("analyses", id), wanted).await
    }

    /// All that bears the analysis's label.
    pub(crate) async fn belongings(&self, id: &str) -> Vec<String> {
        let mut found = Vec::new();
        for resource in ["configmaps", "deployments", "networkpolicies", "pods", "secrets", "services"] {
            let path = format!("{}?labelSelector=flamewarden.dev/analysis={id}", self.collection(resource));
            let list = self.admin().get(&path).await.unwrap();
            let names = list["items"].as_array().unwrap().iter();
            found.extend(names.map(|object| format!("{resource} {}", object["metadata"]["name"].as_str().unwrap())));
        }
        found
    }

    /// Waits until nothing is left that has this in its name, whoever made it and however it is labelled: it may take
    /// garbage collection a moment, and the guard keeps a policy for twice the grace of the pods.
    pub(crate) async fn nothing_left(&self, of: &str) {
        let mut left = Vec::new();
        let gone = within(GRACE * 2 + PATIENCE, async || {
            left = self.named(of).await;
            left.is_empty().then_some(())
        });
        assert!(gone.await.is_some(), "left: {left:?}");
    }

    async fn named(&self, part: &str) -> Vec<String> {
        let mut found = Vec::new();
        for resource in KINDS {
            let list = self.admin().get(&self.collection(resource)).await.unwrap();
            let names = list["items"].as_array().unwrap().iter().map(|object| object["metadata"]["name"].as_str());
            found.extend(names.flatten().filter(|name| name.contains(part)).map(|name| format!("{resource} {name}")));
        }
        found
    }
}

/// All that is stored for an analysis, by whomever.
const KINDS: [&str; 8] =
    ["analyses", "configmaps", "deployments", "networkpolicies", "pods", "replicasets", "secrets", "services"];
/// Of an analysis pod, by the shipped profile.
const GRACE: Duration = Duration::from_secs(30);

/// The pull secret of an analysis, and a token Secret that holds this.
pub(crate) fn secrets(id: &str, tokens: Value) -> [Value; 2] {
    [("flame-harbor", json!({".dockerconfigjson": "{}"})), ("flame-tokens", tokens)].map(|(name, data)| {
        let kind = if name == "flame-harbor" { "kubernetes.io/dockerconfigjson" } else { "Opaque" };
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": kind, "stringData": data,
            "metadata": {"name": format!("{name}-{id}"), "labels": {"flamewarden.dev/analysis": id}},
        })
    })
}

/// An analysis that is to run.
pub(crate) fn analysis(id: &str, image: &str) -> Value {
    json!({
        "apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis", "metadata": {"name": id},
        "spec": {"projectId": "7b1c9d20-5a4e-4f6b-9c3d-2e1f0a9b8c7d", "image": image},
    })
}

/// Makes the node's services that gateways lead to.
pub(crate) async fn services(cluster: &Cluster, namespace: &str) {
    for (name, port) in
        [("kong-proxy", 80), ("storage", 8080), ("hub-adapter", 5000), ("message-broker", 80), ("orchestrator", 8000)]
    {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"component": format!("flame-{name}")}, "ports": [{"port": port, "targetPort": 3000}]},
        });
        // Another test may have made it.
        let _ = cluster.admin.create(&format!("/api/v1/namespaces/{namespace}/services"), &service).await;
    }
}

/// An image that an analysis may run.
pub(crate) const IMAGE: &str = "harbor.example/node/analysis";
