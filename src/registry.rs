//! The edge towards image registries: Grype, which reads images there.

mod grype;

pub use grype::{Grype, GrypeProblem, Scanned, Transport};
