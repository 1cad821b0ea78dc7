//! Keycloak gets a new key while tokens of the old one are about.

use flamewarden::serve::Refusal;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::lab::{realm, running};
use crate::server::HUB_ADAPTER_SECRET;

#[tokio::test]
async fn a_new_key_counts_at_once_and_the_old_one_until_it_is_removed() {
    let server = running().await;
    let checks = realm(&server, "other", &["other"]);
    let begun = Timestamp::now();
    let asks = async |now| {
        let token = server.token("other", "hub-adapter", HUB_ADAPTER_SECRET).await;
        (checks.check(&token, now).await.map(|bearer| bearer.client), token)
    };
    let passes = Ok("hub-adapter".to_owned());
    let (said, old) = asks(begun).await;
    assert_eq!(said, passes);

    let (_, realm) = server.administer(Method::GET, &["other"], None).await;
    let components = ["other", "components"];
    let key = json!({
        "name": "rotated", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
        "parentId": realm["id"], "config": {"priority": ["200"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]},
    });
    assert_eq!(server.administer(Method::POST, &components, Some(&key)).await.0, 201);
    // As if ten seconds had passed since the first fetch.
    let later = begun + SignedDuration::from_secs(10);
    let (said, new) = asks(later).await;
    assert_ne!(key_of(&old), key_of(&new), "the token is signed by the new key");
    assert_eq!(said, passes);
    assert_eq!(checks.check(&old, later).await.map(|bearer| bearer.client), passes);

    let (_, found) = server.administer(Method::GET, &components, None).await;
    let former =
        found.as_array().unwrap().iter().find(|one| one["providerId"] == "rsa-generated" && one["name"] != "rotated");
    let former = former.unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.administer(Method::DELETE, &["other", "components", &former], None).await.0, 204);
    let much_later = begun + SignedDuration::from_mins(6);
    checks.refresh(much_later).await;
    assert_eq!(checks.check(&old, much_later).await.map(drop), Err(Refusal::UnknownKey(key_of(&old))));
    assert_eq!(checks.check(&new, much_later).await.map(|bearer| bearer.client), passes);
}

/// The key that a token names.
fn key_of(token: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}
