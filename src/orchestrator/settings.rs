//! What the orchestrator was told.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::OutsideFiles;
use crate::archive::Archive;
use crate::cluster::{Cluster, Leadership};
use crate::facts::ScanMemory;
use crate::policy::PolicySet;
use crate::telemetry::Metrics;

/// What the orchestrator needs.
#[derive(Clone)]
pub struct OrchestratorSettings {
    /// The API server, written to while this process leads.
    pub cluster: Cluster,
    /// Whether this process leads.
    pub leadership: Leadership,
    /// The policies in force, the orchestrator's own settings among them.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// What is known of the scans of images.
    pub scans: Arc<ScanMemory>,
    /// Where numbers go.
    pub metrics: Arc<Metrics>,
    /// What reaching Keycloak and the Hub takes.
    pub files: OutsideFiles,
    /// Where what has ended is kept; nowhere where there is none.
    pub archive: Option<Arc<Archive>>,
}
