//! `/po/cleanup`: each type does what it says and nothing besides, on a real cluster and a real Keycloak.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::flamewarden::{CONTROLLER, MADE};
use crate::installed::{Installed, analysis_of, installed};
use crate::shared::{self, PATIENCE, wait_until};

#[test]
fn a_services_pods_are_made_anew_and_no_others_are_touched() {
    shared::run(async {
        let (installed, _turn) = installed().await;
        let token = installed.administrator().await;
        let id = "66666666-0000-4000-8000-000000000001";
        runs(installed, &token, id).await;
        for component in COMPONENTS {
            deploy(installed, component).await;
        }
        for (types, told, reset) in [
            ("mb", json!({"mb": "Reset message broker"}), &COMPONENTS[..1]),
            ("rs", json!({"rs": "Reset storage service"}), &COMPONENTS[1..2]),
            ("services", json!({"services": "Reset message broker\nReset storage service"}), &COMPONENTS[..2]),
            ("zombies", json!({}), &[]),
            ("nothing", json!({"nothing": unknown("nothing")}), &[]),
        ] {
            let before = pods(installed).await;
            let (status, mut said) = installed.ask(&token, "DELETE", &format!("/po/cleanup/{types}"), None).await;
            assert_eq!(said.as_object_mut().unwrap().remove("zombies"), Some(json!(zombies(&[]))), "{types}");
            assert_eq!((status, said), (200, told), "{types}");
            // They are gone and there again; all others are the same.
            wait_until("as many pods run as before", PATIENCE, async || {
                let now = pods(installed).await;
                let gone = before.difference(&now).map(|(name, _)| name.clone()).collect::<Vec<_>>();
                (now.len() == before.len() && gone.len() == reset.len()).then_some(gone)
            })
            .await
            .iter()
            .zip(reset)
            .for_each(|(gone, component)| assert!(gone.starts_with(component), "{gone} {types}"));
        }
        for component in COMPONENTS {
            let path = format!("/apis/apps/v1/namespaces/{MADE}/deployments/{component}");
            installed.guarded.cluster.admin.delete(&path, None).await.unwrap();
        }
        end(installed, &token).await;
    });
}

#[test]
fn what_belongs_to_no_analysis_goes_and_its_policies_go_when_its_pods_are_gone() {
    shared::run(async {
        let (installed, _turn) = installed().await;
        let token = installed.administrator().await;
        let (id, stray) = ("66666666-0000-4000-8000-000000000002", "66666666-0000-4000-8000-00000000000f");
        runs(installed, &token, id).await;
        let kept = belongings(installed, id).await;
        // As an orchestrator leaves them that has lost its Analysis: the same objects, and nobody owns them.
        let controller = installed.guarded.cluster.plane.caller(CONTROLLER, Some("system:masters")).await;
        for resource in ["configmaps", "secrets", "services", "networkpolicies", "deployments"] {
            for object in installed.objects(resource).await.into_iter().filter(|object| analysis_of(object) == Some(id))
            {
                leave(&controller, resource, &object, (id, stray)).await;
            }
        }
        wait_until("the pods that were left run", PATIENCE, async || {
            let all = installed.objects("pods").await;
            let pods = all.iter().filter(|pod| analysis_of(pod) == Some(stray));
            (pods.filter(|pod| pod["status"]["phase"] == "Running").count() == 2).then_some(())
        })
        .await;
        let cleanup = async || {
            let (status, said) = installed.ask(&token, "DELETE", "/po/cleanup/zombies", None).await;
            assert_eq!(status, 200, "{said}");
            said["zombies"].as_str().unwrap().to_owned()
        };
        let policies = async || {
            let all = installed.objects("networkpolicies").await;
            all.iter().filter(|policy| analysis_of(policy) == Some(stray)).count()
        };
        // Their Secrets may be those of an analysis that somebody is about to ask for.
        let counts =
            [("deployments", 1), ("nginx-deployments", 1), ("services", 1), ("nginx-services", 1), ("configmaps", 1)];
        let left = policies().await;
        assert!(left > 0);
        let said = zombies(&counts) + &format!("Left {left} zombie networkpolicys until their pods are gone\n");
        assert_eq!((cleanup().await, policies().await), (said, left));
        wait_until("the pods are gone", PATIENCE, async || {
            (!installed.objects("pods").await.iter().any(|pod| analysis_of(pod) == Some(stray))).then_some(())
        })
        .await;
        assert_eq!(cleanup().await, zombies(&[("networkpolicys", left)]));
        let rest = belongings(installed, stray).await.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(rest, [format!("secrets flame-harbor-{stray}"), format!("secrets flame-tokens-{stray}")]);
        for secret in rest {
            let path = format!("/api/v1/namespaces/{MADE}/{}", secret.replace(' ', "/"));
            controller.delete(&path, None).await.unwrap();
        }
        assert_eq!(belongings(installed, id).await, kept, "what belongs to an analysis that is there is as it was");
        end(installed, &token).await;
    });
}

#[test]
fn clients_of_analyses_that_are_not_there_go_and_all_else_in_the_realm_stays() {
    shared::run(async {
        let (installed, _turn) = installed().await;
        let token = installed.administrator().await;
        let id = "66666666-0000-4000-8000-000000000003";
        runs(installed, &token, id).await;
        let (stray, foreign) = ("66666666-0000-4000-8000-0000000000f1", "66666666-0000-4000-8000-0000000000f2");
        for (client, name) in [
            (stray, format!("flame-{stray}")),
            (foreign, "Reporting".to_owned()),
            ("reports", "flame-reports".to_owned()),
        ] {
            let made = json!({"clientId": client, "name": name, "serviceAccountsEnabled": true});
            assert_eq!(installed.keycloak.administer(Method::POST, &["flame", "clients"], Some(&made)).await.0, 201);
        }
        let mut wanted = clients(installed).await;
        assert!(wanted.contains(id) && wanted.remove(stray), "{wanted:?}");
        let told = |count: u8| {
            (200, json!({"keycloak": format!("Deleted {count} keycloak clients"), "zombies": zombies(&[])}))
        };
        for count in [1, 0] {
            assert_eq!(installed.ask(&token, "DELETE", "/po/cleanup/keycloak", None).await, told(count));
            assert_eq!(clients(installed).await, wanted);
        }
        for client in [foreign, "reports"] {
            let (_, found) = installed.keycloak.administer(Method::GET, &["flame", "clients"], None).await;
            let found = found.as_array().unwrap().iter().find(|one| one["clientId"] == client).unwrap()["id"].clone();
            installed.keycloak.administer(Method::DELETE, &["flame", "clients", found.as_str().unwrap()], None).await;
        }
        end(installed, &token).await;
    });
}

#[test]
fn all_deletes_every_analysis_for_administrators_alone_and_goes_on_without_keycloak() {
    shared::run(async {
        let (installed, _turn) = installed().await;
        let token = installed.administrator().await;
        let (id, other) = ("66666666-0000-4000-8000-000000000004", "66666666-0000-4000-8000-000000000005");
        runs(installed, &token, id).await;
        runs(installed, &token, other).await;
        let all = async |token: &str| installed.ask(token, "DELETE", "/po/cleanup/all", None).await;
        let own = own_token(installed, id).await;
        let told = json!({"detail": "an analysis may stream its own log lines and nothing else"});
        assert_eq!((all(&own).await, installed.objects("analyses").await.len()), ((403, told), 2));

        // The controller deletes their clients, too: whoever comes first counts them.
        let said = |clients: u8| {
            format!(
                "Deleted 2 analysis deployments and associated resources from database (['{id}', '{other}'])\nNo pod of \
                 the message broker is there\nNo pod of the storage service is there\nDeleted {clients} keycloak clients"
            )
        };
        let answer = all(&token).await;
        let may_be = [0, 1, 2].map(|clients| (200, json!({"all": said(clients), "zombies": zombies(&[])})));
        assert!(may_be.contains(&answer), "{answer:?}");
        installed.empty().await;
        wait_until("the clients are gone", PATIENCE, async || {
            let clients = clients(installed).await;
            (!clients.contains(id) && !clients.contains(other)).then_some(())
        })
        .await;

        runs(installed, &token, id).await;
        installed.keycloak.stop();
        let failed = (500, json!({"detail": "Error cleaning up (see po logs)."}));
        assert_eq!(all(&token).await, failed);
        // The rest was done; the client goes when Keycloak is there again.
        wait_until("the analysis goes", PATIENCE, async || {
            let analyses = installed.objects("analyses").await;
            analyses.iter().all(|analysis| !analysis["metadata"]["deletionTimestamp"].is_null()).then_some(())
        })
        .await;
        installed.keycloak.start_again().await;
        installed.empty().await;
    });
}

/// Asks for an analysis, and waits until it runs with a token of its own.
pub(crate) async fn runs(installed: &Installed, token: &str, id: &str) {
    made(installed, token, id).await;
    ready(installed, id).await;
}

/// Asks for an analysis.
pub(crate) async fn made(installed: &Installed, token: &str, id: &str) {
    let body = json!({
        "analysis_id": id, "project_id": id, "registry_url": "harbor.example", "image_url": "harbor.example/node/analysis",
        "registry_user": "robot", "registry_password": "hunter2", "kong_token": "key",
    });
    assert_eq!(installed.ask(token, "POST", "/po/", Some(&body)).await.0, 201);
}

/// Waits until all of an analysis is there.
pub(crate) async fn ready(installed: &Installed, id: &str) {
    let path = format!("/apis/flamewarden.dev/v1alpha1/namespaces/{MADE}/analyses/{id}");
    let ready = |object: &Value| {
        let conditions = object["status"]["conditions"].as_array()?;
        conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True").then_some(())
    };
    installed.guarded.cluster.read(&path, ready).await;
}

/// Deletes all, as a test began.
async fn end(installed: &Installed, token: &str) {
    assert_eq!(installed.ask(token, "DELETE", "/po/delete", None).await.0, 200);
    installed.empty().await;
}

/// Makes one of the node's services, or something else, with one pod, and waits until that runs.
async fn deploy(installed: &Installed, component: &str) {
    let labels = json!({"component": component});
    let container = json!({"name": "a", "image": "registry.example/service:1"});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": component},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}},
    });
    let admin = &installed.guarded.cluster.admin;
    admin.create(&format!("/apis/apps/v1/namespaces/{MADE}/deployments"), &deployment).await.unwrap();
    wait_until(&format!("{component} runs"), PATIENCE, async || {
        pods(installed).await.iter().any(|(name, _)| name.starts_with(component)).then_some(())
    })
    .await;
}

/// Names and uids of the pods that run and are not on their way.
async fn pods(installed: &Installed) -> BTreeSet<(String, String)> {
    let runs = |pod: &Value| pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null();
    named(installed.objects("pods").await.into_iter().filter(runs))
}

/// All that bears an analysis's label, with the uids; the guard's own policies, too.
async fn belongings(installed: &Installed, id: &str) -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    for resource in ["configmaps", "secrets", "services", "networkpolicies", "deployments", "pods"] {
        let objects = installed.objects(resource).await.into_iter().filter(|object| analysis_of(object) == Some(id));
        all.extend(named(objects).into_iter().map(|(name, uid)| (format!("{resource} {name}"), uid)));
    }
    all
}

fn named(objects: impl Iterator<Item = Value>) -> BTreeSet<(String, String)> {
    let text = |object: &Value, key: &str| object["metadata"][key].as_str().unwrap().to_owned();
    objects.map(|object| (text(&object, "name"), text(&object, "uid"))).collect()
}

/// Makes the object of one analysis again as another's, and nobody's.
async fn leave(controller: &Caller, resource: &str, object: &Value, (id, stray): (&str, &str)) {
    let mut object: Value = serde_json::from_str(&object.to_string().replace(id, stray)).unwrap();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| ["name", "namespace", "labels", "annotations"].contains(&key.as_str()));
    object.as_object_mut().unwrap().remove("status");
    for key in ["clusterIP", "clusterIPs"] {
        object["spec"].as_object_mut().map(|spec| spec.remove(key));
    }
    let group = match resource {
        "deployments" => "/apis/apps/v1",
        "networkpolicies" => "/apis/networking.k8s.io/v1",
        _ => "/api/v1",
    };
    if object["metadata"]["labels"]["flamewarden.dev/isolates"].is_null() {
        controller
            .create(&format!("{group}/namespaces/{MADE}/{resource}"), &object)
            .await
            .unwrap_or_else(|refusal| panic!("{}: {object}", refusal.message));
    }
}

/// What is told of zombies: nothing but these.
fn zombies(counts: &[(&str, usize)]) -> String {
    let lines = [
        "deployments",
        "nginx-deployments",
        "pods",
        "nginx-pods",
        "services",
        "nginx-services",
        "networkpolicys",
        "configmaps",
        "secrets",
        "replicasets",
    ];
    let count = |line: &str| counts.iter().find(|(word, _)| *word == line).map_or(0, |(_, count)| *count);
    lines.iter().map(|line| format!("Deleted {} zombie {line}\n", count(line))).collect()
}

fn unknown(name: &str) -> String {
    format!(
        "Unknown cleanup type: {name} (known types: 'zombies', 'all', 'analyzes', 'keycloak', 'services', 'mb', and 'rs')"
    )
}

pub(crate) async fn clients(installed: &Installed) -> BTreeSet<String> {
    let (_, clients) = installed.keycloak.administer(Method::GET, &["flame", "clients"], None).await;
    clients.as_array().unwrap().iter().map(|client| client["clientId"].as_str().unwrap().to_owned()).collect()
}

/// The token that stands in the analysis's Secret.
async fn own_token(installed: &Installed, id: &str) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let path = format!("/api/v1/namespaces/{MADE}/secrets/flame-tokens-{id}");
    let secret = installed.guarded.cluster.admin.get(&path).await.unwrap();
    String::from_utf8(STANDARD.decode(secret["data"]["KEYCLOAK_TOKEN"].as_str().unwrap()).unwrap()).unwrap()
}

/// The node's services that can be reset, and a bystander.
const COMPONENTS: [&str; 3] = ["flame-message-broker", "flame-storage", "flame-other"];
