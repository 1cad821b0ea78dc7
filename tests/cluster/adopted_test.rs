//! A namespace is guarded from the moment at which the policies say so; what ran there before is adopted, and every
//! leader knows it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::flamewarden::good_analysis;
use crate::lab::{GUARDED, Lab, collection, log};
use crate::probes::samples;
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn a_namespace_added_by_changed_policies_is_guarded_and_its_pods_are_adopted_for_every_leader() {
    run(async {
        let mut lab = Lab::start().await;
        lab.cluster.namespace_named(ADDED).await;
        let conforming = lab.create(ADDED, &conforming(&lab).await).await;
        let not_conforming = lab.create(ADDED, &named("not-conforming")).await;
        for id in ["conforming", "not-conforming"] {
            lab.running(ADDED, &format!("analysis-{id}"), 1).await;
        }
        lab.guard_also(ADDED).await;
        let told = [("Adopted", &conforming), ("NotConforming", &not_conforming)];
        let told = told.map(|(reason, pod)| (reason.to_owned(), pod["metadata"]["uid"].as_str().unwrap().to_owned()));
        wait_until("both pods were told of", PATIENCE, async || (adoptions(&lab).await == told).then_some(())).await;

        // From now on it is as any guarded namespace.
        let refusal = lab.cluster.admin.create(&collection(ADDED, "Pod"), &bad()).await.unwrap_err();
        assert!(refusal.message.contains("\nhost-namespaces: "), "{}", refusal.message);
        let stored = lab.create(ADDED, &named("new")).await;
        assert_eq!(stored["spec"]["schedulingGates"], json!([{"name": "flamewarden.dev/network-policy"}]));
        for id in ["new", "conforming", "not-conforming"] {
            lab.running(ADDED, &format!("analysis-{id}"), 1).await;
            let policy = format!("{}/flamewarden-analysis-{id}", collection(ADDED, "NetworkPolicy"));
            lab.cluster.read(&policy, |policy| policy["spec"]["egress"].is_array().then_some(())).await;
        }
        counted(&lab, 0).await;

        // A policy that is made again says the same, and so does a leader that was not there.
        let policy = format!("{}/flamewarden-analysis-conforming", collection(ADDED, "NetworkPolicy"));
        let before = lab.cluster.admin.get(&policy).await.unwrap();
        lab.cluster
            .admin
            .acting_as("emergency", &["system:masters", "flamewarden:break-glass"])
            .delete(&policy, None)
            .await
            .unwrap();
        lab.cluster
            .read(&policy, |policy| (policy["metadata"]["uid"] != before["metadata"]["uid"]).then_some(()))
            .await;
        lab.add_controller("second");
        lab.controllers[0].signal("TERM");
        wait_until("the second leads", PATIENCE, async || {
            log(&lab.controllers[1]).contains("leads=true").then_some(())
        })
        .await;
        counted(&lab, 1).await;
        // It has had its turn at all of them when it has lifted one more gate.
        lab.create(ADDED, &named("later")).await;
        lab.running(ADDED, "analysis-later", 1).await;
        assert_eq!(adoptions(&lab).await, told, "nothing is told twice");
        assert!(!log(&lab.controllers[1]).contains("pod from before adopted"));
    });
}

/// Reason and pod of each Event about a pod from before.
async fn adoptions(lab: &Lab) -> Vec<(String, String)> {
    let events = format!("/apis/events.k8s.io/v1/namespaces/{ADDED}/events");
    let list = lab.cluster.admin.get(&events).await.unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let ours = list["items"].as_array().unwrap().iter().filter(|event| event["action"] == "Isolate");
    let mut told: Vec<_> = ours.map(|event| (text(&event["reason"]), text(&event["regarding"]["uid"]))).collect();
    told.sort();
    told
}

async fn counted(lab: &Lab, replica: usize) {
    let wanted = [("adopted", 1), ("held", 0), ("not_conforming", 1), ("open", 1)];
    let wanted: BTreeMap<String, u64> = wanted.map(|(state, count)| (state.to_owned(), count)).into();
    let part = &lab.controllers[replica];
    wait_until("adopted and not conforming pods are counted", PATIENCE, async || {
        (samples(part, "flamewarden_guard_pods").await? == wanted).then_some(())
    })
    .await;
}

/// An analysis that has by itself what Flamewarden would give it, but for the gate.
async fn conforming(lab: &Lab) -> Value {
    let pods = collection(GUARDED[0], "Pod");
    let mut pod = lab.cluster.admin.create(&format!("{pods}?dryRun=All"), &named("conforming")).await.unwrap();
    let kept = json!({"name": "conforming", "labels": pod["metadata"]["labels"]});
    pod["metadata"] = kept;
    pod["status"] = Value::Null;
    pod["spec"].as_object_mut().unwrap().remove("schedulingGates");
    pod
}

fn named(id: &str) -> Value {
    let mut pod = good_analysis(id);
    pod["metadata"]["name"] = json!(id);
    pod["spec"]["terminationGracePeriodSeconds"] = json!(1);
    pod
}

fn bad() -> Value {
    let mut pod = named("bad");
    pod["spec"]["hostNetwork"] = json!(true);
    pod
}

/// One of the tests' namespaces that a laboratory does not guard from the beginning.
const ADDED: &str = "flame-decisions";
