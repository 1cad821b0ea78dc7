//! Who writes which part of a guarded pod's status.

use serde_json::{Value, json};

use crate::ask::{
    BREAK_GLASS, CONTROLLER, EDITOR, FALSE_NODE, NODE, OTHER_NODE, PO, SCHEDULER, analysis, expect, gateway,
    kube_system, other, update, with,
};

#[test]
fn each_part_of_a_status_has_its_writers() {
    let collector = kube_system("pod-garbage-collector");
    let nodes = kube_system("node-controller");
    let disruption = kube_system("disruption-controller");
    let claims = kube_system("resource-claim-controller");
    let replicas = kube_system("replicaset-controller");
    let all = [
        NODE,
        OTHER_NODE,
        FALSE_NODE,
        SCHEDULER,
        &collector,
        &nodes,
        &disruption,
        &claims,
        CONTROLLER,
        EDITOR,
        PO,
        BREAK_GLASS,
        &replicas,
    ];
    let writers: [(&str, Value, &[&str]); 16] = [
        ("podIP", json!("10.9.9.9"), &[NODE]),
        ("podIPs", json!([{"ip": "10.9.9.9"}]), &[NODE]),
        ("hostIP", json!("10.9.9.9"), &[NODE]),
        ("hostIPs", json!([{"ip": "10.9.9.9"}]), &[NODE]),
        ("containerStatuses", json!([{"name": "c"}]), &[NODE]),
        ("initContainerStatuses", json!([{"name": "c"}]), &[NODE]),
        ("ephemeralContainerStatuses", json!([{"name": "c"}]), &[NODE]),
        ("startTime", json!("t"), &[NODE]),
        ("resize", json!("Deferred"), &[NODE]),
        ("unheardOf", json!(1), &[NODE]),
        ("conditions", json!([{"type": "Ready"}]), &[NODE, SCHEDULER, &collector, &nodes, &disruption, CONTROLLER]),
        ("reason", json!("r"), &[NODE, SCHEDULER, &collector, &nodes, &disruption]),
        ("phase", json!("Pending"), &[NODE, SCHEDULER, &collector, &nodes, &disruption]),
        ("observedGeneration", json!(2), &[NODE, SCHEDULER, &collector, &nodes, &disruption, CONTROLLER]),
        ("nominatedNodeName", json!("n3"), &[NODE, SCHEDULER]),
        ("resourceClaimStatuses", json!([{"name": "c"}]), &[NODE, &claims]),
    ];
    for pod in [analysis(), gateway()] {
        for (field, value, may) in &writers {
            let new = with(&pod, &format!("/status/{field}"), value.clone());
            for user in all {
                let want: &[&str] = if may.contains(&user) { &[] } else { &["pod-status"] };
                assert_eq!(
                    update("pods:status", user, pod.clone(), new.clone()).refused_by(),
                    want,
                    "{field} by {user}"
                );
                assert_eq!(
                    update("pods:status", user, other(), with(&other(), &format!("/status/{field}"), value.clone()))
                        .refused_by(),
                    [""; 0],
                    "of another pod"
                );
            }
        }
    }
}

#[test]
fn a_pod_is_ended_by_those_who_know() {
    let collector = kube_system("pod-garbage-collector");
    let nodes = kube_system("node-controller");
    let disruption = kube_system("disruption-controller");
    for phase in ["Succeeded", "Failed"] {
        let ended = with(&analysis(), "/status/phase", json!(phase));
        let announced = with(&ended, "/status/reason", json!("Evicted"));
        for (user, want) in [
            (NODE, &[][..]),
            (&collector, &[]),
            (&nodes, &[]),
            (SCHEDULER, &["final-phase"]),
            (&disruption, &["final-phase"]),
            (CONTROLLER, &["pod-status", "final-phase"]),
            (OTHER_NODE, &["pod-status", "final-phase"]),
            (EDITOR, &["pod-status", "final-phase"]),
            (BREAK_GLASS, &["pod-status", "final-phase"]),
        ] {
            assert_eq!(update("pods:status", user, analysis(), ended.clone()).refused_by(), want, "{phase} by {user}");
        }
        let later = update("pods:status", SCHEDULER, ended.clone(), announced);
        assert_eq!(later.refused_by(), [""; 0], "a reason after the end");
        let ending = with(&analysis(), "/metadata/deletionTimestamp", json!("t"));
        let forged = with(&ending, "/status/phase", json!(phase));
        let asked = update("pods:status", EDITOR, ending, forged);
        assert_eq!(asked.refused_by(), ["pod-status", "final-phase"], "while it is being deleted");
    }
}

#[test]
fn metadata_does_not_change_by_way_of_the_status() {
    let agent = kube_system("calico-cni-plugin");
    let relabelled = with(&analysis(), "/metadata/labels/app", json!("analysis-2"));
    let joined = with(&other(), "/metadata/labels/app", json!("nginx-analysis-1"));
    let marked = with(&analysis(), "/metadata/annotations", json!({"a": "b"}));
    let mut labelled = analysis();
    labelled["metadata"]["labels"]["cni.projectcalico.org/podIP"] = json!("10.0.0.1");
    let address = with(&analysis(), "/metadata/annotations", json!({"cni.projectcalico.org/podIP": "10.0.0.1/32"}));
    let finalized = with(&analysis(), "/metadata/finalizers", json!(["example.com/never"]));
    let tracked = with(&analysis(), "/metadata/finalizers", json!(["batch.kubernetes.io/job-tracking"]));
    let more = with(&tracked, "/metadata/finalizers", json!(["batch.kubernetes.io/job-tracking", "x"]));
    let owned =
        with(&analysis(), "/metadata/ownerReferences", json!([{"kind": "ReplicaSet", "name": "r", "uid": "2"}]));
    for user in [NODE, &kube_system("node-controller"), CONTROLLER, EDITOR, PO, BREAK_GLASS] {
        for (old, new) in [
            (analysis(), &relabelled),
            (other(), &joined),
            (analysis(), &marked),
            (analysis(), &address),
            (analysis(), &finalized),
            (tracked.clone(), &more),
            (analysis(), &owned),
            (owned.clone(), &analysis()),
        ] {
            assert_eq!(update("pods:status", user, old, new.clone()).refused_by(), ["pod-status"], "{user}: {new}");
        }
        let freed = update("pods:status", user, more.clone(), tracked.clone());
        assert_eq!(freed.refused_by(), [""; 0], "a finalizer that {user} takes away");
    }
    expect([
        ("a listed annotation", update("pods:status", &agent, analysis(), address), &[]),
        ("a label of a listed name", update("pods:status", &agent, analysis(), labelled), &["pod-status"]),
        ("another annotation", update("pods:status", &agent, analysis(), marked), &["pod-status"]),
        ("a label by the agent", update("pods:status", &agent, analysis(), relabelled), &["pod-status"]),
    ]);
}
