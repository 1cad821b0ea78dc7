//! Edge: the token of each analysis, from Keycloak into its Secret and nowhere else.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::OutsideFiles;
use super::outside::OutsideProblem;
use crate::bundle::keycloak_token;
use crate::keycloak::{Keycloak, KeycloakProblem, KeycloakSettings};
use crate::model::AnalysisObject;
use crate::policy::{TokenSettings, WaySettings};
use crate::remote::Address;

/// Who makes clients and fetches tokens.
pub(super) struct Tokens(Keycloak);

impl Tokens {
    /// As the settings say, with the client's secret from its file.
    pub(super) fn of(
        settings: &TokenSettings,
        ways: &WaySettings,
        files: &OutsideFiles,
    ) -> Result<Self, OutsideProblem> {
        let settings = KeycloakSettings {
            address: Address::parse(&settings.keycloak)?,
            realm: settings.realm.clone(),
            client: settings.client.clone(),
            secret: files.keycloak_secret()?,
        };
        Ok(Tokens(Keycloak::new(files.remote(ways, PATIENCE)?, settings)))
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
