//! What an analysis is given to show elsewhere. It stands in Secrets and nowhere else, so nothing here can be printed.

use std::fmt;

/// Who pulls the analysis's image, and from where.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The registry's host.
    pub registry: String,
    /// A robot account as a rule.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// What the analysis shows to the node's services.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    /// For Kong; `none_needed` for an analysis that reads no data.
    pub data_source: String,
    /// Of the analysis's own Keycloak client; none until it was fetched.
    pub keycloak: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Credentials").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Tokens").finish_non_exhaustive()
    }
}
