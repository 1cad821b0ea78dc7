//! The edge towards image registries: what a tag stands for, what belongs to a digest; and Grype, which reads images there.

mod attached;
mod challenge;
mod client;
mod credential;
mod grype;
mod host_pattern;
mod manifest;
mod plain;
mod problem;
mod reach;
mod visit;

pub use attached::{Attached, Attachments, InIndex};
pub use client::{Registry, Resolved};
pub use credential::Credential;
pub use grype::{Grype, GrypeProblem, Scanned, Transport};
pub use plain::is_asked_plainly;
pub use problem::{RegistryProblem, Shown};
pub use reach::Reach;
