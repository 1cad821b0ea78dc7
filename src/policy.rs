//! What the operator decided: profiles, the modes of their rules, exceptions.

mod exception;
mod pattern;
mod profile;
mod quantity;
mod set;

pub use exception::Exception;
pub use pattern::Pattern;
pub use profile::{
    Containers, Dns, EnvSources, Guards, Images, Metadata, Mode, Network, Profile, PullSecret, Resources, Role,
    Scheduling, Security, Sidecar, Want,
};
pub use quantity::Quantity;
pub use set::{Installation, PolicyProblem, PolicySet, Tenancy};
