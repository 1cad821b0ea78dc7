//! Edge: the token of each analysis, from Keycloak into its Secret and nowhere else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::bundle::keycloak_token;
use crate::keycloak::{Keycloak, KeycloakProblem, KeycloakSettings};
use crate::model::{AnalysisObject, Secret};
use crate::policy::TokenSettings;
use crate::remote::{Address, Remote, RemoteProblem, Ways};

/// Who makes clients and fetches tokens.
pub(super) struct Tokens(Keycloak);

/// Why there can be no tokens at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokensProblem {
    /// Nobody has said with which secret to log in.
    #[error("the Orchestrator has a section `tokens`, and no file holds the client's secret: set --keycloak-secret")]
    NoFile,
    /// The file cannot be read.
    #[error("cannot read the Keycloak client's secret from {file}")]
    File {
        /// Which file.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Keycloak cannot be reached as the settings say.
    #[error("cannot ask Keycloak")]
    Remote(#[from] RemoteProblem),
}

impl Tokens {
    /// As the settings say, with the secret in that file.
    pub(super) fn of(settings: &TokenSettings, secret: Option<&Path>) -> Result<Self, TokensProblem> {
        let file = secret.ok_or(TokensProblem::NoFile)?;
        let text = fs::read_to_string(file)
            .map_err(|source| TokensProblem::File { file: file.display().to_string(), source })?;
        let ways = Ways { authorities: None, http_proxy: None, https_proxy: None, patience: PATIENCE };
        let settings = KeycloakSettings {
            address: Address::parse(&settings.keycloak)?,
            realm: settings.realm.clone(),
            client: settings.client.clone(),
            secret: Secret::new(text.trim_end()),
        };
        Ok(Tokens(Keycloak::new(Remote::new(&ways)?, settings)))
    }

    /// What is to stand in the analysis's Secret: a fresh token, to be renewed when half of its time is over.
    pub(super) async fn secret(&self, analysis: &AnalysisObject, uid: &str) -> Result<Value, KeycloakProblem> {
        let asked = Timestamp::now();
        let client = self.0.client(&analysis.id.to_string()).await?;
        let token = self.0.token(&client).await?;
        let half = token.expires.duration_since(asked) / 2;
        let renew_after = asked.saturating_add(half.max(SOONEST)).unwrap_or(asked);
        Ok(keycloak_token(analysis.id, &analysis.namespace, uid, token.text.reveal(), renew_after))
    }

    /// Takes the analysis's client away; one that is gone is taken away.
    pub(super) async fn forget(&self, analysis: &AnalysisObject) -> Result<(), KeycloakProblem> {
        self.0.delete(&analysis.id.to_string()).await
    }
}

/// A token that ends at once must not be asked for again and again.
const SOONEST: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);
