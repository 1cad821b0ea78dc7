//! Flamewarden makes analyses itself: from an `Analysis` object to a pod that runs behind its policy, and back.

use serde_json::{Value, json};

use crate::caller::{Caller, PatchKind};
use crate::flamewarden::{MADE, guarded};
use crate::isolated::Isolated;
use crate::node::{IMAGE, Node};
use crate::recording::Recording;
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn an_analysis_is_made_in_order_runs_behind_its_policy_stops_starts_again_and_goes_whole() {
    run(async {
        let node = Node::of(guarded().await, MADE).await;
        let id = "11111111-0000-4000-8000-000000000001";
        let (made, isolated) = (Recordings::start(node.admin()).await, Isolated::start(&node).await);
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
        let analysis = node.creator.get(&node.at("analyses", id)).await.unwrap();
        made.expect_owned_by(id, &analysis["metadata"]["uid"]);

        // Nobody but its own policy opens its gateway.
        let open = |labels: Value| {
            json!({
                "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "open"},
                "spec": {"podSelector": {"matchLabels": labels}, "ingress": [{}]},
            })
        };
        for labels in [json!({"component": "flame-analysis-nginx"}), json!({"app": format!("nginx-{app}")})] {
            let refused =
                node.guarded.editor.create(&node.collection("networkpolicies"), &open(labels)).await.unwrap_err();
            assert!(
                refused.code == 403 && refused.message.contains("network-policy: spec.ingress[0]"),
                "{}",
                refused.message
            );
        }

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
        isolated.held(id, [&id.to_owned()]).await;
    });
}

#[test]
fn what_cannot_be_made_is_said_in_the_status_and_nothing_is_made() {
    run(async {
        let node = Node::of(guarded().await, MADE).await;
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
        let node = Node::of(guarded().await, MADE).await;
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

        // What the schema does not know is not kept: nobody names a Secret.
        let mut spec = json!({"projectId": id, "image": IMAGE, "run": 2, "state": "Running", "progress": 0});
        let mut object = json!({"apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis", "metadata": {"name": id}, "spec": spec});
        object["spec"]["pullSecret"] = json!("another-analysis-s");
        let stored = node.creator.create(&node.collection("analyses"), &object).await.unwrap();
        assert_eq!(stored["spec"], spec);
        let analysis = node.at("analyses", id);
        for (change, said) in [
            (json!({"projectId": id.replace('1', "2")}), "an analysis stays with its project"),
            (json!({"run": 1}), "runs are counted upwards"),
        ] {
            let change = json!({"spec": change});
            let refusal = node.creator.patch(&analysis, PatchKind::Merge, &change).await.unwrap_err();
            assert!(refusal.code == 422 && refusal.message.contains(said), "{change}: {refusal:?}");
            assert_eq!(node.admin().get(&analysis).await.unwrap()["spec"], spec, "{change}");
        }
        node.wants(id, json!({"run": 3})).await;
        spec["run"] = json!(3);
        assert_eq!(node.admin().get(&analysis).await.unwrap()["spec"], spec);
        node.creator.delete(&analysis, None).await.unwrap();
        node.guarded.cluster.gone(&analysis).await;
    });
}

/// As many as `tests/soak` makes 200 of.
const AT_ONCE: usize = 40;
/// How their ids begin.
const BEGIN: &str = "33333333-0000-4000-8000-";

#[test]
fn many_analyses_at_once_are_made_and_taken_away_whole() {
    run(async {
        let node = Node::of(guarded().await, MADE).await;
        let many = if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { 200 } else { AT_ONCE };
        let ids: Vec<String> = (0..many).map(|number| format!("{BEGIN}{number:012}")).collect();
        let isolated = Isolated::start(&node).await;
        let begun = std::time::Instant::now();
        futures::future::join_all(ids.iter().map(|id| node.ask_for(id, IMAGE))).await;
        let asked = begun.elapsed();
        for id in &ids {
            node.status(id, |status| status["phase"] == "started").await;
        }
        println!("{many} analyses: asked for in {asked:?}, all bundles complete after {:?}", begun.elapsed());
        for id in &ids {
            node.status(id, |status| status["conditions"][0]["status"] == "True").await;
        }
        println!("all of them run after {:?}", begun.elapsed());
        for id in &ids {
            assert_eq!(node.belongings(id).await.len(), 2 + 6 + 2, "Secrets, what the orchestrator makes, pods");
        }
        let ended = std::time::Instant::now();
        futures::future::join_all(ids.iter().map(|id| async {
            node.creator.delete(&node.at("analyses", id), None).await.unwrap();
        }))
        .await;
        for id in &ids {
            node.guarded.cluster.gone(&node.at("analyses", id)).await;
            assert_eq!(node.belongings(id).await, [""; 0]);
        }
        println!("gone after {:?}", ended.elapsed());
        isolated.held(BEGIN, &ids).await;
        node.nothing_left(BEGIN).await;
    });
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

    /// Whatever bears the analysis's label is owned by the Analysis, in every version that was stored.
    fn expect_owned_by(&self, id: &str, uid: &Value) {
        // Nobody waits for it when the Analysis goes, and other controllers may have it as theirs.
        let owner = json!([{"apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis", "name": id, "uid": uid}]);
        for (resource, _) in self.made.iter().filter(|(resource, _)| *resource != "pods") {
            for event in self.events(resource, |object| object["metadata"]["labels"]["flamewarden.dev/analysis"] == *id)
            {
                let metadata = &event.object["metadata"];
                assert_eq!(metadata["ownerReferences"], owner, "{resource} {}", metadata["name"]);
            }
        }
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
