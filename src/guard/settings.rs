//! What the guard works with.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::cluster::{Cluster, Leadership, Recorder};
use crate::facts::ScanMemory;
use crate::policy::PolicySet;
use crate::telemetry::Metrics;

/// What the guard works with.
pub struct GuardSettings {
    /// Its connection, as a leader's.
    pub cluster: Cluster,
    /// Whether there is anything to do.
    pub leadership: Leadership,
    /// Flamewarden's own namespace.
    pub namespace: String,
    /// The policies in force.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// What is known of the scans of images.
    pub scans: Arc<ScanMemory>,
    /// What writes Events.
    pub recorder: Arc<Recorder>,
    /// Where pods are counted.
    pub metrics: Arc<Metrics>,
}
