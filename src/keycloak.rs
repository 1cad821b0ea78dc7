//! The edge towards Keycloak: the client of each analysis, its secret, and its tokens.

mod clients;
mod login;
mod problem;
mod representation;

pub use clients::{AnalysisClient, Keycloak};
pub use login::Token;
pub use problem::{Doing, KeycloakProblem};

use crate::model::Secret;
use crate::remote::Address;

/// Which Keycloak, and as whom it is asked.
#[derive(Debug, Clone)]
pub struct KeycloakSettings {
    /// Where it is.
    pub address: Address,
    /// The realm in which analyses have their clients.
    pub realm: String,
    /// A client of that realm whose service account may make and delete clients: `service1` in FLAME's realm.
    pub client: String,
    /// That client's secret.
    pub secret: Secret,
}
