//! What an audit publishes is stored as OpenReports' own definitions want it, written on change alone, never over
//! another's, and goes with what it is about.

use flamewarden::auditor::{Publishing, publish};
use flamewarden::cluster::Cluster as Client;
use flamewarden::model::Severity;
use flamewarden::report::{
    Dialect, Entry, Found, Object, Outcome, Problem, Report, RuleAbout, Subject, Summary, Told, publications,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::caller::PatchKind;
use crate::open_reports::{self, definitions};
use crate::shared::{Cluster, run};

#[test]
fn reports_are_published_on_change_beside_those_of_others_and_go_with_their_objects() {
    run(async {
        // Controllers publish, too.
        let cluster = &Cluster::start().await;
        let client = Client::connect(Some(&cluster.plane.admin_file()), "flamewarden-auditor").await.unwrap();
        let both = [Dialect::OpenReports, Dialect::PolicyReports];
        let namespace = cluster.namespace("reports").await;
        let objects = [
            object(cluster, &namespace, "first").await,
            object(cluster, &namespace, "second").await,
            object(cluster, "", &namespace).await,
        ];
        let all = report(&objects, 1, &[]);
        // A cluster that knows none of these APIs is no failure.
        assert_eq!(publish(&client, &all, &both).await.unwrap(), None);

        define(cluster, Dialect::PolicyReports).await;
        let done = publish(&client, &all, &both).await.unwrap().unwrap();
        assert_eq!(done, counts(Dialect::PolicyReports, 3, 0, 0, 0));
        define(cluster, Dialect::OpenReports).await;
        for dialect in both {
            goes_its_way(cluster, &client, dialect, &objects).await;
        }
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/first");
        cluster.admin.delete(&path, None).await.unwrap();
        for dialect in both {
            let names =
                publications(&all, dialect).into_iter().find(|one| one.names[0] == objects[0].uid).unwrap().names;
            cluster.gone(&format!("{}/{}", collection(dialect, &namespace), names[1])).await;
        }
    });
}

/// One API, from nothing to a report that is fixed.
async fn goes_its_way(cluster: &Cluster, client: &Client, dialect: Dialect, objects: &[Object; 3]) {
    let publish = async |report: &Report| publish(client, report, &[dialect]).await.unwrap().unwrap();
    let admin = &cluster.admin;
    let namespace = &objects[0].namespace;
    let at = |name: &str| format!("{}/{name}", collection(dialect, namespace));
    let none = report(&[], 2, &[]);
    publish(&none).await;

    // Another tool has a report with the name that ours would have.
    let mut theirs = publications(&report(&objects[..1], 1, &[]), dialect).remove(0).named(&objects[0].uid);
    theirs["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "kyverno"});
    let theirs = admin.create(&collection(dialect, namespace), &theirs).await.unwrap();
    assert_eq!(publish(&report(objects, 3, &[])).await, counts(dialect, 3, 0, 0, 0));
    assert_eq!(admin.get(&at(&objects[0].uid)).await.unwrap(), theirs);
    let ours = at(&format!("{}-flamewarden", objects[0].uid));
    let stored = admin.get(&ours).await.unwrap();
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "first", "uid": objects[0].uid}]);
    assert_eq!(stored["metadata"]["ownerReferences"], owner);
    // The API server drops what the definition does not know.
    for publication in publications(&report(objects, 3, &[]), dialect) {
        let name = if publication.names[0] == objects[0].uid { &publication.names[1] } else { &publication.names[0] };
        let stored = admin.get(&format!("{}/{name}", collection(dialect, &publication.namespace))).await.unwrap();
        let mut sent = publication.named(name);
        for added in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
            sent["metadata"][added] = stored["metadata"][added].clone();
        }
        assert_eq!(stored, sent);
    }

    assert_eq!(publish(&report(objects, 4, &[])).await, counts(dialect, 0, 0, 0, 3));
    assert_eq!(admin.get(&ours).await.unwrap(), stored);
    // Somebody makes it look better than it is.
    admin.patch(&ours, PatchKind::Merge, &json!({"results": [], "summary": {"fail": 0}})).await.unwrap();
    assert_eq!(publish(&report(objects, 5, &[])).await, counts(dialect, 0, 1, 0, 2));
    assert_eq!(admin.get(&ours).await.unwrap()["summary"]["fail"], 1);
    // What was not seen is not fixed; that it was not seen is told.
    assert_eq!(publish(&report(&objects[..1], 6, &["secrets"])).await, counts(dialect, 1, 0, 0, 3));
    let path = format!("{}/flamewarden-audit", collection(dialect, ""));
    assert_eq!(admin.get(&path).await.unwrap()["results"][0]["result"], "error");
    assert_eq!(publish(&report(&objects[..1], 7, &[])).await, counts(dialect, 0, 0, 3, 1));
    assert_eq!(admin.get(&path).await.unwrap_err().code, 404);
    assert_eq!(admin.get(&at(&objects[1].uid)).await.unwrap_err().code, 404);
    assert_eq!(admin.get(&at(&objects[0].uid)).await.unwrap(), theirs);
}

fn counts(dialect: Dialect, created: usize, changed: usize, deleted: usize, unchanged: usize) -> Publishing {
    Publishing { dialect, created, changed, deleted, unchanged, refused: Vec::new() }
}

/// A ConfigMap, or a role of the whole cluster, that a report can be about.
async fn object(cluster: &Cluster, namespace: &str, name: &str) -> Object {
    let (api_version, kind, path) = match namespace {
        "" => (
            "rbac.authorization.k8s.io/v1",
            "ClusterRole",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles".to_owned(),
        ),
        _ => ("v1", "ConfigMap", format!("/api/v1/namespaces/{namespace}/configmaps")),
    };
    let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    let stored = cluster.admin.create(&path, &object).await.unwrap();
    let uid = stored["metadata"]["uid"].as_str().unwrap().to_owned();
    let [api_version, kind, namespace, name] = [api_version, kind, namespace, name].map(str::to_owned);
    Object { api_version, kind, namespace, name, uid }
}

/// A report with a finding on each of these, made at that second.
fn report(objects: &[Object], second: i64, unread: &[&str]) -> Report {
    let entry = |object: &Object| Entry {
        place: None,
        object: object.clone().into(),
        outcome: Outcome::Violated,
        excepted: None,
        since: None,
        told: Told {
            rule: "privileged".into(),
            severity: Severity::High,
            path: "data".into(),
            value: "absent".into(),
            message: "say why".into(),
            remedy: ["set data".to_owned()].into(),
        }
        .into(),
    };
    let found = Found {
        subject: Subject::Cluster,
        objects: Summary { judged: 3, ..Summary::default() },
        looked_at: 0,
        findings: objects.iter().map(entry).collect(),
        exceptions: Vec::new(),
        problems: unread.iter().map(|what| Problem::of_cluster(format!("cannot list {what}"))).collect(),
    };
    let about = |rule: &str| RuleAbout::new(rule, "a title", "a reason", Severity::High, &[]);
    Report::new(found, about, Timestamp::from_second(second).unwrap())
}

fn collection(dialect: Dialect, namespace: &str) -> String {
    let plural = match dialect {
        Dialect::OpenReports => "reports",
        Dialect::PolicyReports => "policyreports",
    };
    match namespace {
        "" => format!("/apis/{}/cluster{plural}", dialect.api_version()),
        _ => format!("/apis/{}/namespaces/{namespace}/{plural}", dialect.api_version()),
    }
}

/// Lets the cluster know the kinds, as OpenReports publishes them.
async fn define(cluster: &Cluster, dialect: Dialect) {
    match dialect {
        Dialect::OpenReports => open_reports::define(&cluster.admin, &definitions()).await,
        Dialect::PolicyReports => open_reports::define(&cluster.admin, &definitions().map(|one| before(&one))).await,
    }
    for namespace in ["", "default"] {
        cluster.read(&collection(dialect, namespace), |_| Some(())).await;
    }
}

/// The definition of `wgpolicyk8s.io/v1alpha2`, which is that of OpenReports without two fields: no registry has it.
fn before(definition: &Value) -> Value {
    let text = definition.to_string().replace("openreports.io", "wgpolicyk8s.io").replace("v1alpha1", "v1alpha2");
    let mut definition: Value = serde_json::from_str(&text).unwrap();
    let kind = definition["spec"]["names"]["kind"].as_str().unwrap().replace("Report", "PolicyReport");
    let plural = format!("{}s", kind.to_lowercase());
    definition["metadata"]["name"] = json!(format!("{plural}.wgpolicyk8s.io"));
    definition["metadata"]["annotations"] = json!({});
    definition["spec"]["names"] =
        json!({"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase()});
    let fields = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    for newer in ["source", "configuration"] {
        assert!(fields.as_object_mut().unwrap().remove(newer).is_some());
    }
    definition
}
