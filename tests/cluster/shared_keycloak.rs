//! The Keycloak that tests share which do not stop it: a realm as FLAME's chart makes it, and one whose tokens end soon.

use std::path::{Path, PathBuf};

use flamewarden::keycloak::Keycloak;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::keycloak::{Server, flame_realm, remote};
use crate::part::write_file;

/// Started by the first test that asks.
pub(crate) async fn keycloak() -> &'static Server {
    static SHARED: OnceCell<Server> = OnceCell::const_new();
    SHARED.get_or_init(async || Server::start(&[flame_realm(&[]), short_lived()]).await).await
}

/// The section `tokens` for one of its realms, and the file with the secret in this folder.
pub(crate) fn tokens(server: &Server, realm: &str, folder: &Path) -> (String, PathBuf) {
    let secret = folder.join("secret");
    write_file(&secret, &format!("{}\n", server.settings().secret.reveal()));
    (format!("  tokens: {{keycloak: {}, realm: {realm}}}\n", server.address().as_str()), secret)
}

/// As an orchestrator uses the realm `flame`.
pub(crate) fn user_of(server: &Server) -> Keycloak {
    Keycloak::new(remote(), server.settings())
}

/// The ids of all clients of a realm that name an analysis in any way.
pub(crate) async fn clients_of(server: &Server, realm: &str, analysis: &str) -> Vec<String> {
    let (status, clients) = server.administer(Method::GET, &[realm, "clients"], None).await;
    assert_eq!(status, 200, "{clients}");
    let all = clients.as_array().unwrap();
    assert!(all.iter().any(|client| client["clientId"] == "service1"), "the list is whole");
    let named = all.iter().filter(|client| client.to_string().contains(analysis));
    named.map(|client| client["clientId"].as_str().unwrap().to_owned()).collect()
}

/// Its tokens are renewed after half of their time.
fn short_lived() -> Value {
    let mut realm: Value =
        serde_json::from_str(&flame_realm(&[]).to_string().replace("default-roles-flame", "default-roles-short"))
            .unwrap();
    realm["realm"] = json!(SHORT);
    realm["accessTokenLifespan"] = json!(20);
    realm
}

/// The realm of tokens that end soon.
pub(crate) const SHORT: &str = "short";
