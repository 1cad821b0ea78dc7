//! Flamewarden makes analyses itself: from an `Analysis` object to a pod that runs behind its policy, and back.

use serde_json::{Value, json};

use crate::caller::{Caller, PatchKind};
use crate::flamewarden::{Guarded, MADE, guarded};
use crate::recording::Recording;
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn an_analysis_is_made_in_order_runs_behind_its_policy_stops_starts_again_and_goes_whole() {
    run(async {
        let node = Node::of(guarded().await).await;
        let id = "11111111-0000-4000-8000-000000000001";
        let made = Recordings::start(node.admin()).await;
        node.ask_for(id, IMAGE).await;
        let status = node.status(id, |status| status["conditions"][0]["status"] == "True").await;
        assert_eq!((&status["phase"], &status["run"]), (&json!("started"), &json!(1)));
        let app = format!("analysis-{id}-1");
        let order = made.first_versions(id).await;
        let named = |kind: &str, name: String| format!("{kind} {name}");
        assert_eq!(
            order,
            [
                named("services", app.clone()),
                named("services", format!("nginx-{app}")),
                named("networkpolicies", format!("flamewarden-nginx-{app}")),
                named("configmaps", format!("nginx-{app}-config")),
                named("deployments", format!("nginx-{app}")),
                named("deployments", app.clone()),
            ]
        );
        made.expect_isolated(&app).await;

        // Nobody has to know what its own pieces are called to have them put right.
        node.creator.delete(&node.at("configmaps", &format!("nginx-{app}-config")), None).await.unwrap();
        node.guarded.cluster.read(&node.at("configmaps", &format!("nginx-{app}-config")), |_| Some(())).await;

        node.wants(id, json!({"state": "Stopped"})).await;
        node.status(id, |status| status["phase"] == "stopped").await;
        assert_eq!(
            node.belongings(id).await,
            [format!("secrets flame-harbor-{id}"), format!("secrets flame-tokens-{id}")]
        );
        node.wants(id, json!({"state": "Running", "run": 2})).await;
        let status = node.status(id, |status| status["conditions"][0]["status"] == "True").await;
        assert_eq!((&status["phase"], &status["run"]), (&json!("started"), &json!(2)));

        node.creator.delete(&node.at("analyses", id), None).await.unwrap();
        node.guarded.cluster.gone(&node.at("analyses", id)).await;
        assert_eq!(node.belongings(id).await, [""; 0]);
        made.expect_policies_last(&format!("analysis-{id}-2")).await;
    });
}

#[test]
fn what_cannot_be_made_is_said_in_the_status_and_nothing_is_made() {
    run(async {
        let node = Node::of(guarded().await).await;
        for (id, image, secrets, reason, said) in [
            (
                "11111111-0000-4000-8000-000000000002",
                "elsewhere.example/a",
                true,
                "ImageRefused",
                "does not come from an allowed registry",
            ),
            ("11111111-0000-4000-8000-000000000003", IMAGE, false, "CredentialsMissing", "flame-harbor-11111111"),
        ] {
            node.analysis(id, image).await;
            if secrets {
                node.secrets(id).await;
            }
            let status = node.status(id, |status| status["conditions"][0]["reason"] == reason).await;
            let condition = &status["conditions"][0];
            assert!(condition["message"].as_str().unwrap().contains(said), "{condition}");
            assert_eq!(
                (&condition["type"], &condition["status"], &status["phase"]),
                (&json!("Ready"), &json!("False"), &json!("starting"))
            );
            let made: Vec<String> =
                node.belongings(id).await.into_iter().filter(|name| !name.starts_with("secrets")).collect();
            assert_eq!(made, [""; 0]);
            node.creator.delete(&node.at("analyses", id), None).await.unwrap();
            node.guarded.cluster.gone(&node.at("analyses", id)).await;
        }
    });
}

#[test]
fn the_schema_keeps_out_what_makes_no_sense() {
    run(async {
        let node = Node::of(guarded().await).await;
        let id = "11111111-0000-4000-8000-000000000004";
        for (name, spec) in [
            ("analysis", json!({"projectId": id, "image": IMAGE})),
            (&*id.replace('1', "A"), json!({"projectId": id, "image": IMAGE})),
            (id, json!({"projectId": "x { allow all; }", "image": IMAGE})),
            (id, json!({"projectId": id})),
            (id, json!({"projectId": id, "image": IMAGE, "state": "Paused"})),
            (id, json!({"projectId": id, "image": IMAGE, "run": 0})),
            (id, json!({"projectId": id, "image": IMAGE, "progress": 101})),
        ] {
            let object = json!({"apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis", "metadata": {"name": name}, "spec": spec});
            let refusal = node.creator.create(&node.collection("analyses"), &object).await.unwrap_err();
            assert_eq!(refusal.code, 422, "{name} {spec}: {}", refusal.message);
        }
    });
}

/// The namespace where analyses are made, with the node's services in it.
struct Node {
    guarded: &'static Guarded,
    creator: Caller,
}

impl Node {
    async fn of(guarded: &'static Guarded) -> Node {
        let creator =
            guarded.cluster.plane.caller("system:serviceaccount:flame:flame-po", Some("system:masters")).await;
        services(guarded).await;
        Node { guarded, creator }
    }

    fn admin(&self) -> &'static Caller {
        &self.guarded.cluster.admin
    }

    fn collection(&self, resource: &str) -> String {
        let group = match resource {
            "analyses" => "/apis/flamewarden.dev/v1alpha1",
            "deployments" => "/apis/apps/v1",
            "networkpolicies" => "/apis/networking.k8s.io/v1",
            _ => "/api/v1",
        };
        format!("{group}/namespaces/{MADE}/{resource}")
    }

    fn at(&self, resource: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(resource))
    }

    async fn ask_for(&self, id: &str, image: &str) {
        self.secrets(id).await;
        self.analysis(id, image).await;
    }

    async fn analysis(&self, id: &str, image: &str) {
        let object = json!({
            "apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis", "metadata": {"name": id},
            "spec": {"projectId": "7b1c9d20-5a4e-4f6b-9c3d-2e1f0a9b8c7d", "image": image},
        });
        self.creator.create(&self.collection("analyses"), &object).await.unwrap();
    }

    async fn secrets(&self, id: &str) {
        for (name, data) in [
            ("flame-harbor", json!({".dockerconfigjson": "{}"})),
            ("flame-tokens", json!({"DATA_SOURCE_TOKEN": "none_needed", "KEYCLOAK_TOKEN": "x"})),
        ] {
            let kind = if name == "flame-harbor" { "kubernetes.io/dockerconfigjson" } else { "Opaque" };
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret", "type": kind, "stringData": data,
                "metadata": {"name": format!("{name}-{id}"), "labels": {"flamewarden.dev/analysis": id}},
            });
            self.creator.create(&self.collection("secrets"), &secret).await.unwrap();
        }
    }

    async fn wants(&self, id: &str, spec: Value) {
        self.creator.patch(&self.at("analyses", id), PatchKind::Merge, &json!({"spec": spec})).await.unwrap();
    }

    async fn status(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let wanted = |object: &Value| wanted(&object["status"]).then(|| object["status"].clone());
        self.guarded.cluster.read(&self.at("analyses", id), wanted).await
    }

    /// All that bears the analysis's label.
    async fn belongings(&self, id: &str) -> Vec<String> {
        let mut found = Vec::new();
        for resource in ["configmaps", "deployments", "networkpolicies", "pods", "secrets", "services"] {
            let path = format!("{}?labelSelector=flamewarden.dev/analysis={id}", self.collection(resource));
            let list = self.admin().get(&path).await.unwrap();
            let names = list["items"].as_array().unwrap().iter();
            found.extend(names.map(|object| format!("{resource} {}", object["metadata"]["name"].as_str().unwrap())));
        }
        found
    }
}

/// Makes the node's services that gateways lead to.
pub(crate) async fn services(guarded: &Guarded) {
    for (name, port) in
        [("kong-proxy", 80), ("storage", 8080), ("hub-adapter", 5000), ("message-broker", 80), ("orchestrator", 8000)]
    {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"component": format!("flame-{name}")}, "ports": [{"port": port, "targetPort": 3000}]},
        });
        // Another test may have made it.
        let _ = guarded.cluster.admin.create(&format!("/api/v1/namespaces/{MADE}/services"), &service).await;
    }
}

/// What happens to the objects of a bundle.
struct Recordings {
    made: Vec<(&'static str, Recording)>,
}

impl Recordings {
    async fn start(admin: &Caller) -> Recordings {
        let mut made = Vec::new();
        for (resource, group) in [
            ("services", "/api/v1"),
            ("configmaps", "/api/v1"),
            ("pods", "/api/v1"),
            ("networkpolicies", "/apis/networking.k8s.io/v1"),
            ("deployments", "/apis/apps/v1"),
        ] {
            let path = format!("{group}/namespaces/{MADE}/{resource}");
            made.push((resource, Recording::start(admin, &path).await));
        }
        Recordings { made }
    }

    fn events(&self, resource: &str, meant: impl Fn(&Value) -> bool) -> Vec<crate::recording::Event> {
        self.made.iter().find(|(of, _)| *of == resource).unwrap().1.of(meant)
    }

    /// The orchestrator's objects of an analysis in the order in which they were made.
    async fn first_versions(&self, id: &str) -> Vec<String> {
        let mut seen: Vec<(u64, String)> = Vec::new();
        for (resource, _) in self.made.iter().filter(|(resource, _)| *resource != "pods") {
            for event in self.events(resource, |object| object["metadata"]["labels"]["flamewarden.dev/analysis"] == *id)
            {
                let name = format!("{resource} {}", event.object["metadata"]["name"].as_str().unwrap());
                if !seen.iter().any(|(_, known)| *known == name) {
                    seen.push((event.version, name));
                }
            }
        }
        seen.sort();
        seen.into_iter().map(|(_, name)| name).collect()
    }

    /// The pod was bound after the guard had stored its policy.
    async fn expect_isolated(&self, app: &str) {
        let policy = format!("flamewarden-{app}");
        let bound = wait_until("the pod is seen bound", PATIENCE, async || {
            let pods = self.events("pods", |pod| pod["metadata"]["labels"]["app"] == *app);
            pods.into_iter().find(|event| event.object["spec"]["nodeName"].is_string())
        })
        .await;
        let policies = self.events("networkpolicies", |object| object["metadata"]["name"] == *policy);
        assert!(policies.first().is_some_and(|made| made.version < bound.version), "{app} was bound before its policy");
    }

    /// The gateway's policy went after both pods had gone.
    async fn expect_policies_last(&self, app: &str) {
        let gateway = format!("nginx-{app}");
        let policy = format!("flamewarden-{gateway}");
        let gone = wait_until("the gateway's policy is seen to go", PATIENCE, async || {
            let policies = self.events("networkpolicies", |object| object["metadata"]["name"] == *policy);
            policies.into_iter().find(|event| event.deleted)
        })
        .await;
        for app in [app, &gateway] {
            let pods = self.events("pods", |pod| pod["metadata"]["labels"]["app"] == *app);
            let pod = pods.into_iter().find(|event| event.deleted).expect("its pod is gone");
            assert!(pod.version < gone.version, "{app} outlived the policy");
        }
    }
}

const IMAGE: &str = "harbor.example/node/analysis";
