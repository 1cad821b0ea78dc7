//! Objects that the cluster refuses, or stores in another way than they are written: they are written again ever later,
//! the Analysis says why it waits, and it goes on when the cluster lets it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::flamewarden::{CRASH, guarded};
use crate::instance::{Instance, TURN};
use crate::node::{IMAGE, Node};
use crate::shared::{PATIENCE, run, wait_until};

const ALTERED: &str = "88888888-0000-4000-8000-000000000021";
const REFUSED: &str = "88888888-0000-4000-8000-000000000022";

#[test]
fn what_the_cluster_alters_or_refuses_is_written_ever_later_and_said() {
    run(async {
        let _turn = TURN.lock().await;
        let node = Node::of(guarded().await, CRASH).await;
        let altering = json!({
            "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "matchConstraints": deployments(), "matchConditions": only(ALTERED),
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {
                "expression": "[JSONPatch{op: 'add', path: '/spec/revisionHistoryLimit', value: 7}]",
            }}],
        });
        let refusing = json!({
            "failurePolicy": "Fail", "matchConstraints": deployments(), "matchConditions": only(REFUSED),
            "validations": [{"expression": "false", "message": "no more Deployments today"}],
        });
        let altering = Policy::make(&node, "Mutating", &altering).await;
        let refusing = Policy::make(&node, "Validating", &refusing).await;
        until_in_force(&node).await;

        let instance = Instance::start(&node, None).await;
        for (id, reason, message) in [
            (ALTERED, "NotStoredAsWritten", "is stored with another spec.revisionHistoryLimit than is written"),
            (REFUSED, "WriteRefused", "no more Deployments today"),
        ] {
            node.ask_for(id, IMAGE).await;
            let status = node.status(id, |status| status["conditions"][0]["reason"] == reason).await;
            let ready = &status["conditions"][0];
            assert_eq!(ready["status"], "False", "{ready}");
            let said = ready["message"].as_str().unwrap();
            let (gateway, analysis) = (format!("nginx-analysis-{id}-1"), format!("analysis-{id}-1"));
            assert!(said.contains(&format!("Deployment {gateway} ")) && said.contains(message), "{said}");

            let writes = || instance.way.writes().iter().filter(|write| write.what.contains(&gateway)).count();
            let before = writes();
            tokio::time::sleep(Duration::from_secs(4)).await;
            let meanwhile = writes() - before;
            assert!((1..=5).contains(&meanwhile), "{meanwhile} more writes of {gateway}");
            let answer = node.admin().get(&node.at("deployments", &analysis)).await;
            assert_eq!(answer.unwrap_err().code, 404, "{analysis} waits for its gateway");
        }

        altering.remove(&node).await;
        refusing.remove(&node).await;
        for id in [ALTERED, REFUSED] {
            node.status(id, |status| status["conditions"][0]["status"] == "True").await;
            let gateway = node.admin().get(&node.at("deployments", &format!("nginx-analysis-{id}-1"))).await.unwrap();
            assert_eq!(gateway["spec"]["revisionHistoryLimit"], 0);
            node.creator.delete(&node.at("analyses", id), None).await.unwrap();
            node.guarded.cluster.gone(&node.at("analyses", id)).await;
        }
        drop(instance);
    });
}

/// A policy of the cluster's own.
struct Policy(&'static str);

impl Policy {
    async fn make(node: &Node, form: &'static str, spec: &Value) -> Policy {
        let kind = format!("{form}AdmissionPolicy");
        let object = |kind: &str, spec: &Value| {
            json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
                "metadata": {"name": "unwritten"}, "spec": spec,
            })
        };
        let mut binding = json!({"policyName": "unwritten"});
        if form == "Validating" {
            binding["validationActions"] = json!(["Deny"]);
        }
        let [policies, bindings] = paths(form);
        node.admin().create(&policies, &object(&kind, spec)).await.unwrap();
        node.admin().create(&bindings, &object(&format!("{kind}Binding"), &binding)).await.unwrap();
        Policy(form)
    }

    async fn remove(self, node: &Node) {
        let [policies, bindings] = paths(self.0);
        node.admin().delete(&format!("{bindings}/unwritten"), None).await.unwrap();
        node.admin().delete(&format!("{policies}/unwritten"), None).await.unwrap();
    }
}

/// Waits until both policies are in force: the API server learns of them a moment after they are stored.
async fn until_in_force(node: &Node) {
    wait_until("both policies are in force", PATIENCE, async || {
        let made = [ALTERED, REFUSED].map(|id| {
            let labels = json!({"probe": "unwritten"});
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("nginx-analysis-{id}-1")},
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": [{"name": "a", "image": "elsewhere.example/a"}]},
                    },
                },
            })
        });
        let path = "/apis/apps/v1/namespaces/default/deployments?dryRun=All";
        let altered = node.admin().create(path, &made[0]).await.ok()?;
        let refused = node.admin().create(path, &made[1]).await;
        (altered["spec"]["revisionHistoryLimit"] == 7 && refused.is_err()).then_some(())
    })
    .await;
}

fn paths(form: &str) -> [String; 2] {
    let form = form.to_lowercase();
    let group = "/apis/admissionregistration.k8s.io/v1";
    [format!("{group}/{form}admissionpolicies"), format!("{group}/{form}admissionpolicybindings")]
}

fn deployments() -> Value {
    let rule = json!({
        "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"],
    });
    json!({"resourceRules": [rule]})
}

fn only(id: &str) -> Value {
    json!([{"name": "one", "expression": format!("object.metadata.name == 'nginx-analysis-{id}-1'")}])
}
