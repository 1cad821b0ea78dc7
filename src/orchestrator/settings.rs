//! What the orchestrator was told.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::cluster::{Cluster, Leadership};
use crate::policy::PolicySet;

/// What the orchestrator needs.
#[derive(Clone)]
pub struct OrchestratorSettings {
    /// The API server, written to while this process leads.
    pub cluster: Cluster,
    /// Whether this process leads.
    pub leadership: Leadership,
    /// The policies in force, the orchestrator's own settings among them.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// The file with the secret of the Keycloak client that makes the analyses' clients.
    pub keycloak_secret: Option<PathBuf>,
}
