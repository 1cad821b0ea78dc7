//! The edge towards FLAME's Hub: how analyses are doing is told there, and how they are doing elsewhere and what was built
//! of them is read.

mod client;
mod login;
mod problem;
mod representation;

pub use client::{Hub, LogLine};
pub use problem::{Doing, HubProblem, Outcome};
pub use representation::ProcessStatus;

use crate::model::Secret;
use crate::policy::FieldNames;
use crate::remote::Address;

/// Which Hub, and as whom it is asked.
#[derive(Debug, Clone)]
pub struct HubAccount {
    /// Where its resources are: FLAME's `HUB_URL_CORE`.
    pub core: Address,
    /// Where it hands out tokens: FLAME's `HUB_URL_AUTH`.
    pub auth: Address,
    /// The node's client.
    pub client: String,
    /// That client's secret.
    pub secret: Secret,
    /// How it writes the names of fields.
    pub names: FieldNames,
}
