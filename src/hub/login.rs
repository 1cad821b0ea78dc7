//! Edge: tokens of the Hub by client id and secret.

use std::time::Duration;

use http::Method;
use serde::Deserialize;

use super::{Doing, HubProblem};
use crate::model::Secret;
use crate::remote::{Address, Content, HeldToken, Question, Remote};

/// Who asks.
pub(super) struct Login {
    /// Where tokens are handed out.
    pub(super) address: Address,
    pub(super) client: String,
    pub(super) secret: Secret,
    pub(super) held: HeldToken,
}

impl Login {
    /// A token of ours.
    pub(super) async fn token(&self, remote: &Remote) -> Result<Secret, HubProblem> {
        self.held.token(self.grant(remote)).await
    }

    async fn grant(&self, remote: &Remote) -> Result<(Secret, Duration), HubProblem> {
        let (kind, client) = (Secret::new("client_credentials"), Secret::new(&self.client));
        let fields = [("grant_type", &kind), ("client_id", &client), ("client_secret", &self.secret)];
        let question = Question {
            method: Method::POST,
            address: self.address.clone(),
            bearer: None,
            content: Content::Object(&fields),
            longest: LONGEST,
        };
        let doing = Doing::LogIn;
        let answer = remote.ask(question).await.map_err(|source| HubProblem::Remote { doing, source })?;
        if answer.status != 200 {
            return Err(HubProblem::refused(doing, &answer, &[&self.secret]));
        }
        let handed: Handed = answer.json().ok_or(HubProblem::Shape { doing })?;
        Ok((handed.access_token, Duration::from_secs(handed.expires_in)))
    }
}

#[derive(Deserialize)]
struct Handed {
    access_token: Secret,
    /// Seconds.
    expires_in: u64,
}

const LONGEST: usize = 256 * 1024;
