//! The Secret that pulls the analysis's image.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::Credentials;
use crate::model::{AnalysisId, labels};

/// `flame-harbor-<id>`, of one analysis alone: credentials that are given for one image pull no other's.
pub fn pull_secret(analysis: AnalysisId, namespace: &str, credentials: &Credentials) -> Value {
    let Credentials { registry, user, password } = credentials;
    let auth = STANDARD.encode(format!("{user}:{password}"));
    let config = json!({"auths": {registry: {"username": user, "password": password, "auth": auth}}});
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {
            "name": name(analysis), "namespace": namespace, "labels": {labels::ANALYSIS: analysis.to_string()},
        },
        "data": {".dockerconfigjson": STANDARD.encode(config.to_string())},
    })
}

/// The name of an analysis's pull secret.
pub fn name(analysis: AnalysisId) -> String {
    format!("flame-harbor-{analysis}")
}
