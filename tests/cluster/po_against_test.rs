//! FLAME's REST API where something stands against it: a create that is cut short, another project, a deletion that is held
//! up, an audience; and that no credential stands anywhere but in Secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flamewarden::orchestrator::OutsideFiles;
use serde_json::{Value, json};

use crate::caller::{Caller, PatchKind};
use crate::flamewarden::realm::{REALM, Realm};
use crate::flamewarden::{MADE, guarded, policy_files, with_api};
use crate::instance::{connected, way};
use crate::node::Node;
use crate::po::{Api, KONG, PASSWORD, PROJECT, claims, request, token};
use crate::served::Served;
use crate::shared::run;

#[test]
fn a_create_that_is_cut_short_after_any_write_is_completed_by_the_same_request() {
    run(async {
        let guarded = guarded().await;
        let api = Api::of(guarded).await;
        let node = Node::of(guarded, MADE).await;
        let files = with_api(policy_files(&[]), &Realm::of_tests());
        for writes in 1..=3 {
            let id = format!("22222222-0000-4000-8000-0000000000{:02}", 30 + writes);
            for run in [1, 2] {
                let way = way(&node).await;
                way.dies_after(writes);
                let cluster = connected(&way, "test").await;
                let cut = Served::start(guarded, cluster, &files, OutsideFiles::default()).await;
                assert_eq!(cut.api.ask("POST", "/po", Some(&request(&id))).await.0, 500, "cut after write {writes}");
                way.dead().await;
                assert_eq!(api.ask("POST", "/po", Some(&request(&id))).await.0, 201);
                let analysis = api.object("analyses", &id).await.unwrap();
                assert_eq!((&analysis["spec"]["run"], &analysis["spec"]["state"]), (&json!(run), &json!("Running")));
                for name in ["flame-harbor", "flame-tokens"] {
                    let secret = api.object("secrets", &format!("{name}-{id}")).await.unwrap();
                    assert_eq!(
                        secret["metadata"]["ownerReferences"][0]["uid"], analysis["metadata"]["uid"],
                        "run {run}"
                    );
                }
                api.until("GET", &format!("/po/status/{id}"), |told| told[&id]["status"] == "started").await;
                api.ask("PUT", &format!("/po/stop/{id}"), None).await;
                api.until("GET", &format!("/po/status/{id}"), |told| told[&id]["status"] == "stopped").await;
            }
            api.ask("DELETE", &format!("/po/delete/{id}"), None).await;
        }
    });
}

#[test]
fn another_project_and_one_that_is_being_deleted_are_conflicts_and_change_nothing() {
    run(async {
        let guarded = guarded().await;
        let api = Api::of(guarded).await;
        let id = "22222222-0000-4000-8000-000000000041";
        assert_eq!(api.ask("POST", "/po", Some(&request(id))).await.0, 201);
        let stored = async || {
            let mut stored = vec![api.object("analyses", id).await.unwrap()["spec"].clone()];
            for name in ["flame-harbor", "flame-tokens"] {
                stored.push(api.object("secrets", &format!("{name}-{id}")).await.unwrap()["data"].clone());
            }
            stored
        };
        let before = stored().await;
        let mut other = request(id);
        other["project_id"] = json!("7b1c9d20-5a4e-4f6b-9c3d-000000000000");
        other["registry_password"] = json!("of-another-project");
        let why = json!({"detail": "the analysis belongs to another project"});
        assert_eq!(api.ask("POST", "/po", Some(&other)).await, (409, why));
        assert_eq!(stored().await, before);
        assert_eq!(before[0]["projectId"], PROJECT);

        let path = format!("/apis/flamewarden.dev/v1alpha1/namespaces/{MADE}/analyses/{id}");
        let creator = Node::of(guarded, MADE).await.creator;
        let finalizers = |all: Value| json!({"metadata": {"finalizers": all}});
        let held = json!(["flamewarden.dev/analysis", "example.org/held"]);
        creator.patch(&path, PatchKind::Merge, &finalizers(held)).await.unwrap();
        api.ask("DELETE", &format!("/po/delete/{id}"), None).await;
        let why = json!({"detail": "the analysis is being deleted; create it again once it is gone"});
        assert_eq!(api.ask("POST", "/po", Some(&request(id))).await, (409, why));
        assert_eq!(api.object("analyses", id).await.unwrap()["spec"]["run"], 1);
        let ours = |analysis: &Value| (analysis["metadata"]["finalizers"] == json!(["example.org/held"])).then_some(());
        guarded.cluster.read(&path, ours).await;
        creator.patch(&path, PatchKind::Merge, &finalizers(json!([]))).await.unwrap();
        guarded.cluster.gone(&path).await;
        assert_eq!(api.ask("POST", "/po", Some(&request(id))).await.0, 201, "once it is gone");
        api.ask("DELETE", &format!("/po/delete/{id}"), None).await;
    });
}

#[test]
fn where_the_settings_name_an_audience_and_an_issuer_tokens_are_for_the_one_and_of_the_other_or_our_own_address() {
    run(async {
        let guarded = guarded().await;
        let mut files = with_api(policy_files(&[]), &Realm::of_tests());
        let outside = "https://keycloak.example/realms/flame";
        let more = format!("    audience: flamewarden\n    issuer: {outside}\n");
        files.iter_mut().filter(|(name, _)| name == "orchestrator.yaml").for_each(|(_, text)| text.push_str(&more));
        let node = Node::of(guarded, MADE).await;
        let way = way(&node).await;
        let cluster = connected(&way, "test").await;
        let served = Served::start(guarded, cluster, &files, OutsideFiles::default()).await;
        let inside = format!("{}/realms/flame", REALM.address);
        for (issuer, audience, want) in [
            (outside, json!("flamewarden"), 200),
            (outside, json!(["account", "flamewarden"]), 200),
            (outside, json!("account"), 401),
            (outside, Value::Null, 401),
            (inside.as_str(), json!("flamewarden"), 200),
            (inside.as_str(), Value::Null, 401),
            ("https://elsewhere.example/realms/flame", json!("flamewarden"), 401),
        ] {
            let mut claims = claims("hub-adapter");
            claims["iss"] = json!(issuer);
            claims["aud"] = audience.clone();
            let shown = Some(token(&REALM.key, &claims));
            let (status, _) = served.api.ask_with(shown, "GET", "/po/status", None).await;
            assert_eq!(status, want, "{issuer} {audience}");
        }
        served.stopped().await;
    });
}

#[test]
fn credentials_stand_in_secrets_and_nowhere_else() {
    run(async {
        let guarded = guarded().await;
        let api = Api::of(guarded).await;
        let id = "22222222-0000-4000-8000-000000000042";
        assert_eq!(api.ask("POST", "/po", Some(&request(id))).await.0, 201);
        api.until("GET", &format!("/po/pods/{id}"), |told| told[id][0].is_string()).await;
        let started = |told: &Value| told[id]["status"] == "started";
        api.until("GET", &format!("/po/status/{id}"), started).await;
        let auth = STANDARD.encode(format!("robot$node:{PASSWORD}"));
        let secrets = [PASSWORD, KONG].map(|plain| [plain.to_owned(), STANDARD.encode(plain)]).concat();
        let mut seen = 0;
        let known = |text: &str| secrets.iter().chain([&auth]).find(|secret| text.contains(*secret)).cloned();
        for resources in collections(&guarded.cluster.admin).await {
            let list = guarded.cluster.admin.get(&resources).await.unwrap();
            seen += list["items"].as_array().unwrap().iter().filter(|item| item.to_string().contains(id)).count();
            assert_eq!(known(&list.to_string()), None, "{resources}");
        }
        assert!(seen >= 10, "{seen} objects of the analysis in all");
        assert_eq!(known(&guarded.log()), None, "the controller's log");
        api.ask("DELETE", &format!("/po/delete/{id}"), None).await;
    });
}

/// Everything in the namespace that can be listed, but Secrets.
async fn collections(admin: &Caller) -> Vec<String> {
    let groups = admin.get("/apis").await.unwrap();
    let groups = groups["groups"].as_array().unwrap().iter();
    let versions = groups.map(|group| format!("/apis/{}", group["preferredVersion"]["groupVersion"].as_str().unwrap()));
    let mut found = Vec::new();
    for version in versions.chain(["/api/v1".to_owned()]) {
        let resources = admin.get(&version).await.unwrap();
        for resource in resources["resources"].as_array().unwrap() {
            let name = resource["name"].as_str().unwrap();
            let is_listed = resource["verbs"].as_array().unwrap().contains(&json!("list"));
            if is_listed && resource["namespaced"] == true && name != "secrets" {
                found.push(format!("{version}/namespaces/{MADE}/{name}"));
            }
        }
    }
    assert!(found.len() > 20, "{found:?}");
    found
}
