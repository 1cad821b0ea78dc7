//! Edge: the token of each analysis, from Keycloak into its Secret and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::timeout;
use tracing::warn;

use super::OutsideFiles;
use super::outside::OutsideProblem;
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

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenTrouble {
    /// Keycloak cannot be asked as the settings say.
    NotSetUp,
    /// Keycloak does not answer.
    Unavailable,
    /// Keycloak does not give it.
    Refused,
}

/// What was asked for in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenRest {
    /// Why.
    pub(super) trouble: TokenTrouble,
    /// When it is asked for again.
    pub(super) until: Timestamp,
    failures: u32,
}

impl TokenTrouble {
    /// For a condition: a word and a sentence. Nothing of what Keycloak says stands in it.
    pub(super) fn told(self) -> (&'static str, &'static str) {
        match self {
            TokenTrouble::NotSetUp => ("KeycloakNotSetUp", "Keycloak cannot be asked; the log of the start says why"),
            TokenTrouble::Unavailable => ("KeycloakUnavailable", "Keycloak does not answer; it is asked again"),
            TokenTrouble::Refused => ("KeycloakRefused", "Keycloak gives no token; the log says why"),
        }
    }

    fn of(problem: &KeycloakProblem) -> Self {
        if problem.may_pass() { TokenTrouble::Unavailable } else { TokenTrouble::Refused }
    }
}

impl TokenRest {
    /// After one more failure; ever longer.
    pub(super) fn after(before: Option<&TokenRest>, trouble: TokenTrouble, now: Timestamp) -> Self {
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        let pause = (FIRST_RETRY * 2i32.saturating_pow(failures.min(10))).min(LAST_RETRY);
        TokenRest { trouble, until: now.saturating_add(pause).unwrap_or(now), failures }
    }
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
    pub(super) async fn forget(&self, analysis: &AnalysisObject) -> Result<(), KeycloakProblem> {
        let done = self.keycloak.delete(&analysis.id.to_string()).await;
        self.count(done.as_ref().err().map(TokenTrouble::of));
        done
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
const FIRST_RETRY: jiff::SignedDuration = jiff::SignedDuration::from_millis(100);
const LAST_RETRY: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);
/// As metrics name it.
const KEYCLOAK: &str = "keycloak";
const PATIENCE: Duration = Duration::from_secs(10);
