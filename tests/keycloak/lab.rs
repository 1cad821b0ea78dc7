//! The one Keycloak of a test run, and who may stop it.

use std::sync::Arc;

use flamewarden::keycloak::Keycloak;
use flamewarden::remote::Address;
use flamewarden::serve::{Expected, Realm};
use flamewarden::telemetry::Metrics;
use serde_json::{Value, json};
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::people::people_realm;
use crate::server::{HUB_ADAPTER_SECRET, Server, client, flame_realm, remote};

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
    SERVER
        .get_or_init(|| async { RwLock::new(Server::start(&[flame(), other(), people_realm(PAGES_ARE_AT)]).await) })
        .await
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

/// Where people who log in are sent; nobody goes there.
pub(crate) const PAGES_ARE_AT: &str = "https://pages.example.org";
