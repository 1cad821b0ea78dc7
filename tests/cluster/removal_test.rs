//! Flamewarden is removed, in the order of the README and in another: nothing hangs, and one command frees everything.

use std::process::Command;

use serde_json::{Value, json};

use crate::flamewarden::{MUTATING, VALIDATING, good_analysis, program};
use crate::lab::{GUARDED, Lab, collection};
use crate::shared::run;

/// Stop the controller, release, remove the rest.
#[test]
fn removed_in_order_flamewarden_leaves_running_pods_isolated_and_blocks_nothing() {
    run(async {
        let mut lab = Lab::start().await;
        start_analysis(&lab, "runs").await;
        start_analysis(&lab, "ends").await;
        let creator = lab.cluster.plane.caller("system:serviceaccount:flame:flame-po", Some("system:masters")).await;
        creator.create(ANALYSES, &held_analysis()).await.unwrap();
        let (done, _, problem) = release(&lab, &[]);
        assert!(!done && problem.contains("the controller `first` is at work and would undo this"), "{problem}");
        let (done, told, problem) = release(&lab, &["--namespace", "elsewhere"]);
        assert_eq!((done, told), (false, Vec::new()));
        assert!(problem.contains("add `--namespace flamewarden-system`"), "{problem}");
        stop_controllers(&mut lab);
        lab.cluster.admin.delete(&pod("ends"), None).await.unwrap();
        lab.cluster.gone(&pod("ends")).await;
        lab.create(NAMESPACE, &analysis("waits")).await;

        let (done, told, problem) = release(&lab, &[]);
        assert!(done, "{problem}");
        let mut wanted = configurations();
        wanted.extend(
            [
                "waits Pod flame/waits: flamewarden.dev/network-policy (--open-gates lets it run unchecked)",
                "deleted NetworkPolicy flame/flamewarden-analysis-ends",
                "kept NetworkPolicy flame/flamewarden-analysis-runs: its pods are there and it isolates them; \
                 run this again when they are gone",
                "freed Analysis flame/0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f",
                "14 objects deleted or freed; 1 policies were kept, 1 pods wait; run this again when their pods are gone",
            ]
            .map(str::to_owned),
        );
        assert_eq!(told, wanted);
        let kept = lab.cluster.admin.get(&policy("runs")).await.unwrap();
        assert_eq!(kept["metadata"]["finalizers"], Value::Null);
        let analyses = lab.cluster.admin.get(ANALYSES).await.unwrap();
        assert_eq!(analyses["items"][0]["metadata"]["finalizers"], Value::Null, "what is freed stays");
        assert_eq!(lab.cluster.admin.get(&policy("ends")).await.unwrap_err().code, 404);

        let (done, told, problem) = release(&lab, &["--open-gates"]);
        assert!(done, "{problem}");
        let kept = "kept NetworkPolicy flame/flamewarden-analysis-runs: its pods are there and it isolates them; run this \
                    again when they are gone";
        let left =
            "0 objects deleted or freed; 1 policies were kept, 0 pods wait; run this again when their pods are gone";
        assert_eq!(told, ["opened Pod flame/waits", kept, left]);
        lab.running(NAMESPACE, "analysis-waits", 1).await;
        for id in ["runs", "waits"] {
            lab.cluster.admin.delete(&pod(id), None).await.unwrap();
            lab.cluster.gone(&pod(id)).await;
        }
        let (done, told, problem) = release(&lab, &[]);
        assert!(done, "{problem}");
        let left = "1 objects deleted or freed; nothing of Flamewarden's is left that could hold something up";
        assert_eq!(told, ["deleted NetworkPolicy flame/flamewarden-analysis-runs", left]);
        lab.webhook = None;
        for namespace in [NAMESPACE, "flamewarden-system"] {
            end_namespace(&lab, namespace).await;
        }
    });
}

/// The programs are gone first, then a namespace with pods and policies is deleted, and hangs.
#[test]
fn removed_in_another_order_one_command_frees_everything() {
    run(async {
        let mut lab = Lab::start().await;
        start_analysis(&lab, "runs").await;
        start_analysis(&lab, "ends").await;
        stop_controllers(&mut lab);
        lab.cluster.admin.delete(&pod("ends"), None).await.unwrap();
        lab.cluster.gone(&pod("ends")).await;
        lab.webhook = None;
        lab.cluster.admin.delete(&policy("ends"), None).await.expect_err("nobody answers for the policy");
        let path = format!("/api/v1/namespaces/{NAMESPACE}");
        lab.cluster.admin.delete(&path, None).await.unwrap();
        let hangs = |namespace: &Value| {
            let conditions = namespace["status"]["conditions"].as_array()?;
            let failed = |one: &&Value| one["type"] == "NamespaceDeletionContentFailure" && one["status"] == "True";
            conditions.iter().find(failed).map(|one| one["message"].as_str().unwrap().to_owned())
        };
        let why = lab.cluster.read(&path, hangs).await;
        assert!(why.contains("failed calling webhook"), "{why}");

        let (done, told, problem) = release(&lab, &[]);
        assert!(done, "{problem}");
        assert_eq!(told[..CONFIGURATIONS], configurations());
        lab.cluster.gone(&path).await;
        let (done, told, problem) = release(&lab, &[]);
        assert!(done, "{problem}");
        assert_eq!(told, ["0 objects deleted or freed; nothing of Flamewarden's is left that could hold something up"]);
    });
}

/// Whether the command did it, the lines that it printed, and what it complained of.
fn release(lab: &Lab, more: &[&str]) -> (bool, Vec<String>, String) {
    let mut command = Command::new(program());
    command.arg("release").arg("--kubeconfig").arg(lab.cluster.plane.admin_file()).args(more);
    let done = command.output().unwrap();
    let told = String::from_utf8(done.stdout).unwrap().lines().map(str::to_owned).collect();
    (done.status.success(), told, String::from_utf8_lossy(&done.stderr).into_owned())
}

/// What release tells first: every configuration of an installation without dedicated namespaces.
fn configurations() -> Vec<String> {
    let named = |kind, purposes: &'static [&'static str]| purposes.iter().map(move |name| (kind, *name));
    let all = named("Mutating", MUTATING).chain(named("Validating", VALIDATING));
    all.map(|(kind, name)| format!("deleted {kind}WebhookConfiguration flamewarden-{name}")).collect()
}

/// As a rollout to zero does: they give their lease back.
fn stop_controllers(lab: &mut Lab) {
    for mut controller in lab.controllers.drain(..) {
        controller.signal("TERM");
        controller.wait();
    }
}

async fn start_analysis(lab: &Lab, id: &str) {
    lab.create(NAMESPACE, &analysis(id)).await;
    lab.running(NAMESPACE, &format!("analysis-{id}"), 1).await;
}

async fn end_namespace(lab: &Lab, namespace: &str) {
    let path = format!("/api/v1/namespaces/{namespace}");
    lab.cluster.admin.delete(&path, None).await.unwrap();
    lab.cluster.gone(&path).await;
}

fn analysis(id: &str) -> Value {
    let mut analysis = good_analysis(id);
    analysis["metadata"]["name"] = json!(id);
    analysis["spec"]["terminationGracePeriodSeconds"] = json!(1);
    analysis
}

/// An analysis of Flamewarden's own that its controller has taken charge of.
fn held_analysis() -> Value {
    let id = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
    json!({
        "apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis",
        "metadata": {"name": id, "finalizers": ["flamewarden.dev/analysis"]},
        "spec": {"projectId": id, "image": "harbor.example/node/a"},
    })
}

const ANALYSES: &str = "/apis/flamewarden.dev/v1alpha1/namespaces/flame/analyses";

fn pod(id: &str) -> String {
    format!("{}/{id}", collection(NAMESPACE, "Pod"))
}

fn policy(id: &str) -> String {
    format!("{}/flamewarden-analysis-{id}", collection(NAMESPACE, "NetworkPolicy"))
}

const NAMESPACE: &str = GUARDED[0];
const CONFIGURATIONS: usize = 12;
