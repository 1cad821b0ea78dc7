//! The client of an analysis: made by two at once, asked for tokens, given another secret, deleted.

use flamewarden::keycloak::{Keycloak, KeycloakProblem};
use flamewarden::model::Secret;
use futures::future::join_all;
use http::Method;
use jiff::Timestamp;
use serde_json::json;

use crate::lab::{keycloak, realm, running};

#[tokio::test]
async fn those_who_make_a_client_at_once_get_the_same_one() {
    let server = running().await;
    let id = "a0000000-0000-4000-8000-000000000001";
    let makers: Vec<Keycloak> = (0..8).map(|_| keycloak(&server)).collect();
    let made = join_all(makers.iter().map(|maker| maker.client(id))).await;
    let secrets: Vec<String> = made.into_iter().map(|client| client.unwrap().secret.reveal().to_owned()).collect();
    assert!(secrets.iter().all(|secret| secret == &secrets[0] && secret.len() >= 32), "{secrets:?}");
    let (_, clients) = server.administer(Method::GET, &["flame", "clients"], None).await;
    let ours: Vec<_> = clients.as_array().unwrap().iter().filter(|client| client["clientId"] == id).collect();
    let shown: Vec<_> = ours
        .iter()
        .map(|client| {
            let flags = ["publicClient", "standardFlowEnabled", "directAccessGrantsEnabled", "serviceAccountsEnabled"];
            (client["name"].clone(), client["redirectUris"].clone(), flags.map(|flag| client[flag].clone()))
        })
        .collect();
    let flags = [json!(false), json!(false), json!(false), json!(true)];
    assert_eq!(shown, [(json!(format!("flame-{id}")), json!([]), flags)]);
    assert!(makers[0].analyses().await.unwrap().contains(&id.to_owned()));
}

#[tokio::test]
async fn an_analysis_s_token_says_its_id_until_its_client_is_deleted() {
    let server = running().await;
    let id = "a0000000-0000-4000-8000-000000000002";
    let keycloak = keycloak(&server);
    let first = keycloak.client(id).await.unwrap();
    let token = keycloak.token(&first).await.unwrap();
    let lasts = token.expires.duration_since(Timestamp::now()).as_secs();
    assert!((7100..=7200).contains(&lasts), "{lasts}");
    let bearer = realm(&server, "flame", &["flame"]).check(token.text.reveal(), Timestamp::now()).await.unwrap();
    assert_eq!((bearer.client.as_str(), bearer.subject.is_some()), (id, true));
    assert!(!bearer.roles.iter().any(|role| role.client.as_deref() == Some("realm-management")), "{:?}", bearer.roles);

    let second = keycloak.new_secret(id).await.unwrap();
    assert_eq!(refused(keycloak.token(&first).await), Some(401));
    assert_eq!(keycloak.client(id).await.unwrap().secret.reveal(), second.secret.reveal());
    assert_eq!(refused(keycloak.token(&second).await), None);

    let deleted = join_all([keycloak.delete(id), keycloak.delete(id), keycloak.delete(id)]).await;
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    keycloak.delete(id).await.unwrap();
    assert_eq!(refused(keycloak.token(&second).await), Some(401));
    assert!(!keycloak.analyses().await.unwrap().contains(&id.to_owned()));
}

#[tokio::test]
async fn a_client_of_somebody_else_s_is_neither_used_nor_deleted_and_keeps_nothing_from_being_deleted() {
    let server = running().await;
    let id = "a0000000-0000-4000-8000-000000000003";
    let foreign = json!({"clientId": id, "name": "Reporting", "serviceAccountsEnabled": true});
    assert_eq!(server.administer(Method::POST, &["flame", "clients"], Some(&foreign)).await.0, 201);
    let keycloak = keycloak(&server);
    assert!(matches!(keycloak.client(id).await, Err(KeycloakProblem::Foreign(_))));
    assert!(matches!(keycloak.new_secret(id).await, Err(KeycloakProblem::Foreign(_))));
    keycloak.delete(id).await.unwrap();
    assert!(!keycloak.analyses().await.unwrap().contains(&id.to_owned()));
    let (_, clients) = server.administer(Method::GET, &["flame", "clients"], None).await;
    assert!(clients.as_array().unwrap().iter().any(|client| client["clientId"] == id && client["name"] == "Reporting"));
}

#[tokio::test]
async fn clients_are_found_across_pages() {
    let server = running().await;
    let keycloak = keycloak(&server);
    let ids: Vec<String> = (0..120).map(|number| format!("b0000000-0000-4000-8000-{number:012}")).collect();
    for some in ids.chunks(10) {
        for made in join_all(some.iter().map(|id| keycloak.client(id))).await {
            made.unwrap();
        }
    }
    let ours = |found: Vec<String>| found.into_iter().filter(|id| id.starts_with("b0000000")).collect::<Vec<_>>();
    let mut found = ours(keycloak.analyses().await.unwrap());
    found.sort();
    assert_eq!(found, ids);
    for some in ids.chunks(10) {
        for deleted in join_all(some.iter().map(|id| keycloak.delete(id))).await {
            deleted.unwrap();
        }
    }
    assert_eq!(ours(keycloak.analyses().await.unwrap()), Vec::<String>::new());
}

#[tokio::test]
async fn who_may_not_log_in_is_told_so_and_need_not_try_again() {
    let server = running().await;
    let mut settings = server.settings();
    settings.secret = Secret::new("wrong");
    let said = Keycloak::new(crate::server::remote(), settings).analyses().await.unwrap_err();
    let want = "cannot log in to Keycloak: Keycloak answered 401: Invalid client or Invalid client credentials";
    assert_eq!((said.to_string().as_str(), said.may_pass()), (want, false));
    let mut settings = server.settings();
    (settings.client, settings.secret) = ("hub-adapter".to_owned(), Secret::new(crate::server::HUB_ADAPTER_SECRET));
    let said = Keycloak::new(crate::server::remote(), settings).analyses().await.unwrap_err();
    assert!(said.to_string().starts_with("cannot list the clients of analyses: Keycloak answered 403"), "{said}");
    assert!(!said.may_pass());
}

/// The status with which Keycloak refused a token, if it did.
fn refused<T: std::fmt::Debug>(said: Result<T, KeycloakProblem>) -> Option<u16> {
    match said {
        Ok(_) => None,
        Err(KeycloakProblem::Refused { status, .. }) => Some(status),
        Err(other) => panic!("{other}"),
    }
}
