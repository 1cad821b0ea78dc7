//! The guard: makes each analysis's policy, then lifts the gate; keeps the policy until the pods are gone.

mod act;
mod ending;
mod free;
mod identity;
mod judge;
mod lift;
mod makeup;
mod network;
mod observe;
mod owner;
mod plan;
mod rest;
mod room;
mod run;
mod settings;
mod tell;
mod watches;

pub use free::Endings;
pub use lift::Refusal;
pub use observe::Observer;
pub use plan::{Identity, MayGo, Memory, Step, plan};
pub use run::Guard;
pub use settings::GuardSettings;
