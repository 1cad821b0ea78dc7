//! What kept Keycloak from doing what was asked, and at what.

use std::fmt;

use serde::Deserialize;

use crate::remote::{Answer, RemoteProblem};
use crate::telemetry::printable;

/// What was being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    /// Our own token.
    LogIn,
    /// The analysis's client by its id.
    Find(String),
    /// A client for the analysis.
    Create(String),
    /// Its secret.
    ReadSecret(String),
    /// Another secret in its place.
    NewSecret(String),
    /// A token as the analysis's client.
    FetchToken(String),
    /// The analysis's client.
    Delete(String),
    /// All that are ours.
    List,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum KeycloakProblem {
    /// Keycloak did not answer.
    #[error("cannot {doing}: {source}")]
    Remote {
        /// What was being done.
        doing: Doing,
        /// Why not.
        source: RemoteProblem,
    },
    /// Keycloak refused.
    #[error("cannot {doing}: Keycloak answered {status}{reason}")]
    Refused {
        /// What was being done.
        doing: Doing,
        /// 401 and so on.
        status: u16,
        /// What Keycloak says of it, if anything, with a colon before it.
        reason: String,
    },
    /// Keycloak answered something else than it does.
    #[error("cannot {doing}: Keycloak's answer is not understood")]
    Shape {
        /// What was being done.
        doing: Doing,
    },
    /// Made just now, or found, and gone the next moment.
    #[error("the client of analysis {0} was deleted meanwhile")]
    Gone(String),
    /// It bears an analysis's id and is not the one that is made for analyses: it is neither used nor deleted.
    #[error("client {0} is not an analysis's: its name is not `flame-{0}`")]
    Foreign(String),
    /// Nothing is asked about it.
    #[error("`{}` is no id of an analysis", printable(.0))]
    Id(String),
}

impl KeycloakProblem {
    /// Whether the same may be done a moment later: Keycloak did not answer, or was too busy to.
    pub fn may_pass(&self) -> bool {
        match self {
            KeycloakProblem::Remote { source, .. } => source.may_pass(),
            KeycloakProblem::Refused { status, .. } => *status == 408 || *status == 429 || *status >= 500,
            KeycloakProblem::Gone(_) => true,
            KeycloakProblem::Shape { .. } | KeycloakProblem::Foreign(_) | KeycloakProblem::Id(_) => false,
        }
    }

    /// An answer with a status that it should not have.
    pub(super) fn refused(doing: Doing, answer: &Answer) -> Self {
        let said: Said = answer.json().unwrap_or_default();
        let text = said.error_description.or(said.error_message).or(said.error);
        let reason = text.map(|text| format!(": {}", printable(&text))).unwrap_or_default();
        KeycloakProblem::Refused { doing, status: answer.status, reason }
    }
}

/// The three forms in which Keycloak says what it does not like.
#[derive(Default, Deserialize)]
struct Said {
    error: Option<String>,
    error_description: Option<String>,
    #[serde(rename = "errorMessage")]
    error_message: Option<String>,
}

impl fmt::Display for Doing {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doing::LogIn => to.write_str("log in to Keycloak"),
            Doing::Find(id) => write!(to, "find the client of analysis {id}"),
            Doing::Create(id) => write!(to, "create a client for analysis {id}"),
            Doing::ReadSecret(id) => write!(to, "read the secret of the client of analysis {id}"),
            Doing::NewSecret(id) => write!(to, "replace the secret of the client of analysis {id}"),
            Doing::FetchToken(id) => write!(to, "fetch a token for analysis {id}"),
            Doing::Delete(id) => write!(to, "delete the client of analysis {id}"),
            Doing::List => to.write_str("list the clients of analyses"),
        }
    }
}
