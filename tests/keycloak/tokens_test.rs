//! Tokens that a real Keycloak makes, and which of them count.

use flamewarden::serve::{Refusal, Role};
use jiff::{SignedDuration, Timestamp};

use crate::lab::{issuer_of, realm, running};
use crate::server::{HUB_ADAPTER_SECRET, USER_PASSWORD};

#[tokio::test]
async fn the_hub_adapter_and_a_user_are_known_by_client_and_roles() {
    let server = running().await;
    let flame = realm(&server, "flame", &["flame"]);
    let adapter = server.token("flame", "hub-adapter", HUB_ADAPTER_SECRET).await;
    let bearer = flame.check(&adapter, Timestamp::now()).await.unwrap();
    assert_eq!(bearer.client, "hub-adapter");
    assert!(bearer.roles.contains(&Role::of_realm("default-roles-flame")), "{:?}", bearer.roles);
    let user = server.grant("flame", &user("openid")).await;
    let bearer = flame.check(user["access_token"].as_str().unwrap(), Timestamp::now()).await.unwrap();
    assert_eq!(bearer.client, "hub-adapter");
    assert!(bearer.roles.contains(&Role::of_client("node-ui", "admin")), "{:?}", bearer.roles);
    assert!(!bearer.roles.contains(&Role::of_realm("admin")), "{:?}", bearer.roles);

    let id = flame.check(user["id_token"].as_str().unwrap(), Timestamp::now()).await;
    assert_eq!(id, Err(Refusal::Kind("ID".to_owned())));
    let refresh = flame.check(user["refresh_token"].as_str().unwrap(), Timestamp::now()).await;
    assert_eq!(refresh, Err(Refusal::Algorithm("HS512".to_owned())));
}

#[tokio::test]
async fn another_realm_s_tokens_count_for_nothing() {
    let server = running().await;
    let foreign = server.token("other", "hub-adapter", HUB_ADAPTER_SECRET).await;
    let own = server.token("flame", "hub-adapter", HUB_ADAPTER_SECRET).await;
    let said = realm(&server, "flame", &["flame"]).check(&foreign, Timestamp::now()).await.unwrap_err();
    assert!(matches!(said, Refusal::UnknownKey(_)), "another realm's key: {said:?}");
    // The same where the key would do, and where both names would.
    let said = realm(&server, "other", &["flame"]).check(&foreign, Timestamp::now()).await;
    assert_eq!(said.map(drop), Err(Refusal::Issuer(issuer_of(&server.address(), "other"))));
    let said = realm(&server, "flame", &["flame", "other"]).check(&foreign, Timestamp::now()).await.unwrap_err();
    assert!(matches!(said, Refusal::UnknownKey(_)), "{said:?}");
    let (message, _) = own.rsplit_once('.').unwrap();
    let (_, signature) = foreign.rsplit_once('.').unwrap();
    let mixed = format!("{message}.{signature}");
    let said = realm(&server, "flame", &["flame"]).check(&mixed, Timestamp::now()).await;
    assert_eq!(said.map(drop), Err(Refusal::Signature));
}

#[tokio::test]
async fn a_token_ends() {
    let server = running().await;
    let flame = realm(&server, "flame", &["flame"]);
    let short = server.token("flame", "short", "short-secret").await;
    let now = Timestamp::now();
    assert_eq!(flame.check(&short, now).await.map(|bearer| bearer.client), Ok("short".to_owned()));
    let later = now + SignedDuration::from_secs(32);
    assert_eq!(flame.check(&short, later).await.map(drop), Err(Refusal::Expired));
    let earlier = now - SignedDuration::from_mins(2);
    assert_eq!(flame.check(&short, earlier).await.map(drop), Err(Refusal::Early));
}

/// A user who logs in by password, by the Hub adapter's client.
fn user(scope: &str) -> [(&str, &str); 6] {
    [
        ("grant_type", "password"),
        ("client_id", "hub-adapter"),
        ("client_secret", HUB_ADAPTER_SECRET),
        ("username", "flameuser"),
        ("password", USER_PASSWORD),
        ("scope", scope),
    ]
}
