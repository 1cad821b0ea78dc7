//! What a real API server sends to the mutating side, for pods without a name, resizes and proxies: as the fixtures
//! have it that `tests/recorded_reviews.rs` is about. With `WRITE=1` in the environment they are written anew.

use std::collections::BTreeSet;
use std::future::pending;
use std::path::Path;
use std::{env, fs};

use futures::future::join_all;
use serde::Serialize;
use serde_json::{Value, json};

use crate::caller::{Caller, PatchKind};
use crate::recorder::Recorder;
use crate::shared::{PATIENCE, cluster, run, wait_until};

/// File, operation, resource with subresource, user, and the beginning of the name or of `generateName`.
const RECORDED: [(&str, &str, &str, &str, &str); 10] = [
    ("091_CREATE_pods_admin", "CREATE", "pods", "admin", "analysis-2-"),
    ("092_CREATE_pods_system-serviceaccount-kube-system-replicaset-controller", "CREATE", "pods", MAKER, "analysis-3-"),
    ("093_CREATE_pods_admin", "CREATE", "pods", "admin", "web-"),
    ("094_CREATE_pods_admin", "CREATE", "pods", "admin", "analysis-4"),
    ("095_UPDATE_pods_resize_admin", "UPDATE", "pods/resize", "admin", "analysis-4"),
    ("096_UPDATE_pods_resize_admin", "UPDATE", "pods/resize", "admin", "analysis-4"),
    ("097_CONNECT_pods_proxy_admin", "CONNECT", "pods/proxy", "admin", "analysis-4"),
    ("098_CONNECT_pods_proxy_admin", "CONNECT", "pods/proxy", "admin", "http:analysis-4:8000"),
    ("099_CREATE_services_admin", "CREATE", "services", "admin", "nginx-analysis-4"),
    ("100_CONNECT_services_proxy_admin", "CONNECT", "services/proxy", "admin", "nginx-analysis-4"),
];
const MAKER: &str = "system:serviceaccount:kube-system:replicaset-controller";
const PODS: &str = "/api/v1/namespaces/default/pods";
const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";

#[test]
fn the_mutating_side_is_asked_as_the_fixtures_have_it() {
    run(async {
        let cluster = cluster().await;
        let recorder = Recorder::start().await;
        let admin = &cluster.admin;
        cluster.read("/api/v1/namespaces/default/serviceaccounts/default", |_| Some(())).await;
        admin.create(CONFIGURATIONS, &configuration(&recorder)).await.unwrap();
        wait_until("the recorder is asked", PATIENCE, async || {
            admin.create(&format!("{PODS}?dryRun=All"), &pod("web", "generateName", "dry-")).await.unwrap();
            (!recorder.reviews().is_empty()).then_some(())
        })
        .await;
        act(admin, async || cluster.read(&format!("{PODS}/analysis-4"), is_running).await).await;
        let all = async || {
            let reviews = recorder.reviews();
            (0..RECORDED.len()).all(|index| found(&reviews, index).is_some()).then_some(())
        };
        // What the API server answers to a proxy it may take minutes to find out: nobody listens there.
        tokio::select! {
            () = wait_until("all is recorded", PATIENCE, all) => {}
            () = connect(admin) => {}
        }
        clear(admin).await;
        let reviews = recorder.reviews();
        for (index, (file, ..)) in RECORDED.iter().enumerate() {
            let review = found(&reviews, index).unwrap_or_else(|| panic!("{file} was not recorded"));
            check(file, &review);
        }
    });
}

/// All that is to be recorded.
async fn act(admin: &Caller, runs: impl AsyncFnOnce()) {
    admin.create(PODS, &pod("analysis-2", "generateName", "analysis-2-")).await.unwrap();
    admin.create("/apis/apps/v1/namespaces/default/replicasets", &replica_set()).await.unwrap();
    admin.create(PODS, &pod("web", "generateName", "web-")).await.unwrap();
    admin.create(PODS, &pod("analysis-4", "name", "analysis-4")).await.unwrap();
    runs().await;
    for amount in ["9", "2"] {
        let resize = json!([{"op": "replace", "path": "/spec/containers/0/resources/limits/cpu", "value": amount}]);
        admin.patch(&format!("{PODS}/analysis-4/resize"), PatchKind::Json, &resize).await.unwrap();
    }
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "nginx-analysis-4"},
        "spec": {"selector": {"app": "nginx-analysis-4"}, "ports": [{"port": 80}]}});
    admin.create("/api/v1/namespaces/default/services", &service).await.unwrap();
}

/// Goes through every proxy and stays there.
async fn connect(admin: &Caller) {
    let paths = ["pods/analysis-4", "pods/http:analysis-4:8000", "services/nginx-analysis-4"];
    let calls = paths.map(async |path| admin.get(&format!("/api/v1/namespaces/default/{path}/proxy/")).await);
    join_all(calls).await;
    pending().await
}

async fn clear(admin: &Caller) {
    admin.delete(&format!("{CONFIGURATIONS}/recorder"), None).await.unwrap();
    admin.delete("/apis/apps/v1/namespaces/default/replicasets/analysis-3", None).await.unwrap();
    admin.delete("/api/v1/namespaces/default/services/nginx-analysis-4", None).await.unwrap();
    admin.delete(PODS, None).await.unwrap();
}

fn configuration(recorder: &Recorder) -> Value {
    let rule = |operation: &str, resources: &[&str]| json!({"operations": [operation], "apiGroups": [""], "apiVersions": ["v1"], "resources": resources});
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "recorder"},
        "webhooks": [{
            "name": "recorder.flamewarden.test", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": recorder.client_config(), "failurePolicy": "Ignore",
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}},
            "rules": [
                rule("CREATE", &["pods", "services"]), rule("UPDATE", &["pods/resize"]),
                rule("CONNECT", &["pods/proxy", "services/proxy"]),
            ],
        }],
    })
}

fn pod(app: &str, key: &str, name: &str) -> Value {
    let component = if app == "web" { "web" } else { "flame-analysis" };
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {key: name, "labels": {"app": app, "component": component}},
        "spec": {"containers": [{
            "name": app, "image": if app == "web" { "docker.io/library/web:1" } else { "harbor.example/node/image:1" },
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "1Gi"}},
        }]},
    })
}

fn replica_set() -> Value {
    let pod = pod("analysis-3", "name", "unused");
    let template = json!({"metadata": {"labels": pod["metadata"]["labels"]}, "spec": pod["spec"]});
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "analysis-3"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "analysis-3"}}, "template": template},
    })
}

fn is_running(pod: &Value) -> Option<()> {
    (pod["status"]["phase"] == "Running").then_some(())
}

/// The review of a row: of rows that say the same, the first has the first.
fn found(reviews: &[Value], index: usize) -> Option<Value> {
    let (_, operation, resource, user, name) = RECORDED[index];
    let same =
        |row: &&(&str, &str, &str, &str, &str)| (row.1, row.2, row.3, row.4) == (operation, resource, user, name);
    let before = RECORDED[..index].iter().filter(same).count();
    let fits = |review: &&Value| {
        let request = &review["request"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let sub = text(&request["subResource"]);
        let whole = text(&request["resource"]["resource"]) + if sub.is_empty() { "" } else { "/" } + &sub;
        let names = [text(&request["name"]), text(&request["object"]["metadata"]["generateName"])];
        request["dryRun"] == false
            && (text(&request["operation"]), whole) == (operation.to_owned(), resource.to_owned())
            && text(&request["userInfo"]["username"]) == user
            && if name.ends_with('-') { names[1] == name } else { names[0] == name }
    };
    reviews.iter().filter(fits).nth(before).cloned()
}

/// Holds that a review has the shape of its fixture, or writes it.
fn check(file: &str, review: &Value) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/admissionreviews").join(format!("{file}.json"));
    if env::var_os("WRITE").is_some() {
        let mut text = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
        review.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter)).unwrap();
        fs::write(&path, text).unwrap();
    }
    let kept: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let (mut seen, mut known) = (BTreeSet::new(), BTreeSet::new());
    shape(review, "", &mut seen);
    shape(&kept, "", &mut known);
    let differ: Vec<&String> = seen.symmetric_difference(&known).collect();
    assert!(differ.is_empty(), "{file} has another shape, WRITE=1 writes it anew: {differ:#?}");
}

/// What stands where, without what differs from one recording to the next.
fn shape(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Object(members) => {
            for (name, member) in members {
                // Some keys of field managers hold a value.
                let varies = ["k:{\"uid\"", "k:{\"ip\""].into_iter().find(|key| name.starts_with(key));
                shape(member, &format!("{at}/{}", varies.unwrap_or(name)), found);
            }
            "object"
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                // Field managers stand in the order of their writes, two of which may come either way round.
                let place = if at.ends_with("/managedFields") { "*".to_owned() } else { index.to_string() };
                shape(item, &format!("{at}/{place}"), found);
            }
            "list"
        }
        Value::String(_) => "text",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
    };
    found.insert(format!("{at}: {kind}"));
}
