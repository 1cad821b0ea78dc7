//! A client as Keycloak writes it, and which of them are analyses'.

use serde::Deserialize;
use serde_json::{Value, json};

use super::KeycloakProblem;
use crate::model::Secret;

/// What is read of a client.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Client {
    /// Keycloak's own id of it.
    pub(super) id: String,
    #[serde(rename = "clientId")]
    pub(super) client_id: String,
    name: Option<String>,
}

/// A client's secret.
#[derive(Deserialize)]
pub(super) struct Credential {
    pub(super) value: Option<Secret>,
}

impl Client {
    /// Whether it was made for an analysis, by FLAME or by us. The name alone is not enough: a part of the node may
    /// well be called `flame-something`.
    pub(super) fn is_ours(&self) -> bool {
        is_id(&self.client_id) && self.name.as_deref() == Some(&name(&self.client_id))
    }
}

/// The client of an analysis: it gets tokens by its secret, and nobody logs in by it.
pub(super) fn made(id: &str) -> Value {
    json!({
        "clientId": id,
        "name": name(id),
        "enabled": true,
        "protocol": "openid-connect",
        "publicClient": false,
        "serviceAccountsEnabled": true,
        "standardFlowEnabled": false,
        "implicitFlowEnabled": false,
        "directAccessGrantsEnabled": false,
        "redirectUris": [],
        "webOrigins": [],
    })
}

/// The id of an analysis as it is written everywhere: a UUID in small letters.
pub(super) fn canonical(id: &str) -> Result<String, KeycloakProblem> {
    let small = id.to_ascii_lowercase();
    if is_id(&small) { Ok(small) } else { Err(KeycloakProblem::Id(id.to_owned())) }
}

fn is_id(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let hexadecimal = |group: &&str| group.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    groups.iter().map(|group| group.len()).eq(GROUPS) && groups.iter().all(hexadecimal)
}

fn name(id: &str) -> String {
    format!("flame-{id}")
}

/// Digits of a UUID.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";

    #[test]
    fn only_a_client_of_an_analysis_s_id_and_name_is_ours() {
        let named = |id: &str, name: Option<&str>| Client {
            id: "1".to_owned(),
            client_id: id.to_owned(),
            name: name.map(str::to_owned),
        };
        for (id, name, ours) in [
            (ID, Some("flame-0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f"), true),
            (ID, Some("flame-1d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f"), false),
            (ID, Some("Reporting"), false),
            (ID, None, false),
            ("node-ui", Some("flame-node-ui"), false),
            ("service1", Some("Test service"), false),
        ] {
            assert_eq!(named(id, name).is_ours(), ours, "{id} {name:?}");
        }
    }

    #[test]
    fn an_id_is_a_uuid_in_small_letters() {
        let said = |id: &str| canonical(id).map_err(|problem| problem.to_string());
        assert_eq!(said(ID), Ok(ID.to_owned()));
        assert_eq!(said("0D8A1F2E-1C2B-4D3E-8F40-1A2B3C4D5E6F"), Ok(ID.to_owned()));
        for id in ["", "service1", "0d8a1f2e1c2b4d3e8f401a2b3c4d5e6f", "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6g", "../x"] {
            assert_eq!(said(id), Err(format!("`{id}` is no id of an analysis")));
        }
    }
}
