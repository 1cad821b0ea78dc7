//! Why nobody is logged in, and whose fault that is.

use std::io;
use std::path::PathBuf;

use crate::remote::RemoteProblem;
use crate::serve::Refusal;
use crate::telemetry::printable;

/// Why nobody is logged in. It is for the log; what the browser is told hangs on [`OidcProblem::fault`].
#[derive(Debug, thiserror::Error)]
pub enum OidcProblem {
    /// A setting that could lead to no login.
    #[error("the login's setting `{0}` cannot be used")]
    Setting(&'static str),
    /// Nothing that nobody can guess.
    #[error("the system has no random numbers")]
    NoRandom,
    /// The cookie is not there, or somebody else wrote it.
    #[error("what the browser kept of its login is not understood")]
    Kept,
    /// The cookie is too old, or its time has not come.
    #[error("the login took longer than ten minutes")]
    Late,
    /// No callback of a provider's.
    #[error("what came back from the provider is not understood")]
    Query,
    /// Another browser's login, or an older one.
    #[error("what came back belongs to another login")]
    State,
    /// Somebody led the browser from one provider to another.
    #[error("what came back is of provider `{}`", printable(.0))]
    OtherIssuer(String),
    /// The provider says of itself that it always names itself.
    #[error("what came back does not say from which provider")]
    NoIssuer,
    /// In the provider's words, made printable.
    #[error("the provider refuses: {error}{}", after_colon(.description))]
    Denied {
        /// Such as `access_denied`.
        error: String,
        /// More of it, or nothing.
        description: String,
    },
    /// The code was used before, has ended, or is of another login.
    #[error("the provider does not take the code any more")]
    Code,
    /// The log says why: it was told when it was tried.
    #[error("the provider's configuration could not be fetched")]
    NoConfiguration,
    /// The client's secret.
    #[error("cannot read the login's secret {path}: {source}")]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The provider did not answer.
    #[error("cannot exchange the code: {0}")]
    Remote(#[from] RemoteProblem),
    /// The provider refused something else than the code.
    #[error("cannot exchange the code: the provider answered {status}{}", after_colon(.reason))]
    Refused {
        /// 401 and so on.
        status: u16,
        /// What it says of it, made printable, or nothing.
        reason: String,
    },
    /// The provider answered something else than a provider does.
    #[error("cannot exchange the code: the provider's answer is not understood")]
    Shape,
    /// The ID token counts for nothing.
    #[error("the provider's ID token counts for nothing: {0}")]
    Token(#[from] Refusal),
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What the browser brought is no part of its login: 400.
    Request,
    /// The login came to an end without success, and may be begun again: 401.
    Login,
    /// The provider's, or our own settings for it: 503.
    Provider,
}

impl OidcProblem {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            OidcProblem::Kept
            | OidcProblem::Late
            | OidcProblem::Query
            | OidcProblem::State
            | OidcProblem::OtherIssuer(_)
            | OidcProblem::NoIssuer => Fault::Request,
            OidcProblem::Denied { error, .. } if TROUBLES.contains(&error.as_str()) => Fault::Provider,
            OidcProblem::Denied { .. } | OidcProblem::Code | OidcProblem::Token(Refusal::Nonce) => Fault::Login,
            OidcProblem::Setting(_)
            | OidcProblem::NoRandom
            | OidcProblem::NoConfiguration
            | OidcProblem::Secret { .. }
            | OidcProblem::Remote(_)
            | OidcProblem::Refused { .. }
            | OidcProblem::Shape
            | OidcProblem::Token(_) => Fault::Provider,
        }
    }
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// What is no answer to the user (RFC 6749, 4.1.2.1): the provider, or how we ask it.
const TROUBLES: [&str; 6] = [
    "invalid_request",
    "invalid_scope",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_response_type",
];
