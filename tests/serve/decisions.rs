//! Decisions are given to the controller alone, as soon as there are any.

use std::fs;
use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use flamewarden::app::{Running, start};
use flamewarden::serve::{Authority, client_certificate};
use jiff::Timestamp;
use json_patch::Patch;
use serde_json::{Value, json};

use crate::client::{Caller, Response};
use crate::server::{Place, review};

pub(crate) const CONTROLLER: &str = "flamewarden-controller";

/// A caller with a certificate for a name, of the authority in a folder.
pub(crate) fn named(place: &Place, folder: &Path, name: &str) -> Caller {
    let text = |file: &str| fs::read_to_string(folder.join(file)).unwrap();
    let authority = Authority::parse(&text("ca.crt"), &text("ca.key")).unwrap();
    let made = client_certificate(&authority, name, Timestamp::now()).unwrap();
    Caller::showing(&place.generation("first"), &made.certificate, &made.key)
}

/// A place whose folder has `ca.crt` too, as the Secret has.
pub(crate) fn place() -> Place {
    let place = Place::mounted();
    std::os::unix::fs::symlink("..data/ca.crt", place.certificates().join("ca.crt")).unwrap();
    place
}

pub(crate) async fn fetch(caller: &Caller, running: &Running, path: &str) -> Option<Response> {
    caller.connect(running.webhook.unwrap()).await.ok()?.try_fetch(path).await.ok()
}

async fn refuse(running: &Running, caller: &Caller, text: String) {
    let mut connection = caller.connect(running.webhook.unwrap()).await.unwrap();
    for path in ["/mutate", "/validate"] {
        assert_eq!(connection.post(path, text.clone()).await.unwrap().status, 200);
    }
}

/// The review with its pod as it is let in, and its answer.
async fn admit(running: &Running, caller: &Caller, text: &str) -> Value {
    let mut connection = caller.connect(running.webhook.unwrap()).await.unwrap();
    let patch = connection.post("/mutate", text.to_owned()).await.unwrap().json();
    let patch = STANDARD.decode(patch["response"]["patch"].as_str().unwrap()).unwrap();
    let mut review: Value = serde_json::from_str(text).unwrap();
    json_patch::patch(&mut review["request"]["object"], &serde_json::from_slice::<Patch>(&patch).unwrap()).unwrap();
    connection.post("/validate", review.to_string()).await.unwrap().json()
}

/// Number, outcome, analysis and object of each.
fn words(answer: &Value) -> Vec<String> {
    let told = answer["decisions"].as_array().unwrap().iter().map(|decision| {
        let text = |member: &str| decision[member].as_str().unwrap().to_owned();
        format!("{} {} {} of {}", decision["number"], text("outcome"), text("resource"), text("analysis"))
    });
    told.collect()
}

#[tokio::test]
async fn what_is_mended_and_what_is_let_in_is_told_as_well_and_what_is_left_alone_is_told_once() {
    let place = place();
    let running = place.start().await;
    let anybody = Caller::trusting(&place.generation("first"));
    let controller = named(&place, &place.generation("first"), CONTROLLER);
    let dry = review().replace(r#""dryRun":false"#, r#""dryRun":true"#);
    for text in [dry, review()] {
        assert_eq!(admit(&running, &anybody, &text).await["response"]["allowed"], true);
    }
    // Nothing to mend and nothing to refuse.
    let other = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u-2", "resource": {"group": "", "version": "v1", "resource": "pods"}, "operation": "DELETE",
        "name": "web", "namespace": "flame", "userInfo": {"username": "jane"},
        "oldObject": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}}},
    }});
    let mut connection = anybody.connect(running.webhook.unwrap()).await.unwrap();
    for path in ["/mutate", "/validate"] {
        assert_eq!(connection.post(path, other.to_string()).await.unwrap().json()["response"]["allowed"], true);
    }
    // What cannot be read is refused by both, and nobody knows what it is.
    for path in ["/mutate", "/validate"] {
        connection.post(path, other.to_string().replace("DELETE", "REMOVE")).await.unwrap();
    }
    let told = fetch(&controller, &running, "/decisions").await.unwrap().json();
    let want = [
        "1 patched pods of analysis-a",
        "2 allowed pods of analysis-a",
        "3 allowed pods of ",
        "4 refused other of ",
        "5 refused other of ",
    ];
    assert_eq!(words(&told), want, "{told}");
    let [mended, allowed] = [0, 1].map(|place| &told["decisions"][place]);
    assert!(mended["rules"].as_array().unwrap().contains(&json!("seccomp")), "{mended}");
    assert_eq!((&allowed["rules"], &allowed["about"], &allowed["user"]), (&json!([]), &Value::Null, &json!("jane")));
}

/// A review of a pod that a ReplicaSet makes.
fn owned() -> String {
    let owner = r#""metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":"u-r","controller":true}],"#;
    review().replace(r#""metadata":{"#, owner)
}

#[tokio::test]
async fn the_controller_gets_what_was_refused_and_confirms_it() {
    let place = place();
    let running = place.start().await;
    let anybody = Caller::trusting(&place.generation("first"));
    let controller = named(&place, &place.generation("first"), CONTROLLER);
    refuse(&running, &anybody, review().replace(r#""dryRun":false"#, r#""dryRun":true"#)).await;
    // Asked before there is anything to say.
    let asked = fetch(&controller, &running, "/decisions?run=&after=0");
    let ((), first) = tokio::join!(refuse(&running, &anybody, owned()), asked);
    let first = first.unwrap().json();
    assert_eq!(words(&first), ["1 patched pods of analysis-a", "2 refused pods of analysis-a"]);
    let decision = &first["decisions"][1];
    let shown = json!({"number": decision["number"], "outcome": decision["outcome"], "resource": decision["resource"],
        "operation": decision["operation"], "namespace": decision["namespace"], "name": decision["name"],
        "user": decision["user"], "about": decision["about"],
        "from": decision["from"], "checked": decision["checked"], "next": first["next"], "lost": first["lost"]});
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u-r"});
    assert_eq!(
        shown,
        json!({"number": 2, "outcome": "refused", "resource": "pods", "operation": "CREATE", "namespace": "flame",
            "name": "p", "user": "jane", "about": owner, "from": "127.0.0.1", "checked": false, "next": 2, "lost": 0})
    );
    assert!(decision["rules"].as_array().unwrap().contains(&json!("pull-secret")), "{decision}");
    refuse(&running, &anybody, review()).await;
    let path = format!("/decisions?run={}&after=2", first["run"].as_str().unwrap());
    let second = fetch(&controller, &running, &path).await.unwrap().json();
    assert_eq!((&second["decisions"][1]["number"], &second["decisions"][1]["about"]), (&json!(4), &Value::Null));
    assert_eq!(second["decisions"].as_array().unwrap().len(), 2, "the dry run left nothing");
    // A new leader gets what nobody confirmed.
    let again = fetch(&controller, &running, "/decisions").await.unwrap().json();
    assert_eq!(again, second);
}

#[tokio::test]
async fn nobody_else_is_given_any_decision() {
    let place = place();
    let running = place.start().await;
    place_other(&place);
    let ours = place.generation("first");
    refuse(&running, &Caller::trusting(&ours), review()).await;
    for (what, caller, status) in [
        ("the controller", named(&place, &ours, CONTROLLER), 200),
        ("no certificate", Caller::trusting(&ours), 404),
        ("another name", named(&place, &ours, "flamewarden-webhook"), 404),
        ("another authority", named(&place, &place.generation("other"), CONTROLLER), 404),
    ] {
        let response = fetch(&caller, &running, "/decisions").await.unwrap();
        assert_eq!(response.status, status, "{what}");
        // Without a check of the API server's certificate, whoever calls gets reviews answered.
        refuse(&running, &caller, review()).await;
    }
}

/// Another authority of the same make, which the webhook does not have.
fn place_other(place: &Place) {
    let names = ["other".to_owned()].into();
    flamewarden::serve::renew_folder(&place.generation("other"), &names, Timestamp::now()).unwrap();
}

#[tokio::test]
async fn with_a_check_of_the_api_server_each_authority_has_its_own_right() {
    let place = place();
    place_other(&place);
    let (ours, theirs) = (place.generation("first"), place.generation("other"));
    let mut settings = place.settings();
    settings.client_authorities = Some(theirs.join("ca.crt"));
    settings.client_name = None;
    let running = start(&settings, flamewarden::rules::judge).await.unwrap();
    let api_server = named(&place, &theirs, "apiserver");
    refuse(&running, &api_server, review()).await;
    let told = fetch(&named(&place, &ours, CONTROLLER), &running, "/decisions").await.unwrap().json();
    assert_eq!(told["decisions"][0]["checked"], true, "{told}");
    for (what, caller, reviewed, told) in [
        ("the API server", api_server, Some(200), Some(404)),
        ("the API server's authority, our name", named(&place, &theirs, CONTROLLER), Some(200), Some(404)),
        ("the controller", named(&place, &ours, CONTROLLER), Some(403), Some(200)),
        ("ours, but not the controller", named(&place, &ours, "x"), None, None),
        ("no certificate", Caller::trusting(&ours), None, None),
    ] {
        let post = async || caller.connect(running.webhook.unwrap()).await.ok()?.post("/validate", review()).await.ok();
        assert_eq!(post().await.map(|response| response.status), reviewed, "{what}");
        let response = fetch(&caller, &running, "/decisions").await;
        assert_eq!(response.map(|response| response.status), told, "{what}");
    }
}

#[tokio::test]
async fn a_new_authority_is_taken_and_the_former_one_forgotten() {
    let place = place();
    let running = place.start().await;
    let caller = Caller::trusting(&place.generation("first"));
    refuse(&running, &caller, review()).await;
    let old = named(&place, &place.generation("first"), CONTROLLER);
    assert_eq!(fetch(&old, &running, "/decisions").await.unwrap().status, 200);
    place.mount("second");
    let showing_new = |name: &str| {
        let text = |file: &str| fs::read_to_string(place.generation("second").join(file)).unwrap();
        let authority = Authority::parse(&text("ca.crt"), &text("ca.key")).unwrap();
        let made = client_certificate(&authority, name, Timestamp::now()).unwrap();
        Caller::showing(&place.generation("second"), &made.certificate, &made.key)
    };
    let new = showing_new(CONTROLLER);
    crate::server::until("the new authority is taken", async || {
        fetch(&new, &running, "/decisions").await.is_some_and(|response| response.status == 200)
    })
    .await;
    let text = |file: &str| fs::read_to_string(place.generation("first").join(file)).unwrap();
    let authority = Authority::parse(&text("ca.crt"), &text("ca.key")).unwrap();
    let made = client_certificate(&authority, CONTROLLER, Timestamp::now()).unwrap();
    let former = Caller::showing(&place.generation("second"), &made.certificate, &made.key);
    assert_eq!(fetch(&former, &running, "/decisions").await.unwrap().status, 404, "the former authority is forgotten");
}
