//! The test cluster does what a cluster does, so that what is tested on it means something.

use serde_json::{Value, json};

use crate::kubelet::Order;
use crate::shared::{PATIENCE, cluster, run, wait_until};

#[test]
fn a_pod_is_scheduled_and_runs() {
    run(async {
        let cluster = cluster().await;
        let pods = format!("/api/v1/namespaces/{}/pods", cluster.namespace("runs").await);
        cluster.admin.create(&pods, &pod("a", json!({}))).await.unwrap();
        let seen = cluster.read(&format!("{pods}/a"), |pod| is_ready(pod).then(|| pod.clone())).await;
        assert_eq!(seen["spec"]["nodeName"], cluster.kubelet.name());
        assert!(seen["status"]["podIP"].as_str().unwrap().starts_with("10."), "{seen}");
    });
}

#[test]
fn kubectl_speaks_to_it() {
    run(async {
        let plane = &cluster().await.plane;
        let mut kubectl = std::process::Command::new(plane.programs().join("kubectl"));
        let output = kubectl.arg("--kubeconfig").arg(plane.admin_file()).args(["get", "--raw", "/readyz"]).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, "ok", "{}", String::from_utf8_lossy(&output.stderr));
    });
}

#[test]
fn what_a_container_writes_is_told_by_its_kubelet() {
    run(async {
        let cluster = cluster().await;
        let namespace = cluster.namespace("logs").await;
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        cluster.admin.create(&pods, &pod("a", json!({}))).await.unwrap();
        cluster.read(&format!("{pods}/a"), |pod| is_ready(pod).then_some(())).await;
        let log = format!("{pods}/a/log");
        assert_eq!(cluster.admin.get(&log).await, Ok(json!("main writes a line\n")));
        cluster.kubelet.writes(&namespace, "main", "one\ntwo\nthree\n");
        for (query, want) in [
            ("", "one\ntwo\nthree\n"),
            ("container=main&tailLines=2", "two\nthree\n"),
            ("limitBytes=5", "one\nt"),
            ("tailLines=1&limitBytes=3", "thr"),
        ] {
            assert_eq!(cluster.admin.get(&format!("{log}?{query}")).await, Ok(json!(want)), "{query}");
        }
        cluster.kubelet.order(&namespace, Order::Wait);
        cluster.admin.create(&pods, &pod("b", json!({}))).await.unwrap();
        cluster.read(&format!("{pods}/b"), |pod| pod["spec"]["nodeName"].as_str().map(drop)).await;
        // Its kubelet hears of it a moment later than we do.
        let waits =
            async || cluster.admin.get(&format!("{pods}/b/log")).await.is_err_and(|refusal| refusal.code == 400);
        wait_until("its container is said to wait", PATIENCE, async || waits().await.then_some(())).await;
    });
}

#[test]
fn a_deployment_gets_its_pods_back() {
    run(async {
        let cluster = cluster().await;
        let namespace = cluster.namespace("deployment").await;
        let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": pod("", json!({}))["spec"]});
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "x"}}, "template": template},
        });
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
        cluster.admin.create(&path, &deployment).await.unwrap();
        cluster.read(&format!("{path}/x"), |it| (it["status"]["readyReplicas"] == 2).then_some(())).await;
    });
}

#[test]
fn a_deleted_pod_stays_while_it_hangs_and_goes_when_it_ends() {
    run(async {
        let cluster = cluster().await;
        let namespace = cluster.namespace("deletion").await;
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        cluster.kubelet.order(&namespace, Order::Hang);
        cluster.admin.create(&pods, &pod("a", json!({}))).await.unwrap();
        cluster.read(&format!("{pods}/a"), |pod| is_ready(pod).then_some(())).await;
        cluster.admin.delete(&format!("{pods}/a"), None).await.unwrap();
        let dying = cluster.admin.get(&format!("{pods}/a")).await.unwrap();
        assert_eq!(dying["metadata"]["deletionGracePeriodSeconds"], 30);
        assert_eq!(dying["status"]["phase"], "Running");
        cluster.kubelet.order(&namespace, Order::Run);
        cluster.gone(&format!("{pods}/a")).await;
    });
}

#[test]
fn a_pod_ends_as_the_test_says() {
    run(async {
        let cluster = cluster().await;
        let namespace = cluster.namespace("ends").await;
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        for (name, code, phase) in [("good", 0, "Succeeded"), ("bad", 3, "Failed")] {
            cluster.admin.create(&pods, &pod(name, json!({"restartPolicy": "Never"}))).await.unwrap();
            cluster.read(&format!("{pods}/{name}"), |pod| is_ready(pod).then_some(())).await;
            cluster.kubelet.end(&namespace, name, code);
            let over = cluster
                .read(&format!("{pods}/{name}"), |pod| (pod["status"]["phase"] == phase).then(|| pod.clone()))
                .await;
            assert_eq!(over["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], code);
        }
    });
}

#[test]
fn a_pod_that_must_not_be_root_and_may_be_waits_with_a_reason() {
    run(async {
        let cluster = cluster().await;
        let pods = format!("/api/v1/namespaces/{}/pods", cluster.namespace("root").await);
        let table = [
            ("root", json!({"runAsNonRoot": true, "runAsUser": 0}), Some("breaks non-root policy")),
            ("unknown", json!({"runAsNonRoot": true}), Some("non-numeric user")),
            ("numeric", json!({"runAsNonRoot": true, "runAsUser": 1000}), None),
            ("free", json!({}), None),
        ];
        for (name, context, complaint) in table {
            cluster.admin.create(&pods, &pod(name, json!({"securityContext": context}))).await.unwrap();
            let path = format!("{pods}/{name}");
            let Some(complaint) = complaint else {
                cluster.read(&path, |pod| is_ready(pod).then_some(())).await;
                continue;
            };
            let state = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"].clone();
            let waiting = cluster.read(&path, |pod| Some(state(pod)).filter(|state| !state.is_null())).await;
            assert_eq!(waiting["reason"], "CreateContainerConfigError", "{name}");
            assert!(waiting["message"].as_str().unwrap().contains(complaint), "{name}: {waiting}");
        }
    });
}

#[test]
fn an_editor_may_edit_and_a_stranger_may_not() {
    run(async {
        let cluster = cluster().await;
        let namespace = cluster.namespace("users").await;
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "editors"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "editors"}],
        });
        let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings");
        cluster.admin.create(&bindings, &binding).await.unwrap();
        let editor = cluster.admin.acting_as("somebody", &["others", "editors"]);
        let made = wait_until("RBAC knows the binding", PATIENCE, async || {
            editor.create(&pods, &pod("a", json!({}))).await.ok()
        });
        assert_eq!(made.await["metadata"]["name"], "a");
        let stranger = cluster.plane.caller("stranger", None).await;
        let refusal = stranger.create(&pods, &pod("b", json!({}))).await.unwrap_err();
        assert_eq!((refusal.code, refusal.reason.as_str()), (403, "Forbidden"), "{}", refusal.message);
    });
}

fn pod(name: &str, extra: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "registry.example/image:1"}]},
    });
    for (key, value) in extra.as_object().unwrap() {
        pod["spec"][key] = value.clone();
    }
    pod
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"))
}
