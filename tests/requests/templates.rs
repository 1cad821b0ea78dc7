//! Who makes gateways, templates and unlabelled pods.

use serde_json::{Value, json};

use crate::ask::{EDITOR, PO, analysis, create, delete, expect, gateway, kube_system, other, pod, update, with};

#[test]
fn gateways_come_by_creators() {
    let template = |labels: &Value| json!({"metadata": {"name": "d"}, "spec": {"replicas": 1, "template": labels}});
    let by_app_alone = pod(json!({"app": "nginx-analysis-1"}), "nginx:1.29.8");
    let replicas = kube_system("replicaset-controller");
    let deployments = kube_system("deployment-controller");
    let plain = template(&other());
    let scaled = with(&template(&gateway()), "/spec/replicas", json!(2));
    let other_image = with(&template(&gateway()), "/spec/template/spec/containers/0/image", json!("nginx:latest"));
    expect([
        ("a pod by an editor", create("pods", EDITOR, gateway()), &["gateway-creator"]),
        ("a pod by app alone", create("pods", EDITOR, by_app_alone), &["gateway-creator"]),
        ("a pod by the PO", create("pods", PO, gateway()), &[]),
        ("a pod by its ReplicaSet", create("pods", &replicas, gateway()), &[]),
        (
            "a pod by a StatefulSet",
            create("pods", &kube_system("statefulset-controller"), gateway()),
            &["gateway-creator"],
        ),
        ("a Deployment by the PO", create("apps/deployments", PO, template(&gateway())), &[]),
        ("a Deployment by an editor", create("apps/deployments", EDITOR, template(&gateway())), &["gateway-creator"]),
        ("its ReplicaSet", create("apps/replicasets", &deployments, template(&gateway())), &[]),
        ("a ReplicaSet by an editor", create("apps/replicasets", EDITOR, template(&gateway())), &["gateway-creator"]),
        (
            "a Deployment becomes one",
            update("apps/deployments", EDITOR, plain, template(&gateway())),
            &["gateway-creator"],
        ),
        (
            "one changes its image",
            update("apps/deployments", EDITOR, template(&gateway()), other_image),
            &["gateway-creator"],
        ),
        ("one is scaled", update("apps/deployments", EDITOR, template(&gateway()), scaled), &[]),
        ("one is deleted", delete("apps/deployments", EDITOR, template(&gateway())), &[]),
    ]);
    for kind in ["apps/statefulsets", "apps/daemonsets", "batch/jobs", "replicationcontrollers"] {
        for user in [EDITOR, PO] {
            let asked = create(kind, user, template(&gateway()));
            assert_eq!(asked.refused_by(), ["gateway-creator"], "{kind} by {user}");
        }
    }
    let cron = json!({"spec": {"jobTemplate": {"spec": {"template": gateway()}}}});
    let revision = json!({"data": {"spec": {"template": gateway()}}});
    let sets = kube_system("statefulset-controller");
    expect([
        ("a CronJob", create("batch/cronjobs", EDITOR, cron), &["gateway-creator"]),
        ("a PodTemplate", create("podtemplates", EDITOR, json!({"template": gateway()})), &["gateway-creator"]),
        ("a forged revision", create("apps/controllerrevisions", EDITOR, revision.clone()), &["gateway-creator"]),
        ("a revision", create("apps/controllerrevisions", &sets, revision), &[]),
        ("another's revision", create("apps/controllerrevisions", EDITOR, json!({"data": {"x": 1}})), &[]),
    ]);
}

#[test]
fn a_template_is_judged_after_remedies() {
    let template = |pod: &Value| json!({"metadata": {"name": "d"}, "spec": {"template": pod}});
    // The named pull secret and dropped capabilities are mended at admission: warnings in a template.
    let said = |asked: crate::ask::Asked| {
        asked.judged(|judgement, _| {
            let warned = judgement.warnings.iter().any(|finding| {
                finding.rule == "capabilities"
                    && finding.path.to_string() == "spec.template.spec.containers[0].securityContext.capabilities"
            });
            let refused = judgement.refusals.iter().any(|finding| finding.rule == "capabilities");
            let reported = judgement.reported.iter().any(|finding| finding.rule == "capabilities");
            (warned, refused, reported, judgement.remedies.is_empty())
        })
    };
    assert_eq!(said(create("apps/deployments", EDITOR, template(&analysis()))), (true, false, false, true));
    let scaled = with(&template(&analysis()), "/spec/replicas", json!(3));
    assert_eq!(
        said(update("apps/deployments", EDITOR, template(&analysis()), scaled)),
        (false, false, true, true),
        "what the stored template had is reported"
    );
}

#[test]
fn analysis_images_need_the_label_wherever_they_are_named() {
    let image = json!("HARBOR.example:443/node/a:1");
    let container = with(&other(), "/spec/containers/0/image", image.clone());
    let init = with(&other(), "/spec/initContainers", json!([{"name": "i", "image": image}]));
    let debug = with(&other(), "/spec/ephemeralContainers", json!([{"name": "e", "image": image}]));
    let volume = with(&other(), "/spec/volumes", json!([{"name": "v", "image": {"reference": image}}]));
    let near = with(&other(), "/spec/containers/0/image", json!("harbor.example/node-tools/a:1"));
    for (what, pod) in [("container", &container), ("init", &init), ("ephemeral", &debug), ("volume", &volume)] {
        for (way, asked) in [
            ("create", create("pods", PO, pod.clone())),
            ("update", update("pods", EDITOR, other(), pod.clone())),
            ("ephemeral", update("pods:ephemeralcontainers", EDITOR, other(), pod.clone())),
            ("template", create("batch/jobs", EDITOR, json!({"spec": {"template": pod}}))),
            (
                "dedicated",
                create("pods", PO, with(pod, "/metadata/labels/component", json!("flame-broker"))).dedicated(),
            ),
        ] {
            assert_eq!(asked.refused_by(), ["analysis-image-label"], "{what} by {way}");
        }
    }
    let touched = with(&container, "/metadata/annotations", json!({"a": "b"}));
    expect([
        ("another registry's path", create("pods", EDITOR, near), &[]),
        ("what it had", update("pods", EDITOR, container, touched), &[]),
        ("another image", create("pods", EDITOR, other()), &[]),
    ]);
}

#[test]
fn a_dedicated_namespace_holds_known_parts_of_creators() {
    let broker = pod(json!({"component": "flame-broker"}), "ghcr.io/broker:1");
    let template = |pod: &Value| json!({"spec": {"template": pod}});
    let replicas = kube_system("replicaset-controller");
    let deployments = kube_system("deployment-controller");
    let sets = kube_system("statefulset-controller");
    let other_image = with(&broker, "/spec/containers/0/image", json!("evil"));
    let annotated = with(&broker, "/metadata/annotations", json!({"a": "b"}));
    let stranger = with(&broker, "/metadata/labels/component", json!("else"));
    expect([
        ("a stranger", create("pods", PO, other()).dedicated(), &["known-part"]),
        ("a stranger in a shared one", create("pods", EDITOR, other()), &[]),
        ("a stranger's template", create("batch/jobs", PO, template(&other())).dedicated(), &["known-part"]),
        ("a part by an editor", create("pods", EDITOR, broker.clone()).dedicated(), &["known-part"]),
        ("a part by a creator", create("pods", PO, broker.clone()).dedicated(), &[]),
        ("a part by its ReplicaSet", create("pods", &replicas, broker.clone()).dedicated(), &[]),
        ("a template by a creator", create("apps/deployments", PO, template(&broker)).dedicated(), &[]),
        ("a template by an editor", create("apps/deployments", EDITOR, template(&broker)).dedicated(), &["known-part"]),
        ("its ReplicaSet", create("apps/replicasets", &deployments, template(&broker)).dedicated(), &[]),
        ("a revision", create("apps/controllerrevisions", &sets, json!({"data": template(&broker)})).dedicated(), &[]),
        (
            "a forged revision",
            create("apps/controllerrevisions", EDITOR, json!({"data": template(&broker)})).dedicated(),
            &["known-part"],
        ),
        ("a part changed", update("pods", EDITOR, broker.clone(), other_image.clone()).dedicated(), &["known-part"]),
        (
            "a template changed",
            update("apps/deployments", EDITOR, template(&broker), template(&other_image)).dedicated(),
            &["known-part"],
        ),
        ("a part annotated", update("pods", EDITOR, broker.clone(), annotated).dedicated(), &[]),
        ("a part relabelled", update("pods", PO, broker, stranger.clone()).dedicated(), &["known-part"]),
        ("a stranger from before", update("pods", EDITOR, stranger.clone(), stranger).dedicated(), &[]),
        ("an analysis", create("apps/deployments", EDITOR, template(&analysis())).dedicated(), &[]),
        ("a deletion", delete("pods", EDITOR, other()).dedicated(), &[]),
    ]);
}
