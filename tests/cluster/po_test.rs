//! FLAME's REST API: create, status, pods, stop and delete, who may, and what is refused with nothing stored.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flamewarden::cluster::Cluster;
use flamewarden::orchestrator::OutsideFiles;
use futures::future::join_all;
use jiff::Timestamp;
use regex::Regex;
use serde_json::{Value, json};

use crate::flamewarden::realm::{REALM, Realm};
use crate::flamewarden::{guarded, policy_files, with_api};
use crate::po::{Api, IMAGE, KONG, PASSWORD, PROJECT, claims, request, token};
use crate::served::Served;
use crate::shared::run;

#[test]
fn an_analysis_is_created_once_told_stopped_started_again_and_deleted() {
    run(async {
        let api = Api::of(guarded().await).await;
        let id = "22222222-0000-4000-8000-000000000001";
        assert_eq!(api.ask("GET", &format!("/po/status/{id}"), None).await, (200, json!({})));
        assert_eq!(api.ask("POST", "/po", Some(&request(&id.to_uppercase()))).await, (201, json!({id: "started"})));

        let analysis = api.object("analyses", id).await.unwrap();
        let spec = json!({"projectId": PROJECT, "image": IMAGE, "state": "Running", "run": 1, "progress": 0});
        assert_eq!(analysis["spec"], spec);
        let stored = analysis.to_string();
        assert!(!stored.contains(PASSWORD) && !stored.contains(KONG), "{stored}");
        let docker = json!({"auths": {"harbor.example": {
            "username": "robot$node", "password": PASSWORD, "auth": STANDARD.encode(format!("robot$node:{PASSWORD}")),
        }}});
        for (name, kind, key, want) in [
            ("flame-harbor", "kubernetes.io/dockerconfigjson", ".dockerconfigjson", docker),
            ("flame-tokens", "Opaque", "DATA_SOURCE_TOKEN", json!(KONG)),
        ] {
            let secret = api.object("secrets", &format!("{name}-{id}")).await.unwrap();
            let text = String::from_utf8(STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap()).unwrap();
            let given = serde_json::from_str(&text).unwrap_or(json!(text));
            let owner = &secret["metadata"]["ownerReferences"][0];
            assert_eq!((&secret["type"], given, &owner["uid"]), (&json!(kind), want, &analysis["metadata"]["uid"]));
            assert_eq!(secret["metadata"]["labels"], json!({"flamewarden.dev/analysis": id}));
        }

        let told = api.ask("POST", "/po/", Some(&request(id))).await;
        assert!(told == (201, json!({id: "starting"})) || told == (201, json!({id: "started"})), "{told:?}");
        let again = api.object("analyses", id).await.unwrap();
        assert_eq!((&again["spec"], &again["metadata"]["uid"]), (&spec, &analysis["metadata"]["uid"]));

        let started = json!({id: {"status": "started", "progress": 0}});
        api.until("GET", &format!("/po/status/{id}"), |told| *told == started).await;
        assert_eq!(api.ask("GET", "/po/status", None).await.1[id], started[id]);
        let pods = api.until("GET", &format!("/po/pods/{id}"), |told| told[id][0].is_string()).await;
        let names: Vec<String> = serde_json::from_str(pods[id][0].as_str().unwrap()).unwrap();
        assert!(names.len() == 1 && names[0].starts_with(&format!("analysis-{id}-1-")), "{names:?}");

        // Its own word is stored, and shown as far as it is progress; another's is not.
        let line = |status: &str, progress: u8| json!({"log": "x", "log_type": "info", "analysis_id": id, "status": status, "progress": progress});
        let other = Some(token(&REALM.key, &claims("22222222-0000-4000-8000-000000000009")));
        let own = Some(token(&REALM.key, &claims(id)));
        let refused = api.ask_with(other, "POST", "/po/stream_logs", Some(&line("failed", 7))).await;
        assert_eq!((refused.0, &api.object("analyses", id).await.unwrap()["status"]["reported"]), (403, &Value::Null));
        for (progress, status) in [(1, "executing"), (40, "executing"), (40, "executing")] {
            let taken = api.ask_with(own.clone(), "POST", "/po/stream_logs", Some(&line(status, progress))).await;
            assert_eq!(taken, (200, Value::Null));
        }
        let reported = json!({"run": 1, "phase": "executing", "progress": 40});
        assert_eq!(api.object("analyses", id).await.unwrap()["status"]["reported"], reported);
        assert_eq!(api.ask("GET", &format!("/po/status/{id}"), None).await.1[id]["progress"], json!(40));

        assert_eq!(api.ask("PUT", &format!("/po/stop/{id}"), None).await, (200, json!({id: "stopped"})));
        api.until("GET", &format!("/po/status/{id}"), |told| told[id]["status"] == "stopped").await;
        // The controller has written the status since.
        assert_eq!(api.object("analyses", id).await.unwrap()["status"]["reported"], reported);
        assert_eq!(api.ask("POST", "/po", Some(&request(id))).await, (201, json!({id: "started"})));
        assert_eq!(api.object("analyses", id).await.unwrap()["spec"]["run"], json!(2));

        assert_eq!(api.ask("DELETE", &format!("/po/delete/{id}"), None).await, (200, json!({id: null})));
        api.until("GET", &format!("/po/status/{id}"), |told| *told == json!({})).await;
        assert_eq!(api.ask("DELETE", &format!("/po/delete/{id}"), None).await, (200, json!({})));
        assert_eq!(api.ask("PUT", &format!("/po/stop/{id}"), None).await, (200, json!({})));
        assert_eq!(api.ask("GET", &format!("/po/pods/{id}"), None).await, (200, json!({id: []})));
        assert_eq!(api.object("secrets", &format!("flame-harbor-{id}")).await, None);
    });
}

#[test]
fn many_who_create_one_analysis_at_once_make_one_and_each_is_told() {
    run(async {
        let api = Api::of(guarded().await).await;
        let id = "22222222-0000-4000-8000-000000000002";
        let body = request(id);
        for (status, told) in join_all((0..20).map(|_| api.ask("POST", "/po", Some(&body)))).await {
            assert_eq!(status, 201);
            assert!(["starting", "started"].map(|phase| json!({id: phase})).contains(&told), "{told}");
        }
        let analysis = api.object("analyses", id).await.unwrap();
        assert_eq!(analysis["spec"]["run"], json!(1));
        api.ask("DELETE", &format!("/po/delete/{id}"), None).await;
    });
}

#[test]
fn what_is_wrong_is_refused_and_nothing_is_stored() {
    run(async {
        let api = Api::of(guarded().await).await;
        let id = "22222222-0000-4000-8000-000000000003";
        let with = |field: &str, value: Value| {
            let mut body = request(id);
            body[field] = value;
            body
        };
        for (body, field) in [
            (with("project_id", json!("x { allow all; proxy_pass http://evil; } location /y")), "project_id"),
            (with("analysis_id", json!("../../x")), "analysis_id"),
            (with("image_url", json!("elsewhere.example/a")), "image_url"),
            (with("image_url", json!("harbor.example/other/a")), "image_url"),
            (with("registry_url", json!("elsewhere.example")), "registry_url"),
            (with("registry_password", json!({"x": PASSWORD})), "registry_password"),
            (with("kong_token", Value::Null), "kong_token"),
        ] {
            let (status, told) = api.ask("POST", "/po", Some(&body)).await;
            assert_eq!((status, &told["detail"][0]["loc"]), (422, &json!(["body", field])), "{body}: {told}");
            assert!(!told.to_string().contains(PASSWORD) && !told.to_string().contains(KONG), "{told}");
        }
        for (status, detail, body) in [
            (413, json!("the body has more than 64 KiB"), with("registry_password", json!("x".repeat(1 << 16)))),
            (422, json!("json_invalid"), nested(200)),
        ] {
            let (answered, told) = api.ask("POST", "/po", Some(&body)).await;
            let said = if status == 413 { &told["detail"] } else { &told["detail"][0]["type"] };
            assert_eq!((answered, said), (status, &detail));
        }
        assert_eq!(api.object("analyses", id).await, None);
        for name in ["flame-harbor", "flame-tokens"] {
            assert_eq!(api.object("secrets", &format!("{name}-{id}")).await, None);
        }
        let detail = |text: &str| json!({"detail": text});
        for (method, path, want) in [
            ("GET", "/po/nothing", (404, detail("Not Found"))),
            ("GET", "/", (404, detail("Not Found"))),
            ("POST", "/po/status", (405, detail("Method Not Allowed"))),
            ("GET", &format!("/po/history/{id}"), (200, json!({"analysis": {}, "nginx": {}}))),
            ("GET", &format!("/po/logs/{id}"), (200, json!({"analysis": {}, "nginx": {}}))),
        ] {
            assert_eq!(api.ask(method, path, None).await, want, "{method} {path}");
        }
        let (status, told) = api.ask("DELETE", "/po/delete/x", None).await;
        assert_eq!((status, &told["detail"][0]["loc"]), (422, &json!(["path", "analysis_id"])));
    });
}

#[test]
fn a_token_is_good_for_what_the_realm_and_the_settings_say_and_no_more() {
    run(async {
        let api = Api::of(guarded().await).await;
        let (own, other) = ("22222222-0000-4000-8000-000000000004", "22222222-0000-4000-8000-000000000005");
        let stranger = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let with = |field: &str, value: Value| {
            let mut claims = claims("hub-adapter");
            claims[field] = value;
            token(&REALM.key, &claims)
        };
        let now = Timestamp::now().as_second();
        for (what, shown) in [
            ("none", None),
            ("no token", Some("x".to_owned())),
            ("unsigned", Some("eyJhbGciOiJub25lIn0.e30.".to_owned())),
            ("another key", Some(token(&stranger, &claims("hub-adapter")))),
            ("another realm", Some(with("iss", json!(format!("{}/realms/other", REALM.address))))),
            ("expired", Some(with("exp", json!(now - 60)))),
            ("not yet", Some(with("nbf", json!(now + 120)))),
            ("refresh", Some(with("typ", json!("Refresh")))),
        ] {
            let told = api.ask_with(shown, "DELETE", "/po/delete", None).await;
            assert_eq!(told, (401, json!({"detail": "Not authenticated"})), "{what}");
        }
        let analysis = || Some(token(&REALM.key, &claims(own)));
        let nobody = || Some(token(&REALM.key, &claims("somebody")));
        let line =
            |id: &str| json!({"log": "x", "log_type": "info", "analysis_id": id, "status": "executing", "progress": 1});
        let (mine, theirs, body) = (line(own), line(other), request(own));
        for (shown, method, path, body, want) in [
            (None, "GET", "/po/healthz", None, 200),
            (Some(with("azp", json!("x"))), "GET", "/po/status", None, 403),
            (Some(with("realm_access", json!({"roles": ["node-admin"]}))), "GET", "/po/status", None, 200),
            (nobody(), "GET", "/po/status", None, 403),
            (nobody(), "POST", "/po/stream_logs", Some(&mine), 403),
            (analysis(), "POST", "/po/stream_logs", Some(&mine), 200),
            (analysis(), "POST", "/po/stream_logs", Some(&theirs), 403),
            (analysis(), "POST", "/po", Some(&body), 403),
            (analysis(), "GET", "/po/status", None, 403),
            (analysis(), "PUT", "/po/stop", None, 403),
            (analysis(), "DELETE", "/po/delete", None, 403),
            (analysis(), "DELETE", "/po/cleanup/all", None, 403),
        ] {
            let (status, told) = api.ask_with(shown, method, path, body).await;
            assert_eq!(status, want, "{method} {path}: {told}");
            if path == "/po/stream_logs" && want == 200 {
                assert_eq!(told, Value::Null);
            }
        }
    });
}

#[test]
fn while_the_api_server_is_down_each_call_is_answered_as_flame_does() {
    run(async {
        let guarded = guarded().await;
        let folder = guarded.cluster.plane.folder().join("without-api-server");
        std::fs::create_dir_all(&folder).unwrap();
        let text = std::fs::read_to_string(guarded.cluster.plane.kubeconfig("nobody", None)).unwrap();
        let server = Regex::new("https://127.0.0.1:[0-9]+").unwrap();
        std::fs::write(folder.join("kubeconfig"), server.replace_all(&text, "https://127.0.0.1:1").as_ref()).unwrap();
        let files = with_api(policy_files(&[]), &Realm::of_tests());
        let cluster = Cluster::connect(Some(&folder.join("kubeconfig")), "test").await.unwrap();
        let served = Served::start(guarded, cluster, &files, OutsideFiles::default()).await;
        let api = &served.api;
        let id = "22222222-0000-4000-8000-000000000006";
        let body = request(id);
        for (method, path, body, doing) in [
            ("POST", "/po".to_owned(), Some(&body), "creating analysis"),
            ("GET", "/po/status".to_owned(), None, "retrieving ALL status data"),
            ("GET", format!("/po/status/{id}"), None, "retrieving status data"),
            ("GET", format!("/po/logs/{id}"), None, "retrieving logs data"),
            ("GET", "/po/pods".to_owned(), None, "retrieving ALL pod names"),
            ("PUT", format!("/po/stop/{id}"), None, "stopping analysis"),
            ("DELETE", "/po/delete".to_owned(), None, "deleting ALL analyzes"),
            ("DELETE", "/po/cleanup/all".to_owned(), None, "cleaning up"),
        ] {
            let want = (500, json!({"detail": format!("Error {doing} (see po logs).")}));
            assert_eq!(api.ask(method, &path, body).await, want, "{method} {path}");
        }
        assert_eq!(api.ask("GET", "/po/healthz", None).await, (200, json!({"status": "ok"})));
        served.stopped().await;
    });
}

/// So many lists, one in the other.
fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |inner, _| json!([inner]))
}
