//! The snapshot of what is known of the cluster. Data only; `guard/` fills it from what is watched, and plans from it.

mod enforcement;
mod scans;

use std::collections::BTreeMap;

pub use enforcement::{CanaryRecord, CanaryResult, FailedRun, NetworkKnown, NodeResult};
use jiff::Timestamp;
pub use scans::{Grace, Looked, Scan, ScanMemory, Scans};

/// A namespaced object's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// What the guard knows of one analysis pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFact {
    /// The API server's own id of the object.
    pub uid: String,
    /// The label `app`: which analysis it is.
    pub app: String,
    /// Whether it carries the guard's scheduling gate.
    pub gate: Gate,
    /// Whether a node has it.
    pub bound: bool,
    /// Whether it is on its way out.
    pub deleting: bool,
    /// How long its containers may run on after a deletion, in seconds.
    pub grace: i64,
    /// When it was stored.
    pub created: Option<Timestamp>,
}

/// Whether the guard's gate still holds a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Not scheduled before the guard lifts it.
    Held,
    /// Lifted, or never there.
    Open,
}

/// What the guard knows of one of its own policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFact {
    /// The API server's own id of the object.
    pub uid: String,
    /// Which analysis it isolates.
    pub app: String,
    /// Whether it is just as the guard would write it now.
    pub state: PolicyState,
    /// The pods, by uid, that ran before it. Kept with the policy, so that a new leader knows them.
    pub adopted: BTreeMap<String, Adopted>,
}

/// How a pod stands that ran before its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopted {
    /// Nobody has said yet.
    Unjudged,
    /// It would have been let in.
    Conforming,
    /// It would have been refused.
    NotConforming,
}

/// How a policy of the guard's stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyState {
    /// As it should be.
    Intact,
    /// Somebody changed it.
    Changed,
    /// Somebody deleted it; its finalizer keeps it in force.
    Deleting,
}

/// All that the guard plans from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Analysis pods.
    pub pods: BTreeMap<Place, PodFact>,
    /// The guard's own policies.
    pub policies: BTreeMap<Place, PolicyFact>,
}
