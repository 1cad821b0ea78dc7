//! The guard on a real API server: no pod before its policy, no policy before its pod is gone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::caller::PatchKind;
use crate::faulty::{Fault, Faulty};
use crate::flamewarden::{CONTROLLER, guarded};
use crate::lab::{Lab, log};
use crate::recording::{Event, Recording};
use crate::shared::{PATIENCE, run, wait_until};

#[test]
fn a_pod_starts_behind_its_own_policy() {
    run(async {
        let guarded = guarded().await;
        guarded.editor.create(PODS, &analysis("starts", "starts", 30)).await.unwrap();
        guarded.cluster.read(&pod("starts"), running).await;
        let policy = guarded.cluster.admin.get(&policy("starts")).await.unwrap();
        let peer = json!([{"podSelector": {"matchLabels":
            {"app": "nginx-analysis-starts", "component": "flame-analysis-nginx"}}}]);
        let dns = json!([{
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }]);
        let port = |protocol: &str, port: u16| json!({"protocol": protocol, "port": port});
        let spec = json!({
            "podSelector": {"matchLabels": {"app": "analysis-starts", "component": "flame-analysis"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": peer, "ports": [port("TCP", 8000)]}],
            "egress": [
                {"to": peer, "ports": [port("TCP", 80), port("TCP", 8080)]},
                {"to": dns, "ports": [port("UDP", 53), port("TCP", 53)]},
            ],
        });
        assert_eq!(policy["spec"], spec);
        assert_eq!(policy["metadata"]["finalizers"], json!(["flamewarden.dev/isolation"]));
    });
}

#[test]
fn a_changed_policy_is_put_right() {
    run(async {
        let guarded = guarded().await;
        guarded.editor.create(PODS, &analysis("repair", "repair", 30)).await.unwrap();
        guarded.cluster.read(&pod("repair"), running).await;
        let before = guarded.cluster.admin.get(&policy("repair")).await.unwrap();
        // Nobody else gets this far; the guard's own identity stands for whoever found a way.
        let controller = guarded.cluster.plane.caller(CONTROLLER, None).await;
        let wide = json!({"spec": {"egress": [{}]}, "metadata": {"finalizers": null, "labels": null}});
        controller.patch(&policy("repair"), PatchKind::Merge, &wide).await.unwrap();
        guarded.cluster.read(&policy("repair"), |now| same(&before, now, &["spec", "metadata"])).await;
    });
}

#[test]
fn a_deleted_policy_is_replaced_before_it_goes() {
    run(async {
        let guarded = guarded().await;
        guarded.editor.create(PODS, &analysis("deleted", "deleted", 30)).await.unwrap();
        guarded.cluster.read(&pod("deleted"), running).await;
        let before = guarded.cluster.admin.get(&policy("deleted")).await.unwrap();
        let recording = Recording::start(&guarded.cluster.admin, POLICIES).await;
        let controller = guarded.cluster.plane.caller(CONTROLLER, None).await;
        controller.delete(&policy("deleted"), None).await.unwrap();
        let fresh = |now: &Value| {
            let again = now["metadata"]["uid"] != before["metadata"]["uid"];
            (again && now["metadata"]["deletionTimestamp"].is_null() && now["spec"] == before["spec"]).then_some(())
        };
        guarded.cluster.read(&policy("deleted"), fresh).await;
        guarded.cluster.gone(&format!("{}.spare", policy("deleted"))).await;
        // The watch has told all of it when it has told that the spare went.
        let ours =
            |object: &Value| object["metadata"]["name"].as_str().unwrap().starts_with("flamewarden-analysis-deleted");
        let events = wait_until("the spare is seen to go", PATIENCE, async || {
            let events = recording.of(ours);
            let gone = |event: &&Event| event.deleted && name(&event.object).ends_with(".spare");
            events.iter().any(|event| gone(&event)).then_some(events)
        })
        .await;
        let mut stored = BTreeMap::from([(name(&before).to_owned(), before["spec"].clone())]);
        for event in &events {
            match event.deleted {
                true => stored.remove(name(&event.object)),
                false => stored.insert(name(&event.object).to_owned(), event.object["spec"].clone()),
            };
            let isolates = stored.values().any(|spec| *spec == before["spec"]);
            assert!(isolates, "at version {} no policy isolates the pod: {events:#?}", event.version);
        }
        let deletions = events.iter().filter(|event| event.deleted).map(|event| name(&event.object));
        assert_eq!(
            deletions.collect::<Vec<_>>(),
            ["flamewarden-analysis-deleted", "flamewarden-analysis-deleted.spare"]
        );
    });
}

/// The guard thinks then that the analysis has ended.
#[test]
fn a_policy_stays_while_its_pod_runs_though_a_watch_has_missed_the_pod() {
    run(async {
        let mut lab = Lab::start().await;
        let controller = lab.cluster.plane.caller(CONTROLLER, None).await;
        let way = Faulty::open(&controller).await;
        lab.lead_controller_by(&way.kubeconfig(lab.cluster.plane.folder()));
        lab.create("flame", &analysis("missed", "missed", 1)).await;
        lab.running("flame", "analysis-missed", 1).await;
        let before = lab.cluster.admin.get(&policy("missed")).await.unwrap();
        way.loses_pods();
        way.breaks(Fault::Expired);
        wait_until("the guard would let the policy go", PATIENCE, async || {
            let log = log(&lab.controllers[0]);
            let says = |line: &str| line.contains("it is needed after all") && line.contains("analysis-missed");
            log.lines().any(says).then_some(())
        })
        .await;
        let now = lab.cluster.admin.get(&policy("missed")).await.unwrap();
        assert_eq!(now["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
        lab.cluster.admin.delete(&pod("missed"), None).await.unwrap();
        lab.cluster.gone(&policy("missed")).await;
    });
}

#[test]
fn changed_policies_are_in_force_at_once_for_what_is_there_already() {
    run(async {
        let lab = Lab::start().await;
        lab.create("flame", &analysis("changed", "changed", 1)).await;
        lab.running("flame", "analysis-changed", 1).await;
        let peers = |policy: &Value| policy["spec"]["egress"].as_array().map(Vec::len);
        lab.cluster.read(&policy("changed"), |policy| (peers(policy) == Some(2)).then_some(())).await;
        lab.change_profile(&[("dns: cluster", "dns: none")]).await;
        lab.cluster.read(&policy("changed"), |policy| (peers(policy) == Some(1)).then_some(())).await;

        // Of the other component's pods nobody was told before.
        lab.change_profile(&[("component: flame-analysis\n", "component: other-analysis\n")]).await;
        let mut other = analysis("other", "other", 1);
        other["metadata"]["labels"]["component"] = json!("other-analysis");
        lab.create("flame", &other).await;
        let selects = |policy: &Value| {
            let labels = &policy["spec"]["podSelector"]["matchLabels"];
            (*labels == json!({"app": "analysis-other", "component": "other-analysis"})).then_some(())
        };
        lab.cluster.read(&policy("other"), selects).await;
    });
}

#[test]
fn the_policy_goes_after_the_pod() {
    run(async {
        let guarded = guarded().await;
        guarded.editor.create(PODS, &analysis("ends", "ends", 1)).await.unwrap();
        guarded.cluster.read(&pod("ends"), running).await;
        guarded.editor.delete(&pod("ends"), None).await.unwrap();
        guarded.cluster.gone(&pod("ends")).await;
        let policy = policy("ends");
        assert!(guarded.cluster.admin.get(&policy).await.is_ok(), "the policy outlives its pod by twice the grace");
        guarded.cluster.gone(&policy).await;
    });
}

#[test]
fn an_identity_has_one_owner_and_the_oldest_pod_s_has_it() {
    run(async {
        let guarded = guarded().await;
        guarded.editor.create(PODS, &analysis("first", "shared", 1)).await.unwrap();
        guarded.cluster.read(&pod("first"), running).await;
        guarded.editor.create(PODS, &analysis("second", "shared", 1)).await.unwrap();
        // A third analysis that comes later and runs shows that the guard has had its turn at the second.
        guarded.editor.create(PODS, &analysis("later", "later", 1)).await.unwrap();
        guarded.cluster.read(&pod("later"), running).await;
        let second = guarded.cluster.admin.get(&pod("second")).await.unwrap();
        assert_eq!(second["spec"]["schedulingGates"], json!([{"name": "flamewarden.dev/network-policy"}]));
        guarded.editor.delete(&pod("first"), None).await.unwrap();
        guarded.cluster.read(&pod("second"), running).await;
    });
}

#[test]
fn a_gate_stays_while_another_network_s_policy_could_select_the_pod() {
    run(async {
        let guarded = guarded().await;
        let admin = &guarded.cluster.admin;
        admin.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &global_policies()).await.unwrap();
        // Elsewhere on purpose: it is for pods that no analysis is.
        let elsewhere = global_policy("elsewhere", "app == 'web'");
        wait_until("the API server serves the new kind", PATIENCE, async || {
            admin.create(GLOBAL, &elsewhere).await.ok()
        })
        .await;
        let open = global_policy("open", "all()");
        admin.create(GLOBAL, &open).await.unwrap();
        let pods = "/api/v1/namespaces/flame-foreign/pods";
        guarded.editor.create(pods, &analysis("held", "held", 1)).await.unwrap();
        let policies = "/apis/networking.k8s.io/v1/namespaces/flame-foreign/networkpolicies";
        guarded.cluster.read(&format!("{policies}/flamewarden-analysis-held"), |_| Some(())).await;
        guarded.logged("gate stays closed", "globalnetworkpolicies.open").await;
        let held = admin.get(&format!("{pods}/held")).await.unwrap();
        assert_eq!(held["spec"]["schedulingGates"], json!([{"name": "flamewarden.dev/network-policy"}]));
        admin.delete(&format!("{GLOBAL}/open"), None).await.unwrap();
        guarded.cluster.read(&format!("{pods}/held"), running).await;
        admin.delete(&format!("{GLOBAL}/elsewhere"), None).await.unwrap();
    });
}

const GLOBAL: &str = "/apis/crd.projectcalico.org/v1/globalnetworkpolicies";

/// Calico's kind, without its schema: only names and scope matter here.
fn global_policies() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "globalnetworkpolicies.crd.projectcalico.org",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": "crd.projectcalico.org", "scope": "Cluster",
            "names": {"kind": "GlobalNetworkPolicy", "plural": "globalnetworkpolicies", "singular": "globalnetworkpolicy"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
}

fn global_policy(name: &str, selector: &str) -> Value {
    json!({
        "apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy", "metadata": {"name": name},
        "spec": {"selector": selector, "egress": [{"action": "Allow"}]},
    })
}

const PODS: &str = "/api/v1/namespaces/flame/pods";
const POLICIES: &str = "/apis/networking.k8s.io/v1/namespaces/flame/networkpolicies";

fn pod(name: &str) -> String {
    format!("{PODS}/{name}")
}

fn policy(id: &str) -> String {
    format!("{POLICIES}/flamewarden-analysis-{id}")
}

fn analysis(name: &str, id: &str, grace: i64) -> Value {
    let app = format!("analysis-{id}");
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"component": "flame-analysis", "app": app}},
        "spec": {
            "terminationGracePeriodSeconds": grace,
            "containers": [{"name": app, "image": "harbor.example/node/image:1"}],
        },
    })
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn running(pod: &Value) -> Option<()> {
    (pod["status"]["phase"] == "Running").then_some(())
}

/// Whether two versions of an object are the same where it matters.
fn same(before: &Value, now: &Value, keys: &[&str]) -> Option<()> {
    let kept = |object: &Value, key: &str| match key {
        "metadata" => json!([object["metadata"]["labels"], object["metadata"]["finalizers"]]),
        key => object[key].clone(),
    };
    keys.iter().all(|key| kept(before, key) == kept(now, key)).then_some(())
}
