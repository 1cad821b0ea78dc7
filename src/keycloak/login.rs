//! Edge: tokens by client id and secret; our own is kept until shortly before its end.

use std::time::Duration;

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{Doing, KeycloakProblem};
use crate::model::Secret;
use crate::remote::{Address, Content, HeldToken, Question, Remote};

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
    held: HeldToken,
}

/// Where a realm hands out tokens.
pub(super) struct TokenDesk {
    pub(super) remote: Remote,
    pub(super) address: Address,
}

impl Login {
    pub(super) fn new(client: String, secret: Secret) -> Self {
        Login { client, secret, held: HeldToken::default() }
    }

    /// A token of ours.
    pub(super) async fn token(&self, desk: &TokenDesk) -> Result<Secret, KeycloakProblem> {
        let grant = async {
            let granted = desk.grant(Doing::LogIn, &self.client, &self.secret).await?;
            Ok((granted.text, granted.lasts))
        };
        self.held.token(grant).await
    }

    /// A token that Keycloak does not take any more is not shown again.
    pub(super) async fn forget(&self, token: &Secret) {
        self.held.forget(token).await;
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

const LONGEST: usize = 256 * 1024;
