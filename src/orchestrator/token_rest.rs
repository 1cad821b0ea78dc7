//! Why an analysis has no fresh token, or its client in Keycloak is not taken away, and when that is tried again.

use std::time::Duration;

use jiff::Timestamp;

use crate::keycloak::KeycloakProblem;
use crate::model::Backoff;

/// Why there is no token, or the client is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenTrouble {
    /// Keycloak cannot be asked as the settings say.
    NotSetUp,
    /// Keycloak does not answer.
    Unavailable,
    /// Keycloak refuses.
    Refused,
    /// The API server takes no Secret with it.
    SecretRefused,
}

/// What was tried in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenRest {
    /// Why.
    pub(super) trouble: TokenTrouble,
    /// When it is tried again.
    pub(super) until: Timestamp,
    failures: u32,
}

impl TokenTrouble {
    /// For a condition: a word and a sentence. Nothing of what Keycloak says stands in it.
    pub(super) fn told(self) -> (&'static str, &'static str) {
        match self {
            TokenTrouble::NotSetUp => ("KeycloakNotSetUp", "Keycloak cannot be asked; the log of the start says why"),
            TokenTrouble::Unavailable => ("KeycloakUnavailable", "Keycloak does not answer; it is asked again"),
            TokenTrouble::Refused => ("KeycloakRefused", "Keycloak refuses; the log says why"),
            TokenTrouble::SecretRefused => {
                ("SecretRefused", "the API server refuses the Secret with its fresh token; the log says why")
            }
        }
    }

    /// What a problem of Keycloak's comes to.
    pub(super) fn of(problem: &KeycloakProblem) -> Self {
        if problem.may_pass() { TokenTrouble::Unavailable } else { TokenTrouble::Refused }
    }
}

impl TokenRest {
    /// After one more failure; ever longer.
    pub(super) fn after(before: Option<&TokenRest>, trouble: TokenTrouble, now: Timestamp) -> Self {
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        TokenRest { trouble, until: now.saturating_add(BACKOFF.after(failures)).unwrap_or(now), failures }
    }
}

const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
