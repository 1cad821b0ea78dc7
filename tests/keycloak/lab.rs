//! The one Keycloak of a test run, who may stop it, and what tests ask of it themselves.

use std::sync::Arc;

use flamewarden::keycloak::Keycloak;
use flamewarden::model::Secret;
use flamewarden::remote::{Address, Content, Question};
use flamewarden::serve::{Expected, Realm};
use flamewarden::telemetry::Metrics;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::server::{ADMIN, ADMIN_PASSWORD, HUB_ADAPTER_SECRET, Server, client, flame_realm, remote};

/// While it is held, nobody stops Keycloak.
pub(crate) async fn running() -> RwLockReadGuard<'static, Server> {
    server().await.read().await
}

/// While it is held, nobody else needs Keycloak.
pub(crate) async fn alone() -> RwLockWriteGuard<'static, Server> {
    server().await.write().await
}

async fn server() -> &'static RwLock<Server> {
    static SERVER: OnceCell<RwLock<Server>> = OnceCell::const_new();
    SERVER.get_or_init(|| async { RwLock::new(Server::start(&[flame(), other()]).await) }).await
}

fn flame() -> Value {
    let mut short = client("short", "short-secret");
    short["attributes"] = json!({"access.token.lifespan": "1"});
    flame_realm(&[short])
}

/// Another realm of the same Keycloak.
fn other() -> Value {
    json!({"realm": "other", "enabled": true, "accessTokenLifespan": 7200, "clients": [client("hub-adapter", HUB_ADAPTER_SECRET)]})
}

/// The check of a realm's tokens; it has fetched nothing yet.
pub(crate) fn realm(server: &Server, name: &str, issuers: &[&str]) -> Arc<Realm> {
    let keycloak = server.address();
    let issuers = issuers.iter().map(|issuer| issuer_of(&keycloak, issuer)).collect();
    let expected = Expected { issuers, audience: None };
    Realm::new(remote(), &keycloak, name, expected, Arc::new(Metrics::new()))
}

/// What a realm calls itself.
pub(crate) fn issuer_of(keycloak: &Address, realm: &str) -> String {
    keycloak.below(&["realms", realm]).as_str().to_owned()
}

/// What makes clients in the realm `flame`.
pub(crate) fn keycloak(server: &Server) -> Keycloak {
    Keycloak::new(remote(), server.settings())
}

/// What a client is given for its id, its secret and more.
pub(crate) async fn grant(server: &Server, realm: &str, form: &[(&str, &str)]) -> Value {
    let address = server.address().below(&["realms", realm, "protocol", "openid-connect", "token"]);
    let secrets: Vec<(&str, Secret)> = form.iter().map(|(name, value)| (*name, Secret::new(*value))).collect();
    let form: Vec<(&str, &Secret)> = secrets.iter().map(|(name, value)| (*name, value)).collect();
    let question =
        Question { method: Method::POST, address, bearer: None, content: Content::Form(&form), longest: LONGEST };
    let answer = remote().ask(question).await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.bytes()));
    answer.json().unwrap()
}

/// A client's own token.
pub(crate) async fn token(server: &Server, realm: &str, client: &str, secret: &str) -> String {
    let form = [("grant_type", "client_credentials"), ("client_id", client), ("client_secret", secret)];
    grant(server, realm, &form).await["access_token"].as_str().unwrap().to_owned()
}

/// Asks as the administrator of all realms; gives status and body.
pub(crate) async fn administer(server: &Server, method: Method, path: &[&str], body: Option<&Value>) -> (u16, Value) {
    let form =
        [("grant_type", "password"), ("client_id", "admin-cli"), ("username", ADMIN), ("password", ADMIN_PASSWORD)];
    let granted = grant(server, "master", &form).await;
    let token = Secret::new(granted["access_token"].as_str().unwrap());
    let question = Question {
        method,
        address: server.address().below(&["admin", "realms"]).below(path),
        bearer: Some(&token),
        content: body.map_or(Content::Nothing, Content::Json),
        longest: LONGEST,
    };
    let answer = remote().ask(question).await.unwrap();
    (answer.status, answer.json().unwrap_or_default())
}

const LONGEST: usize = 4 * 1024 * 1024;
