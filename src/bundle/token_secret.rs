//! The Secret that holds what the analysis shows to the node's services.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Tokens;
use crate::model::{AnalysisId, Secret, labels};

/// `flame-tokens-<id>`, with a key for each environment variable of the same name.
pub fn token_secret(analysis: AnalysisId, namespace: &str, tokens: &Tokens) -> Value {
    let mut data = Map::new();
    data.insert(DATA_SOURCE.to_owned(), json!(STANDARD.encode(&tokens.data_source)));
    if let Some(token) = &tokens.keycloak {
        data.insert(KEYCLOAK.to_owned(), json!(STANDARD.encode(token)));
    }
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {
            "name": name(analysis), "namespace": namespace, "labels": {labels::ANALYSIS: analysis.to_string()},
        },
        "data": data,
    })
}

/// What is added to the Secret of that uid: the token of the analysis's Keycloak client, and when to renew it.
pub fn keycloak_token(analysis: AnalysisId, namespace: &str, uid: &str, token: &str, renew_after: Timestamp) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "name": name(analysis), "namespace": namespace, "uid": uid,
            "annotations": {labels::RENEW_TOKEN: renew_after.to_string()},
        },
        "data": {KEYCLOAK: STANDARD.encode(token)},
    })
}

/// The token that stands in a stored Secret.
pub fn token_in(secret: &Value) -> Option<Secret> {
    let text = STANDARD.decode(secret.pointer("/data")?.get(KEYCLOAK)?.as_str()?).ok()?;
    String::from_utf8(text).ok().map(Secret::new)
}

/// The name of an analysis's token Secret.
pub fn name(analysis: AnalysisId) -> String {
    format!("flame-tokens-{analysis}")
}

/// The environment variables that are keys of the Secret, as FLAME's SDK reads them.
pub(super) const DATA_SOURCE: &str = "DATA_SOURCE_TOKEN";
pub(super) const KEYCLOAK: &str = "KEYCLOAK_TOKEN";
