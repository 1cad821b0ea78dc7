//! Edge: tokens by client id and secret; our own is kept until shortly before its end.

use std::time::Duration;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Doing, KeycloakProblem};
use crate::model::Secret;
use crate::remote::{Address, Content, Question, Remote};

/// An access token.
#[derive(Debug, Clone)]
pub struct Token {
    /// What is shown.
    pub text: Secret,
    /// Until when, by this machine's clock.
    pub expires: Timestamp,
}

/// Our own client, and the token that it has at the moment.
pub(super) struct Login {
    client: String,
    secret: Secret,
    held: Mutex<Option<Held>>,
}

struct Held {
    text: Secret,
    /// By a clock that nobody sets.
    until: Instant,
}

/// Where a realm hands out tokens.
pub(super) struct TokenDesk {
    pub(super) remote: Remote,
    pub(super) address: Address,
}

impl Login {
    pub(super) fn new(client: String, secret: Secret) -> Self {
        Login { client, secret, held: Mutex::new(None) }
    }

    /// A token of ours. Many who ask at once wait for one.
    pub(super) async fn token(&self, desk: &TokenDesk) -> Result<Secret, KeycloakProblem> {
        let mut held = self.held.lock().await;
        let asked = Instant::now();
        if let Some(held) = held.as_ref().filter(|held| asked < held.until) {
            return Ok(held.text.clone());
        }
        let granted = desk.grant(Doing::LogIn, &self.client, &self.secret).await?;
        let until = asked + granted.lasts.saturating_sub(BEFORE_ITS_END);
        *held = Some(Held { text: granted.text.clone(), until });
        Ok(granted.text)
    }

    /// A token that Keycloak does not take any more is not shown again.
    pub(super) async fn forget(&self, token: &Secret) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.text.reveal() == token.reveal()) {
            *held = None;
        }
    }
}

/// A token as it was handed out.
pub(super) struct Granted {
    text: Secret,
    lasts: Duration,
}

impl Granted {
    pub(super) fn starting(self, asked: Timestamp) -> Token {
        let lasts = SignedDuration::try_from(self.lasts).unwrap_or(SignedDuration::ZERO);
        Token { text: self.text, expires: asked.saturating_add(lasts).unwrap_or(asked) }
    }
}

impl TokenDesk {
    /// A token by client id and secret.
    pub(super) async fn grant(&self, doing: Doing, client: &str, secret: &Secret) -> Result<Granted, KeycloakProblem> {
        let (kind, client) = (Secret::new("client_credentials"), Secret::new(client));
        let form = [("grant_type", &kind), ("client_id", &client), ("client_secret", secret)];
        let question = Question {
            method: Method::POST,
            address: self.address.clone(),
            bearer: None,
            content: Content::Form(&form),
            longest: LONGEST,
        };
        let answer = match self.remote.ask(question).await {
            Ok(answer) => answer,
            Err(source) => return Err(KeycloakProblem::Remote { doing, source }),
        };
        if answer.status != 200 {
            return Err(KeycloakProblem::refused(doing, &answer));
        }
        let handed: Handed = answer.json().ok_or(KeycloakProblem::Shape { doing })?;
        Ok(Granted { text: handed.access_token, lasts: Duration::from_secs(handed.expires_in) })
    }
}

#[derive(Deserialize)]
struct Handed {
    access_token: Secret,
    /// Seconds.
    expires_in: u64,
}

/// Long enough for a question that is on its way when the token ends.
const BEFORE_ITS_END: Duration = Duration::from_secs(30);
const LONGEST: usize = 256 * 1024;
