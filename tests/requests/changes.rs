//! What an update may change about a guarded pod.

use flamewarden::rules::Judgement;
use serde_json::{Value, json};

use crate::ask::{
    Asked, BREAK_GLASS, CONTROLLER, EDITOR, NODE, PO, analysis, broken_glass, create, expect, gateway, kube_system,
    other, update, with,
};

#[test]
fn identity_labels_never_change() {
    for resource in ["pods", "pods:ephemeralcontainers", "pods:resize"] {
        for (old, key, value) in [
            (analysis(), "app", json!("analysis-2")),
            (analysis(), "app", Value::Null),
            (analysis(), "component", json!("other")),
            (analysis(), "component", Value::Null),
            (other(), "component", json!("flame-analysis")),
            (other(), "app", json!("nginx-analysis-1")),
            (gateway(), "app", json!("nginx-analysis-2")),
            (gateway(), "component", json!("other")),
        ] {
            for user in [EDITOR, PO, CONTROLLER, BREAK_GLASS] {
                let new = with(&old, &format!("/metadata/labels/{key}"), value.clone());
                let asked = update(resource, user, old.clone(), new);
                assert_eq!(asked.refused_by(), ["identity-change"], "{resource} {user} {key}: {value}");
            }
        }
    }
    let relabelled = with(&other(), "/metadata/labels/app", json!("nginx-victim"));
    expect([("other software's own labels", update("pods", EDITOR, other(), relabelled), &[])]);
}

#[test]
fn gates_and_finalizers_go_by_whose_they_are() {
    let gated = with(
        &with(&analysis(), "/spec/schedulingGates", json!([{"name": "flamewarden.dev/network-policy"}, {"name": "x"}])),
        "/metadata/finalizers",
        json!(["flamewarden.dev/isolation", "other"]),
    );
    let lifted = with(&gated, "/spec/schedulingGates", json!([{"name": "x"}]));
    let less = with(&gated, "/spec/schedulingGates", json!([{"name": "flamewarden.dev/network-policy"}]));
    let unheld = with(&gated, "/metadata/finalizers", json!(["other"]));
    let held = with(&gated, "/metadata/finalizers", json!(["flamewarden.dev/isolation"]));
    let ending = |object: &Value| with(object, "/metadata/deletionTimestamp", json!("2026-11-21T00:00:00Z"));
    expect([
        ("an editor lifts", update("pods", EDITOR, gated.clone(), lifted.clone()), &["gate-lift"]),
        ("break-glass lifts", update("pods", BREAK_GLASS, gated.clone(), lifted.clone()), &["gate-lift"]),
        ("the controller lifts", update("pods", CONTROLLER, gated.clone(), lifted.clone()), &[]),
        ("another's gate", update("pods", EDITOR, gated.clone(), less), &[]),
        ("an editor lifts while it ends", update("pods", EDITOR, ending(&gated), ending(&lifted)), &["gate-lift"]),
        ("the isolation finalizer", update("pods", EDITOR, gated.clone(), unheld.clone()), &["isolation-finalizer"]),
        (
            "the isolation finalizer while it ends",
            update("pods", EDITOR, ending(&gated), ending(&unheld)),
            &["isolation-finalizer"],
        ),
        (
            "the isolation finalizer by the status",
            update("pods:status", NODE, gated.clone(), unheld.clone()),
            &["isolation-finalizer"],
        ),
        ("it goes by the controller", update("pods", CONTROLLER, gated.clone(), unheld.clone()), &[]),
        ("another finalizer", update("pods", EDITOR, gated.clone(), held), &[]),
        (
            "the isolation finalizer of a workload, where it protects nothing",
            update(
                "apps/deployments",
                EDITOR,
                json!({"metadata": {"finalizers": ["flamewarden.dev/isolation"]}, "spec": {"template": other()}}),
                json!({"metadata": {}, "spec": {"template": other()}}),
            ),
            &[],
        ),
    ]);
    let policy = json!({"metadata": {"name": "flamewarden-analysis-1", "finalizers": ["flamewarden.dev/isolation"]}});
    let free = json!({"metadata": {"name": "flamewarden-analysis-1"}});
    for asked in [
        update("pods", BREAK_GLASS, gated.clone(), unheld.clone()),
        update("pods", BREAK_GLASS, ending(&gated), ending(&unheld)),
        update("pods:status", BREAK_GLASS, gated, unheld),
        update("networking.k8s.io/networkpolicies", BREAK_GLASS, ending(&policy), ending(&free)),
        update("networking.k8s.io/networkpolicies", BREAK_GLASS, policy, free),
    ] {
        let told = (asked.refused_by(), broken_glass(&asked));
        assert_eq!(told, (vec![], vec!["isolation-finalizer".to_owned()]), "{} {}", asked.resource, asked.sub);
    }
}

#[test]
fn a_guarded_pod_keeps_its_images_and_the_labels_of_its_controller() {
    let labelled = with(&analysis(), "/metadata/labels/pod-template-hash", json!("a"));
    let relabelled = with(&labelled, "/metadata/labels/pod-template-hash", json!("b"));
    let other_image = with(&analysis(), "/spec/containers/0/image", json!("harbor.example/node/evil:1"));
    let its_gateway = with(&gateway(), "/spec/containers/0/image", json!("nginx:1.29.9"));
    let marked = with(&analysis(), "/metadata/labels/note", json!("x"));
    let remarked = with(&analysis(), "/metadata/labels/note", json!("y"));
    let numbered = with(&analysis(), "/metadata/labels/job-name", json!("x"));
    let deployments = kube_system("deployment-controller");
    expect([
        ("a label by an editor", update("pods", EDITOR, labelled.clone(), relabelled.clone()), &["owner-reference"]),
        ("a label by a creator", update("pods", PO, labelled.clone(), analysis()), &["owner-reference"]),
        ("a label by a controller", update("pods", &deployments, labelled.clone(), relabelled.clone()), &[]),
        ("another label that comes", update("pods", EDITOR, analysis(), marked.clone()), &[]),
        ("another label changed", update("pods", EDITOR, marked.clone(), remarked), &["owner-reference"]),
        ("another label taken away", update("pods", PO, marked.clone(), analysis()), &["owner-reference"]),
        ("another label by a controller", update("pods", &deployments, marked, analysis()), &[]),
        ("a controller's label that comes", update("pods", EDITOR, analysis(), numbered.clone()), &["owner-reference"]),
        ("a controller's label on a new pod", create("pods", EDITOR, labelled.clone()), &["owner-reference"]),
        ("the same by a creator", create("pods", PO, numbered), &["owner-reference"]),
        ("the same by its controller", create("pods", &kube_system("replicaset-controller"), labelled), &[]),
        ("an image", update("pods", EDITOR, analysis(), other_image.clone()), &["image-change"]),
        ("an image by a creator", update("pods:resize", PO, analysis(), other_image), &["image-change"]),
        ("a gateway's image", update("pods", EDITOR, gateway(), its_gateway), &["image-change"]),
        (
            "another's image",
            update("pods", EDITOR, other(), with(&other(), "/spec/containers/0/image", json!("a:2"))),
            &[],
        ),
    ]);
}

#[test]
fn the_owners_of_a_guarded_workload_come_by_controllers_alone() {
    let owner = json!([{"kind": "Deployment", "name": "analysis-1", "uid": "victim", "controller": true}]);
    let job = json!({"metadata": {"name": "evil"}, "spec": {"template": analysis()}});
    let owned = with(&job, "/metadata/ownerReferences", owner.clone());
    let deployments = kube_system("deployment-controller");
    let others = json!({"metadata": {"name": "a", "ownerReferences": owner}, "spec": {"template": other()}});
    expect([
        ("a forged owner", create("batch/jobs", EDITOR, owned.clone()), &["owner-reference"]),
        ("one that comes later", update("batch/jobs", EDITOR, job.clone(), owned.clone()), &["owner-reference"]),
        ("none", create("batch/jobs", EDITOR, job), &[]),
        ("the controller's", create("apps/replicasets", &deployments, owned.clone()), &[]),
        ("a creator's", create("batch/jobs", PO, owned), &[]),
        ("other software's", create("batch/jobs", EDITOR, others), &[]),
    ]);
}

/// What is not guarded yet is sent to nobody: its owners and labels are anybody's words.
#[test]
fn owners_that_were_forged_before_a_template_is_guarded_do_not_come_with_it() {
    let set = |template: Value, owners: Value, labels: Value| json!({"metadata": {"name": "s", "labels": labels, "ownerReferences": owners}, "spec": {"template": template}});
    let owners = json!([{"kind": "Deployment", "name": "analysis-1", "uid": "victim", "controller": true}]);
    let app = json!({"app": "analysis-1"});
    let before = set(other(), owners.clone(), app.clone());
    let guarded = set(analysis(), owners.clone(), app.clone());
    let relabelled = set(analysis(), owners, json!({}));
    let released = set(analysis(), json!([]), json!({}));
    let scaled = with(&guarded, "/spec/replicas", json!(2));
    let deployments = kube_system("deployment-controller");
    let asked = |user: &str, old: &Value, new: &Value| update("apps/replicasets", user, old.clone(), new.clone());
    expect([
        ("an editor guards it", asked(EDITOR, &before, &guarded), &["owner-reference"]),
        ("and takes its labels", asked(EDITOR, &before, &relabelled), &["owner-reference"]),
        ("a creator", asked(PO, &before, &guarded), &[]),
        ("it was guarded", asked(EDITOR, &guarded, &scaled), &[]),
        ("a label by which its owner finds it", asked(EDITOR, &guarded, &relabelled), &["owner-reference"]),
        ("the owner's own", asked(&deployments, &guarded, &relabelled), &[]),
        (
            "a label of one without owner",
            asked(EDITOR, &released, &with(&released, "/metadata/labels", app.clone())),
            &[],
        ),
        ("its owner lets go", asked(&deployments, &relabelled, &released), &[]),
        ("its owner adopts", asked(&deployments, &released, &relabelled), &[]),
        ("an editor lets go", asked(EDITOR, &relabelled, &released), &["owner-reference"]),
    ]);
}

#[test]
fn in_a_dedicated_namespace_revisions_are_written_by_their_controllers() {
    let template = json!({"metadata": {"labels": {"component": "flame-broker"}}, "spec": {"hostNetwork": true}});
    let revision = json!({"metadata": {"name": "r"}, "data": {"spec": {"template": null, "Template": template}}});
    let revised = with(&revision, "/data", json!({}));
    let sets = kube_system("statefulset-controller");
    expect([
        ("an editor's", create("apps/controllerrevisions", EDITOR, revision.clone()).dedicated(), &["known-part"]),
        (
            "an editor's change",
            update("apps/controllerrevisions", EDITOR, revised, revision.clone()).dedicated(),
            &["known-part"],
        ),
        ("the controller's", create("apps/controllerrevisions", &sets, revision.clone()).dedicated(), &[]),
        ("a creator's", create("apps/controllerrevisions", PO, revision).dedicated(), &[]),
    ]);
}

#[test]
fn owners_come_by_controllers_and_go_by_the_garbage_collector() {
    let owner =
        json!([{"kind": "ReplicaSet", "name": "r", "uid": "2", "controller": true, "blockOwnerDeletion": true}]);
    let unblocked =
        json!([{"kind": "ReplicaSet", "name": "r", "uid": "2", "controller": true, "blockOwnerDeletion": false}]);
    let owned = with(&analysis(), "/metadata/ownerReferences", owner.clone());
    let second = json!({"kind": "ReplicaSet", "name": "r", "uid": "3"});
    let both = with(&owned, "/metadata/ownerReferences", json!([owner[0], second]));
    let marked = with(&owned, "/metadata/annotations", json!({"kubectl.kubernetes.io/restartedAt": "t"}));
    let loosened = with(&analysis(), "/metadata/ownerReferences", unblocked);
    let replicas = kube_system("replicaset-controller");
    let collector = kube_system("generic-garbage-collector");
    expect([
        ("made by its controller", create("pods", &replicas, owned.clone()), &[]),
        ("made by one user for all", create("pods", "system:kube-controller-manager", owned.clone()), &[]),
        ("forged at creation", create("pods", EDITOR, owned.clone()), &["owner-reference"]),
        ("forged by a creator", create("pods", PO, owned.clone()), &["owner-reference"]),
        ("adopted", update("pods", &replicas, analysis(), owned.clone()), &[]),
        ("released by its controller", update("pods", &replicas, owned.clone(), analysis()), &[]),
        ("forged later", update("pods", EDITOR, analysis(), owned.clone()), &["owner-reference"]),
        ("orphaned", update("pods", &collector, owned.clone(), analysis()), &[]),
        ("no longer blocking", update("pods", &collector, owned.clone(), loosened.clone()), &[]),
        ("changed by an editor", update("pods", EDITOR, owned.clone(), loosened), &["owner-reference"]),
        ("released by an editor", update("pods", EDITOR, owned.clone(), analysis()), &["owner-reference"]),
        ("adopted by the collector", update("pods", &collector, analysis(), owned.clone()), &["owner-reference"]),
        ("kept by an editor", update("pods", EDITOR, owned.clone(), marked), &[]),
        ("one of two released", update("pods", EDITOR, both.clone(), owned.clone()), &["owner-reference"]),
        ("one of two orphaned", update("pods", &collector, both.clone(), owned.clone()), &[]),
        ("another beside it", update("pods", EDITOR, owned.clone(), both), &["owner-reference"]),
        ("of no concern", update("pods", EDITOR, other(), with(&other(), "/metadata/ownerReferences", json!([]))), &[]),
    ]);
}

#[test]
fn an_update_is_judged_by_what_it_changes() {
    // A stored pod that adds a capability, as before a policy was tightened.
    let stored = with(&analysis(), "/spec/containers/0/securityContext", json!({"capabilities": {"add": ["NET_RAW"]}}));
    let annotated = with(&stored, "/metadata/annotations", json!({"kubectl.kubernetes.io/restartedAt": "t"}));
    let worse = with(&stored, "/spec/containers/0/securityContext", json!({"capabilities": {"add": ["SYS_ADMIN"]}}));
    let said = |asked: Asked| {
        asked.judged(|judgement, _| {
            let of = |findings: &[flamewarden::model::Finding]| {
                findings.iter().filter(|finding| finding.rule == "capabilities").count()
            };
            (of(&judgement.refusals), of(&judgement.reported), judgement.remedies.len())
        })
    };
    assert_eq!(said(update("pods", EDITOR, stored.clone(), annotated)), (0, 1, 0), "as it was");
    assert_eq!(said(update("pods:resize", EDITOR, stored.clone(), worse.clone())), (1, 0, 0), "worse");
    let (refused, reported, remedies) = said(create("pods", EDITOR, worse));
    assert_eq!((refused, reported, remedies > 0), (1, 0, true), "at creation it is mended");

    let ending = |object: &Value| with(object, "/metadata/deletionTimestamp", json!("2026-11-21T00:00:00Z"));
    let freed = with(&ending(&analysis()), "/metadata/annotations", json!({"x": "y"}));
    let relabelled = with(&ending(&analysis()), "/metadata/labels/app", json!("analysis-2"));
    let quiet = update("pods", EDITOR, ending(&analysis()), freed);
    quiet.judged(|judgement, _| assert_eq!(judgement, Judgement::default(), "an ending pod's annotation"));
    expect([("an ending pod's label", update("pods", EDITOR, ending(&analysis()), relabelled), &["identity-change"])]);
}

#[test]
fn long_values_that_begin_alike_are_not_the_same_finding() {
    let long = |end: &str| json!({"capabilities": {"add": ["A".repeat(200), end]}});
    let stored = with(&analysis(), "/spec/containers/0/securityContext", long("x"));
    let changed = with(&analysis(), "/spec/containers/0/securityContext", long("y"));
    update("pods", EDITOR, stored, changed).judged(|judgement, _| {
        let found = judgement.refusals.iter().filter(|finding| finding.rule == "capabilities").count();
        assert_eq!(found, 1);
    });
}
