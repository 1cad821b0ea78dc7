//! Edge: the token of each analysis, from Keycloak into its Secret and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::timeout;
use tracing::warn;

use super::OutsideFiles;
use super::outside::OutsideProblem;
use super::token_rest::TokenTrouble;
use crate::bundle::keycloak_token;
use crate::keycloak::{Keycloak, KeycloakProblem, KeycloakSettings, Token};
use crate::model::AnalysisObject;
use crate::policy::{TokenSettings, WaySettings};
use crate::remote::Address;
use crate::telemetry::{Metrics, whole};

/// Who makes clients and fetches tokens.
pub(super) struct Tokens {
    keycloak: Keycloak,
    metrics: Arc<Metrics>,
}

impl Tokens {
    /// As the settings say, with the client's secret from its file.
    pub(super) fn of(
        settings: &TokenSettings,
        ways: &WaySettings,
        files: &OutsideFiles,
        metrics: Arc<Metrics>,
    ) -> Result<Self, OutsideProblem> {
        let settings = KeycloakSettings {
            address: Address::parse(&settings.keycloak)?,
            realm: settings.realm.clone(),
            client: settings.client.clone(),
            secret: files.keycloak_secret()?,
        };
        Ok(Tokens { keycloak: Keycloak::new(files.remote(ways, PATIENCE)?, settings), metrics })
    }

    /// What is to stand in the analysis's Secret: a fresh token, to be renewed when half of its time is over.
    pub(super) async fn secret(&self, analysis: &AnalysisObject, uid: &str) -> Result<Value, TokenTrouble> {
        let asked = Timestamp::now();
        // Several questions; an analysis that runs waits for all of them together no longer than for one.
        let done = timeout(PATIENCE, self.token(analysis)).await;
        let trouble = match &done {
            Ok(Ok(_)) => None,
            Ok(Err(problem)) => {
                warn!(analysis = %analysis.id, problem = %whole(problem), "no token");
                Some(TokenTrouble::of(problem))
            }
            Err(_) => {
                warn!(analysis = %analysis.id, "no token: Keycloak is too slow");
                Some(TokenTrouble::Unavailable)
            }
        };
        self.count(trouble);
        let (Ok(Ok(token)), None) = (done, trouble) else { return Err(trouble.unwrap_or(TokenTrouble::Unavailable)) };
        let half = token.expires.duration_since(asked) / 2;
        let renew_after = asked.saturating_add(half.max(SOONEST)).unwrap_or(asked);
        Ok(keycloak_token(analysis.id, &analysis.namespace, uid, token.text.reveal(), renew_after))
    }

    /// The ids of all analyses that have a client, whoever made it.
    pub(super) async fn clients(&self) -> Result<Vec<String>, KeycloakProblem> {
        self.keycloak.analyses().await
    }

    /// Takes the client of an analysis away that may not be there itself.
    pub(super) async fn forget_client(&self, analysis: &str) -> Result<(), KeycloakProblem> {
        self.keycloak.delete(analysis).await
    }

    /// Takes the analysis's client away; one that is gone is taken away.
    pub(super) async fn forget(&self, analysis: &AnalysisObject) -> Result<(), TokenTrouble> {
        let done = self.keycloak.delete(&analysis.id.to_string()).await;
        let trouble = done.as_ref().err().map(TokenTrouble::of);
        if let Err(problem) = done {
            warn!(analysis = %analysis.id, problem = %whole(&problem), "its client is not taken away");
        }
        self.count(trouble);
        trouble.map_or(Ok(()), Err)
    }

    async fn token(&self, analysis: &AnalysisObject) -> Result<Token, KeycloakProblem> {
        let client = self.keycloak.client(&analysis.id.to_string()).await?;
        self.keycloak.token(&client).await
    }

    fn count(&self, trouble: Option<TokenTrouble>) {
        let outcome = match trouble {
            None => "done",
            Some(TokenTrouble::Unavailable) => "unavailable",
            Some(TokenTrouble::Refused | TokenTrouble::NotSetUp) => "refused",
        };
        self.metrics.called(KEYCLOAK, outcome, trouble != Some(TokenTrouble::Unavailable));
    }
}

/// A token that ends at once must not be asked for again and again.
const SOONEST: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);
/// As metrics name it.
const KEYCLOAK: &str = "keycloak";
const PATIENCE: Duration = Duration::from_secs(10);
