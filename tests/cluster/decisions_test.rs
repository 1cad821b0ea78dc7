//! Who is refused or enters in an emergency can be seen at the object that it is about.

use serde_json::{Value, json};

use crate::flamewarden::{BEFORE, good_analysis, guarded};
use crate::shared::{Cluster, PATIENCE, run, wait_until};

#[test]
fn a_deployment_whose_pods_are_refused_has_an_event_at_its_replica_set() {
    run(async {
        let guarded = guarded().await;
        let admin = &guarded.cluster.admin;
        // The template says nothing of cpu; the API server fills in, for each pod, more than the profile allows.
        let range = json!({
            "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "large"},
            "spec": {"limits": [{"type": "Container", "default": {"cpu": "100"}}]},
        });
        admin.create(&format!("{CORE}/limitranges"), &range).await.unwrap();
        let mut template = good_analysis("refused");
        let labels = template["metadata"]["labels"].clone();
        let object = template.as_object_mut().unwrap();
        object.retain(|key, _| key == "metadata" || key == "spec");
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "refused", "labels": labels},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        });
        let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}");
        guarded.editor.create(&format!("{path}/deployments"), &deployment).await.unwrap();
        let event = event(guarded.cluster, "Refused", "ReplicaSet").await;
        let set = event["regarding"]["name"].as_str().unwrap();
        let set = admin.get(&format!("{path}/replicasets/{set}")).await.unwrap();
        assert_eq!(event["regarding"]["uid"], set["metadata"]["uid"]);
        let told = json!([event["type"], event["action"], event["reportingController"], event["note"]]);
        let note = "Flamewarden refuses its pods by: resources. The refusal itself says which fields and what to do \
            about each; a dry run of the same object on the server shows it again.";
        assert_eq!(told, json!(["Warning", "Admission", "flamewarden.dev/controller", note]));
        guarded.editor.delete(&format!("{path}/deployments/refused"), None).await.unwrap();
    });
}

#[test]
fn each_use_of_break_glass_has_an_event_at_the_pod_and_a_forged_owner_none() {
    run(async {
        let guarded = guarded().await;
        let admin = &guarded.cluster.admin;
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "responder"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "responder"}],
        });
        let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings");
        admin.create(&bindings, &binding).await.unwrap();
        let pods = format!("{CORE}/pods");
        let pod = analysis("entered", "entered");
        guarded.editor.create(&pods, &pod).await.unwrap();
        let running = |pod: &Value| (pod["status"]["phase"] == "Running").then(|| pod["metadata"]["uid"].clone());
        let uid = guarded.cluster.read(&format!("{pods}/entered"), running).await;

        let mut forged = pod.clone();
        forged["metadata"]["name"] = json!("forged");
        forged["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "v1", "kind": "ReplicationController", "name": "nobody", "uid": "0", "controller": true,
        }]);
        forged["spec"]["hostNetwork"] = json!(true);
        assert_eq!(guarded.editor.create(&pods, &forged).await.unwrap_err().code, 403);

        let responder = guarded.cluster.plane.caller("responder", Some("flamewarden:break-glass")).await;
        let exec = format!("{pods}/entered/exec?command=id&stdout=true");
        wait_until("RBAC knows the responder", PATIENCE, async || {
            let pods = responder.get(&pods).await;
            pods.ok()
        })
        .await;
        // Admission is asked before the kubelet, which has no containers to enter, or this is no upgrade.
        let refusal = responder.create(&exec, &Value::Null).await.err();
        assert!(refusal.is_none_or(|refusal| !refusal.message.contains("flamewarden")));
        let event = event(guarded.cluster, "BreakGlass", "Pod").await;
        let told = json!([event["regarding"]["name"], event["regarding"]["uid"], event["note"]]);
        let note = "responder broke the glass: CONNECT pods/exec, refused to others by: connection. Who asked the webhook was \
            not checked (no --client-ca): only if the API server's audit log says the same did it happen.";
        assert_eq!(told, json!(["entered", uid, note]));
        // It was refused before, and decisions are told in their order.
        let events = admin.get(EVENTS).await.unwrap();
        let forged = events["items"].as_array().unwrap().iter().find(|event| event["regarding"]["name"] == "nobody");
        assert_eq!(forged, None);
    });
}

#[test]
fn a_gate_that_stays_closed_and_a_pod_from_before_have_events_at_the_pods() {
    run(async {
        let guarded = guarded().await;
        let pods = format!("{CORE}/pods");
        let first = guarded.editor.create(&pods, &analysis("holder", "twice")).await.unwrap();
        guarded
            .cluster
            .read(&format!("{pods}/holder"), |pod| (pod["status"]["phase"] == "Running").then_some(()))
            .await;
        let second = guarded.editor.create(&pods, &analysis("late", "twice")).await.unwrap();
        let before = guarded.cluster.admin.get(&format!("{pods}/{BEFORE}")).await.unwrap();
        let holder = first["metadata"]["uid"].as_str().unwrap();
        let held = format!(
            "Flamewarden keeps the gate closed: pods of another owner (uid {holder}) have this identity and were first"
        );
        let adopted = "It started before Flamewarden guarded it and is isolated from now on, but would be refused: ";
        for (reason, pod, note) in [("GateHeld", &second, held.as_str()), ("NotConforming", &before, adopted)] {
            let event = event(guarded.cluster, reason, "Pod").await;
            let about = json!([event["regarding"]["name"], event["regarding"]["uid"]]);
            assert_eq!(about, json!([pod["metadata"]["name"], pod["metadata"]["uid"]]), "{event}");
            let told = event["note"].as_str().unwrap();
            assert!(told.starts_with(note), "{told}");
            // It never had the gate, and could not get it any more.
            assert!(!told.contains("network-gate"), "{told}");
        }
    });
}

/// An analysis that says itself what the namespace's limit range would say otherwise.
fn analysis(name: &str, id: &str) -> Value {
    let mut pod = good_analysis(id);
    pod["metadata"]["name"] = json!(name);
    pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}});
    pod
}

/// Waits for the Event with a reason about a kind of object.
async fn event(cluster: &Cluster, reason: &str, kind: &str) -> Value {
    cluster
        .read(EVENTS, |list| {
            let events = list["items"].as_array()?;
            events.iter().find(|event| event["reason"] == reason && event["regarding"]["kind"] == kind).cloned()
        })
        .await
}

const NAMESPACE: &str = "flame-decisions";
const CORE: &str = "/api/v1/namespaces/flame-decisions";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/flame-decisions/events";
