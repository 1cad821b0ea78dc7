//! Removed as README says, all three steps: the printed objects go, and nothing that could hold anybody up stays.

use serde_json::json;

use crate::by_service::{ByService, SYSTEM};
use crate::flamewarden::{MUTATING, VALIDATING, good_analysis};
use crate::shared::{PATIENCE, wait_until};

/// Removes an installation whose controller attends this namespace.
pub(crate) async fn removed_as_readme_says(cluster: &ByService, namespace: &str) {
    let pods = format!("/api/v1/namespaces/{namespace}/pods");
    cluster.admin.create(&pods, &analysis("stays")).await.unwrap();
    wait_until("the gate is lifted", PATIENCE, async || {
        let pod = cluster.admin.get(&format!("{pods}/stays")).await.ok()?;
        pod["spec"]["schedulingGates"].is_null().then_some(())
    })
    .await;
    let labelled = || async { cluster.admin.create(ELSEWHERE, &analysis("elsewhere")).await };
    let refusal = labelled().await.unwrap_err();
    assert!(refusal.message.contains("'flamewarden-label' with binding 'flamewarden-label'"), "{}", refusal.message);

    run_step(cluster, "kubectl -n flamewarden-system scale deployment flamewarden-controller --replicas=0");
    for mut controller in cluster.controllers.lock().await.drain(..) {
        controller.signal("TERM");
        controller.wait();
    }
    cluster.admin.create(&pods, &analysis("waits")).await.unwrap();
    assert!(README.contains("2. `flamewarden release --kubeconfig FILE`"));
    let told = cluster.release();
    assert_eq!(told.lines().collect::<Vec<_>>(), freed(namespace));
    // Neither webhook nor policy is asked for long any more: what they refused or mended goes through as it is.
    wait_until("nothing of Flamewarden's is asked", PATIENCE, async || {
        let plain = cluster.admin.create(&pods, &analysis("plain")).await.ok()?;
        assert_eq!(plain["spec"]["schedulingGates"], json!(null));
        Some(())
    })
    .await;
    wait_until("the label is free again", PATIENCE, async || labelled().await.ok()).await;

    run_step(cluster, "kubectl delete --ignore-not-found -f flamewarden.yaml");
    assert_eq!(cluster.kubectl(&["get", "--ignore-not-found", "-o", "name", "-f"]), "");
    let ours = "app.kubernetes.io/part-of=flamewarden";
    assert_eq!(cluster.kubectl_alone(&["get", KINDS, "--all-namespaces", "-o", "name", "-l", ours]), "");
    let path = format!("/api/v1/namespaces/{namespace}");
    cluster.admin.delete(&path, None).await.unwrap();
    for gone in [path, format!("/api/v1/namespaces/{SYSTEM}")] {
        wait_until(&format!("{gone} is gone"), PATIENCE, async || {
            cluster.admin.get(&gone).await.is_err_and(|refusal| refusal.code == 404).then_some(())
        })
        .await;
    }
}

/// Types a command of README's.
fn run_step(cluster: &ByService, command: &str) {
    assert!(README.contains(&format!("`{command}`")), "README says `{command}`");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    match words.split_last() {
        Some((&"flamewarden.yaml", words)) => cluster.kubectl(words),
        _ => cluster.kubectl_alone(&words),
    };
}

/// What `release` says: everything that was printed and refuses or mends, then pods and policies.
fn freed(namespace: &str) -> Vec<String> {
    let purposes = |kind: &'static str, purposes: &'static [&'static str]| {
        let both = |purpose: &&str| ["", "-dedicated"].map(|tenancy| format!("flamewarden-{purpose}{tenancy}"));
        // Scans are in no namespace, and so of no tenancy.
        let names = purposes.iter().flat_map(both).filter(|name| name != "flamewarden-imagescans-dedicated");
        names.map(move |name| format!("deleted {kind}WebhookConfiguration {name}"))
    };
    let mut freed: Vec<String> = purposes("Mutating", MUTATING).chain(purposes("Validating", VALIDATING)).collect();
    for kind in ["ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"] {
        freed.extend(["flamewarden-gate", "flamewarden-label"].map(|name| format!("deleted {kind} {name}")));
    }
    let deleted = freed.len();
    freed.push(format!(
        "waits Pod {namespace}/waits: flamewarden.dev/network-policy (--open-gates lets it run unchecked)"
    ));
    freed.push(format!(
        "kept NetworkPolicy {namespace}/flamewarden-analysis-stays: its pods are there and it isolates them; run this \
         again when they are gone"
    ));
    freed.push(format!(
        "{deleted} objects deleted or freed; 1 policies were kept, 1 pods wait; run this again when their pods are gone"
    ));
    freed
}

fn analysis(id: &str) -> serde_json::Value {
    let mut pod = good_analysis(id);
    pod["metadata"]["name"] = json!(id);
    pod
}

const README: &str = include_str!("../../README.md");
const ELSEWHERE: &str = "/api/v1/namespaces/default/pods";
/// Every kind of which something is printed.
const KINDS: &str = "namespaces,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings,configmaps,secrets,\
    services,deployments,replicasets,pods,poddisruptionbudgets,networkpolicies,mutatingwebhookconfigurations,\
    validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings";
