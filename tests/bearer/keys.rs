//! How often a realm is asked for its keys, and what holds while it cannot be.

use std::sync::Arc;
use std::time::Duration;

use flamewarden::remote::{Address, Remote, Ways};
use flamewarden::serve::{Realm, Refusal};
use flamewarden::telemetry::Metrics;
use futures::future::join_all;
use serde_json::json;

use crate::signer::set;
use crate::stand_in::{Reply, StandIn};
use crate::tokens::{ANALYSIS, NOW, REALM, at, claims, expected};

#[tokio::test]
async fn many_who_ask_at_once_share_one_fetch() {
    let lab = Lab::start().await;
    let held = lab.keycloak.hold().await;
    let askers: Vec<_> = (0..50).map(|_| tokio::spawn(lab.asker(token("k1"), NOW))).collect();
    lab.keycloak.until_asked(1).await;
    drop(held);
    for said in join_all(askers).await {
        assert_eq!(said.unwrap(), Ok(ANALYSIS.to_owned()));
    }
    assert_eq!(lab.fetches(), ["/realms/flame/protocol/openid-connect/certs"]);
}

#[tokio::test]
async fn keys_are_there_before_anybody_asks() {
    let lab = Lab::start().await;
    let fetching = tokio::spawn(Arc::clone(&lab.realm).keep_fresh());
    lab.keycloak.until_asked(1).await;
    fetching.abort();
}

#[tokio::test]
async fn who_hangs_up_ends_no_fetch_that_others_wait_for() {
    let lab = Lab::start().await;
    let held = lab.keycloak.hold().await;
    let first = tokio::spawn(lab.asker(token("k1"), NOW));
    lab.keycloak.until_asked(1).await;
    let second = tokio::spawn(lab.asker(token("k1"), NOW));
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    drop(held);
    assert_eq!(second.await.unwrap(), Ok(ANALYSIS.to_owned()));
    assert_eq!(lab.keycloak.times(), 1);
}

#[tokio::test]
async fn a_flood_of_invented_keys_is_one_question_in_ten_seconds() {
    let lab = Lab::start().await;
    assert_eq!(lab.check("k1", NOW).await, Ok(ANALYSIS.to_owned()));
    for (second, times) in [(0, 1), (9, 1), (10, 2), (19, 2), (20, 3)] {
        let askers = (0..40).map(|number| lab.asker(token(&format!("invented-{number}")), NOW + second));
        for (number, said) in join_all(askers).await.into_iter().enumerate() {
            assert_eq!(said, Err(Refusal::UnknownKey(format!("invented-{number}"))));
        }
        assert_eq!(lab.keycloak.times(), times, "after {second} s");
    }
    // What is no token of any key asks nothing at all.
    for token in ["", "a.b.c", "x.y"] {
        assert_eq!(lab.asker(token.to_owned(), NOW + 60).await, Err(Refusal::Form));
    }
    assert_eq!(lab.keycloak.times(), 3);
}

#[tokio::test]
async fn a_new_key_is_known_at_its_first_token_and_an_old_one_until_it_is_withdrawn() {
    let lab = Lab::start().await;
    assert_eq!(lab.check("k1", NOW).await, Ok(ANALYSIS.to_owned()));
    lab.publish(&["k2", "k1"]);
    assert_eq!(lab.check("k2", NOW + 10).await, Ok(ANALYSIS.to_owned()));
    assert_eq!(lab.check("k1", NOW + 10).await, Ok(ANALYSIS.to_owned()));
    lab.publish(&["k2"]);
    lab.realm.refresh(at(NOW + 309)).await;
    assert_eq!(lab.check("k1", NOW + 309).await, Ok(ANALYSIS.to_owned()), "fetched less than five minutes ago");
    lab.realm.refresh(at(NOW + 310)).await;
    assert_eq!(lab.keycloak.times(), 3);
    assert_eq!(lab.check("k1", NOW + 310).await, Err(Refusal::UnknownKey("k1".to_owned())));
}

#[tokio::test]
async fn while_the_realm_is_down_its_last_keys_hold_for_an_hour() {
    let lab = Lab::start().await;
    assert_eq!(lab.check("k1", NOW).await, Ok(ANALYSIS.to_owned()));
    lab.keycloak.always(Reply::status(503));
    for second in [300, 1800, 3600] {
        lab.realm.refresh(at(NOW + second)).await;
        assert_eq!(lab.check("k1", NOW + second).await, Ok(ANALYSIS.to_owned()), "after {second} s");
    }
    // Nobody can say whether a key is new or invented now.
    assert_eq!(lab.check("k2", NOW + 3600).await, Err(Refusal::NoKeys));
    assert_eq!(lab.check("k1", NOW + 3601).await, Err(Refusal::NoKeys));
    assert_eq!(lab.asker("no token".to_owned(), NOW + 3601).await, Err(Refusal::Form));
    assert_eq!(lab.metrics(), [("fetched_timestamp_seconds", NOW), ("fetches_failed_total", 3)]);
    lab.publish(&["k1"]);
    assert_eq!(lab.check("k1", NOW + 3609).await, Err(Refusal::NoKeys), "asked less than ten seconds ago");
    assert_eq!(lab.check("k1", NOW + 3610).await, Ok(ANALYSIS.to_owned()));
    assert_eq!(lab.check("k2", NOW + 3610).await, Err(Refusal::UnknownKey("k2".to_owned())));
    assert_eq!(lab.metrics(), [("fetched_timestamp_seconds", NOW + 3610), ("fetches_failed_total", 3)]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_no_keys_for_longer() {
    let lab = Lab::start().await;
    lab.realm.refresh(at(NOW + 7200)).await;
    lab.keycloak.always(Reply::status(503));
    assert_eq!(lab.check("k1", NOW).await, Err(Refusal::NoKeys));
}

#[tokio::test]
async fn an_answer_that_is_no_set_of_keys_changes_nothing() {
    let lab = Lab::start().await;
    assert_eq!(lab.check("k1", NOW).await, Ok(ANALYSIS.to_owned()));
    let elsewhere = StandIn::start(|_| Reply::body(published(&["k2"]))).await;
    let redirection = Reply { location: Some(elsewhere.address.as_str().to_owned()), ..Reply::status(302) };
    let mut long = published(&["k2"]);
    long.resize(1024 * 1024 + 1, b' ');
    let mut longest = published(&["k2"]);
    longest.resize(1024 * 1024, b' ');
    let bad = [
        Reply::status(500),
        Reply { body: published(&["k2"]), ..Reply::status(404) },
        redirection,
        Reply::body("<html>"),
        Reply::body(published(&[])),
        Reply::body(long),
    ];
    for (number, reply) in (1..).zip(bad) {
        lab.keycloak.always(reply.clone());
        assert_eq!(lab.check("k2", NOW + number * 10).await, Err(Refusal::NoKeys), "{}", reply.status);
        assert_eq!(lab.check("k1", NOW + number * 10).await, Ok(ANALYSIS.to_owned()), "{}", reply.status);
    }
    assert_eq!((lab.keycloak.times(), elsewhere.times()), (7, 0));
    lab.keycloak.always(Reply::body(longest));
    assert_eq!(lab.check("k2", NOW + 100).await, Ok(ANALYSIS.to_owned()));
}

#[tokio::test]
async fn a_realm_that_does_not_answer_is_waited_for_only_so_long() {
    let lab = Lab::with(Duration::from_millis(50)).await;
    let _held = lab.keycloak.hold().await;
    assert_eq!(lab.check("k1", NOW).await, Err(Refusal::NoKeys));
    assert_eq!(lab.metrics(), [("fetched_timestamp_seconds", 0), ("fetches_failed_total", 1)]);
}

/// A realm whose Keycloak is a stand-in that publishes `k1`.
struct Lab {
    keycloak: StandIn,
    realm: Arc<Realm>,
    metrics: Arc<Metrics>,
}

impl Lab {
    async fn start() -> Self {
        Lab::with(Duration::from_secs(60)).await
    }

    async fn with(patience: Duration) -> Self {
        let keycloak = StandIn::start(|_| Reply::body(published(&["k1"]))).await;
        let metrics = Arc::new(Metrics::new());
        let realm = realm(&keycloak.address, patience, &metrics);
        Lab { keycloak, realm, metrics }
    }

    fn publish(&self, names: &[&str]) {
        self.keycloak.always(Reply::body(published(names)));
    }

    async fn check(&self, key: &str, second: i64) -> Result<String, Refusal> {
        self.asker(token(key), second).await
    }

    fn asker(&self, token: String, second: i64) -> impl Future<Output = Result<String, Refusal>> + Send + use<> {
        let realm = Arc::clone(&self.realm);
        async move { realm.check(&token, at(second)).await.map(|bearer| bearer.client) }
    }

    fn fetches(&self) -> Vec<String> {
        self.keycloak.asked().into_iter().map(|asked| asked.path).collect()
    }

    fn metrics(&self) -> [(&'static str, i64); 2] {
        let text = self.metrics.text();
        ["fetched_timestamp_seconds", "fetches_failed_total"].map(|name| {
            let line = text.lines().find(|line| !line.starts_with('#') && line.contains(name)).unwrap();
            (name, line.rsplit_once(' ').unwrap().1.parse().unwrap())
        })
    }
}

fn realm(keycloak: &Address, patience: Duration, metrics: &Arc<Metrics>) -> Arc<Realm> {
    let ways = Ways::plain(patience);
    Realm::new(Remote::new(&ways).unwrap(), keycloak, "flame", expected(), Arc::clone(metrics))
}

fn published(names: &[&str]) -> Vec<u8> {
    let keys: Vec<_> = names.iter().map(|name| REALM.published(name, "RS256")).collect();
    set(&keys)
}

/// A token by a key, good for two hours.
fn token(key: &str) -> String {
    let mut claims = claims();
    claims["exp"] = json!(NOW + 7200);
    claims["iat"] = json!(0);
    REALM.token(&json!({"alg": "RS256", "kid": key}), &claims)
}
