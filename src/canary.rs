//! The canary: pods of a sealed profile in Flamewarden's own namespace show whether the cluster's network enforces from
//! the first packet.

mod act;
mod objects;
mod outcome;
mod probe;
mod run;
mod seen;
mod verdict;

pub use objects::CANARY_PORT;
pub use probe::{Pace, listen, probe};
pub use run::{Canary, CanarySettings};
pub use verdict::Tally;
