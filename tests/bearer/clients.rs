//! The clients of analyses, against a stand-in: what is asked, how often, and what becomes of refusals.
//! That the real Keycloak does as the stand-in does is shown in `tests/keycloak`.

use std::time::Duration;

use flamewarden::keycloak::{AnalysisClient, Keycloak, KeycloakProblem, KeycloakSettings};
use flamewarden::model::Secret;
use flamewarden::remote::{Address, Remote, Ways};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::stand_in::{Asked, Reply, StandIn};
use crate::tokens::ANALYSIS;

#[tokio::test]
async fn a_client_is_made_once_as_one_that_only_gets_tokens() {
    let mut clients = Vec::new();
    let system = StandIn::start(move |asked| realm(asked, &mut clients)).await;
    let keycloak = keycloak(&system);
    for _ in 0..2 {
        let client = keycloak.client(&ANALYSIS.to_uppercase()).await.unwrap();
        assert_eq!((client.analysis.as_str(), client.secret.reveal()), (ANALYSIS, "secret-of-1"));
    }
    let find = format!("GET /admin/realms/flame/clients?clientId={ANALYSIS}");
    let read = "GET /admin/realms/flame/clients/1/client-secret".to_owned();
    let create = "POST /admin/realms/flame/clients".to_owned();
    let login = "POST /realms/flame/protocol/openid-connect/token".to_owned();
    let want = [login, find.clone(), create, find.clone(), read.clone(), find, read];
    assert_eq!(lines(&system), want);
    let made: Value = serde_json::from_str(&system.asked()[2].body).unwrap();
    let want = json!({
        "clientId": ANALYSIS, "name": format!("flame-{ANALYSIS}"), "enabled": true, "protocol": "openid-connect",
        "publicClient": false, "serviceAccountsEnabled": true, "standardFlowEnabled": false,
        "implicitFlowEnabled": false, "directAccessGrantsEnabled": false, "redirectUris": [], "webOrigins": [],
    });
    assert_eq!(made, want);
    let login = &system.asked()[0].body;
    assert_eq!(login, "grant_type=client_credentials&client_id=service1&client_secret=hunter2%26");
}

#[tokio::test]
async fn who_comes_second_gets_the_client_that_the_first_has_made() {
    // Nobody is there at the first look; then somebody is, and the creation is refused.
    for status in [409, 500] {
        let mut looks = 0;
        let system = StandIn::start(move |asked| match (asked.method.as_str(), asked.path.contains("clientId=")) {
            (_, true) => {
                looks += 1;
                Reply::body(if looks == 1 { "[]".to_owned() } else { json!([ours(1)]).to_string() })
            }
            ("POST", _) if asked.path.ends_with("/clients") => Reply::status(status),
            _ => realm(asked, &mut Vec::new()),
        })
        .await;
        let client = keycloak(&system).client(ANALYSIS).await.unwrap();
        assert_eq!(client.secret.reveal(), "secret-of-1", "{status}");
    }
}

#[tokio::test]
async fn a_token_comes_by_the_analysis_s_own_secret() {
    let system = StandIn::start(|asked| realm(asked, &mut Vec::new())).await;
    let client = AnalysisClient { analysis: ANALYSIS.to_owned(), secret: Secret::new("own") };
    let begun = jiff::Timestamp::now();
    let token = keycloak(&system).token(&client).await.unwrap();
    assert_eq!(token.text.reveal(), "token-1");
    let lasts = token.expires.duration_since(begun).as_secs();
    assert!((300..=360).contains(&lasts), "{lasts}");
    let want = format!("grant_type=client_credentials&client_id={ANALYSIS}&client_secret=own");
    assert_eq!(system.asked().into_iter().map(|asked| asked.body).collect::<Vec<_>>(), [want]);
}

#[tokio::test]
async fn one_login_serves_until_shortly_before_its_end_and_is_renewed_where_it_is_not_taken() {
    for (lasts, logins) in [(300, 1), (30, 3), (0, 3)] {
        let system = StandIn::start(move |asked| match asked.path.ends_with("/token") {
            true => token_reply("t", lasts),
            false => Reply::body("[]"),
        })
        .await;
        let keycloak = keycloak(&system);
        for _ in 0..3 {
            assert_eq!(keycloak.analyses().await.unwrap(), Vec::<String>::new());
        }
        assert_eq!(system.asked().iter().filter(|asked| asked.path.ends_with("/token")).count(), logins, "{lasts} s");
    }
    let mut logins = 0;
    let system = StandIn::start(move |asked| match asked.path.ends_with("/token") {
        true => {
            logins += 1;
            token_reply(&format!("t{logins}"), 300)
        }
        false if asked.bearer.as_deref() == Some("t1") => Reply::status(401),
        false => Reply::body("[]"),
    })
    .await;
    let keycloak = keycloak(&system);
    assert_eq!(keycloak.analyses().await.unwrap(), Vec::<String>::new());
    assert_eq!(keycloak.analyses().await.unwrap(), Vec::<String>::new());
    let bearers: Vec<_> = system.asked().into_iter().map(|asked| asked.bearer.unwrap_or_default()).collect();
    assert_eq!(bearers, ["", "t1", "", "t2", "t2"]);
    system.answer(|asked| if asked.path.ends_with("/token") { token_reply("t", 300) } else { Reply::status(401) });
    let said = keycloak.analyses().await.unwrap_err();
    assert_eq!(told(&said), ("cannot list the clients of analyses: Keycloak answered 401".to_owned(), false));
}

#[tokio::test]
async fn only_clients_of_analyses_are_listed_used_and_deleted() {
    let page: Vec<Value> = (0..205).map(ours).collect();
    let foreign = [
        json!({"id": "a", "clientId": "service1", "name": "Test service"}),
        json!({"id": "b", "clientId": "flame-ui", "name": "flame-ui"}),
        json!({"id": "c", "clientId": "bare"}),
    ];
    let all = [page, foreign.to_vec()].concat();
    let listed = all.clone();
    let system = StandIn::start(move |asked| {
        let number = |name: &str| {
            let (_, rest) = asked.path.split_once(&format!("{name}="))?;
            rest.split('&').next()?.parse::<usize>().ok()
        };
        match (number("first"), number("max")) {
            (Some(first), Some(most)) => {
                Reply::body(json!(listed.iter().skip(first).take(most).collect::<Vec<_>>()).to_string())
            }
            _ => realm(asked, &mut Vec::new()),
        }
    })
    .await;
    let keycloak = keycloak(&system);
    assert_eq!(keycloak.analyses().await.unwrap(), (0..205).map(id).collect::<Vec<_>>());
    assert_eq!(system.times(), 4, "a login and three pages");

    for name in [json!("Reporting"), Value::Null, json!("flame-1d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f")] {
        let foreign = json!([{"id": "x", "clientId": ANALYSIS, "name": name}]).to_string();
        let system = StandIn::start(move |asked| match asked.path.contains("clientId=") {
            true => Reply::body(foreign.clone()),
            false => realm(asked, &mut Vec::new()),
        })
        .await;
        let keycloak = self::keycloak(&system);
        let want = format!("client {ANALYSIS} is not an analysis's: its name is not `flame-{ANALYSIS}`");
        for said in [keycloak.client(ANALYSIS).await.map(drop), keycloak.new_secret(ANALYSIS).await.map(drop)] {
            assert_eq!(told(&said.unwrap_err()), (want.clone(), false));
        }
        keycloak.delete(ANALYSIS).await.unwrap();
        assert_eq!(system.asked().iter().filter(|asked| asked.method != "GET").count(), 1, "only the login");
    }
}

#[tokio::test]
async fn what_is_gone_is_deleted() {
    let here = || json!([ours(1)]);
    let gone = || json!([]);
    for (first, then, status, want) in [
        (gone(), gone(), 500, None),
        (here(), here(), 204, None),
        (here(), here(), 404, None),
        // As who comes second is answered while the first deletes.
        (here(), gone(), 500, None),
        (here(), here(), 403, Some(false)),
        (here(), here(), 503, Some(true)),
    ] {
        let mut looks = [first, then].map(|found| found.to_string()).into_iter();
        let system = StandIn::start(move |asked| match (asked.method.as_str(), asked.path.contains("clientId=")) {
            (_, true) => Reply::body(looks.next().unwrap()),
            ("DELETE", _) => Reply::status(status),
            _ => realm(asked, &mut Vec::new()),
        })
        .await;
        let said = keycloak(&system).delete(ANALYSIS).await;
        assert_eq!(said.as_ref().err().map(KeycloakProblem::may_pass), want, "{status} {said:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_keycloak_s_words_and_without_secrets() {
    let login = |status: u16, body: &str| {
        let body = body.as_bytes().to_vec();
        move |_: &Asked| Reply { body: body.clone(), ..Reply::status(status) }
    };
    let system =
        StandIn::start(login(401, r#"{"error":"invalid_client","error_description":"Invalid client\ncredentials"}"#))
            .await;
    let keycloak = keycloak(&system);
    let mut said = vec![keycloak.client(ANALYSIS).await.unwrap_err()];
    for (status, body) in [(503, ""), (429, "<html>"), (200, "<html>"), (200, r#"{"access_token":1}"#)] {
        system.answer(login(status, body));
        said.push(keycloak.client(ANALYSIS).await.unwrap_err());
    }
    said.push(keycloak.client("service1").await.unwrap_err());
    system.answer(login(200, &"x".repeat(256 * 1024 + 1)));
    said.push(keycloak.client(ANALYSIS).await.unwrap_err());
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = Address::parse(&format!("http://{nobody}")).unwrap();
    said.push(keycloak_at(&nobody).client(ANALYSIS).await.unwrap_err());
    let want = [
        ("cannot log in to Keycloak: Keycloak answered 401: Invalid client\\u{a}credentials", false),
        ("cannot log in to Keycloak: Keycloak answered 503", true),
        ("cannot log in to Keycloak: Keycloak answered 429", true),
        ("cannot log in to Keycloak: Keycloak's answer is not understood", false),
        ("cannot log in to Keycloak: Keycloak's answer is not understood", false),
        ("`service1` is no id of an analysis", false),
        ("cannot log in to Keycloak: the answer has more than 262144 bytes", false),
        ("cannot log in to Keycloak: no answer", true),
    ];
    for (said, (text, passes)) in said.iter().zip(want) {
        assert!(said.to_string().starts_with(text), "{said} is not {text}");
        assert_eq!(said.may_pass(), passes, "{said}");
    }
    assert_eq!(said.len(), want.len());
    assert!(!format!("{said:?}").contains("hunter2"), "{said:?}");
}

fn keycloak(system: &StandIn) -> Keycloak {
    keycloak_at(&system.address)
}

fn keycloak_at(address: &Address) -> Keycloak {
    let ways = Ways::plain(Duration::from_secs(60));
    let settings = KeycloakSettings {
        address: address.clone(),
        realm: "flame".to_owned(),
        client: "service1".to_owned(),
        secret: Secret::new("hunter2&"),
    };
    assert!(!format!("{settings:?}").contains("hunter2"));
    Keycloak::new(Remote::new(&ways).unwrap(), settings)
}

/// A realm that makes clients, gives each a secret, and hands out tokens.
fn realm(asked: &Asked, clients: &mut Vec<Value>) -> Reply {
    match asked.method.as_str() {
        "POST" if asked.path.ends_with("/token") => token_reply("token-1", 300),
        "POST" if asked.path.ends_with("/clients") => {
            let mut client: Value = serde_json::from_str(&asked.body).unwrap();
            client["id"] = json!((clients.len() + 1).to_string());
            clients.push(client);
            Reply::status(201)
        }
        "GET" if asked.path.ends_with("/client-secret") => {
            let id = asked.path.split('/').nth(5).unwrap();
            Reply::body(json!({"type": "secret", "value": format!("secret-of-{id}")}).to_string())
        }
        "GET" if asked.path.contains("?clientId=") => Reply::body(json!(clients).to_string()),
        _ => Reply::status(404),
    }
}

fn token_reply(text: &str, lasts: u64) -> Reply {
    Reply::body(json!({"access_token": text, "expires_in": lasts, "token_type": "Bearer"}).to_string())
}

fn ours(number: usize) -> Value {
    let client = id(number);
    json!({"id": number.to_string(), "clientId": client, "name": format!("flame-{client}")})
}

fn id(number: usize) -> String {
    if number == 1 { ANALYSIS.to_owned() } else { format!("0d8a1f2e-1c2b-4d3e-8f40-{number:012}") }
}

fn told(problem: &KeycloakProblem) -> (String, bool) {
    (problem.to_string(), problem.may_pass())
}

fn lines(system: &StandIn) -> Vec<String> {
    system.asked().into_iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect()
}
