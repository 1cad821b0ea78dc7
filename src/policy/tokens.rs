//! How each analysis comes to a token of its own.

use serde::Deserialize;

use super::api::{address, flame, word};

/// The section `tokens` of an Orchestrator: each analysis gets a client of this realm and its token. Without it whoever
/// asks for an analysis puts a token into its Secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenSettings {
    /// Where Keycloak is.
    #[serde(deserialize_with = "address")]
    pub keycloak: String,
    /// The realm.
    #[serde(default = "flame", deserialize_with = "word")]
    pub realm: String,
    /// A client whose service account may make and delete clients; its secret comes from a file.
    #[serde(default = "service1", deserialize_with = "word")]
    pub client: String,
}

fn service1() -> String {
    "service1".to_owned()
}
