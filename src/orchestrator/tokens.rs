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
        let trouble = match timeout(PATIENCE, self.keycloak.delete(&analysis.id.to_string())).await {
            Ok(Ok(())) => None,
            Ok(Err(problem)) => {
                warn!(analysis = %analysis.id, problem = %whole(&problem), "its client is not taken away");
                Some(TokenTrouble::of(&problem))
            }
            Err(_) => {
                warn!(analysis = %analysis.id, "its client is not taken away: Keycloak is too slow");
                Some(TokenTrouble::Unavailable)
            }
        };
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
            Some(_) => "refused",
        };
        self.metrics.called(KEYCLOAK, outcome, trouble != Some(TokenTrouble::Unavailable));
    }
}

/// A token that ends at once must not be asked for again and again.
const SOONEST: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);
/// As metrics name it.
const KEYCLOAK: &str = "keycloak";
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::any;
    use tokio::net::TcpListener;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::model::{Secret, WantedState};
    use crate::orchestrator::testing::analysis;
    use crate::remote::{Remote, Ways};

    #[tokio::test(start_paused = true)]
    async fn all_questions_together_have_the_time_of_one() {
        // Each answer comes in time, and what is asked for does not.
        let answer = || async {
            sleep(Duration::from_secs(6)).await;
            r#"{"access_token": "t", "expires_in": 3600}"#
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(any(answer))).await });
        for begins in [false, true] {
            let remote = Remote::new(&Ways::plain(PATIENCE)).unwrap();
            let (realm, client, secret) = ("flame".to_owned(), "service1".to_owned(), Secret::new("x"));
            let keycloak = Keycloak::new(remote, KeycloakSettings { address: address.clone(), realm, client, secret });
            let tokens = Tokens { keycloak, metrics: Arc::new(Metrics::new()) };
            let (analysis, begun) = (analysis(None, (WantedState::Running, 1, 1), false), Instant::now());
            let trouble = match begins {
                true => tokens.secret(&analysis, "uid").await.err(),
                false => tokens.forget(&analysis).await.err(),
            };
            assert_eq!((trouble, begun.elapsed().as_secs()), (Some(TokenTrouble::Unavailable), 10), "{begins}");
        }
    }
}
