//! Makes analyses: an `Analysis` object and what is there go in, one step at a time goes out; and the API that writes them.

mod act;
mod api;
mod archiving;
mod covers;
mod heard;
mod hub;
mod keeper;
mod kept_logs;
mod known;
mod outside;
mod plan;
mod queue;
mod record;
mod run;
mod secrets;
mod settings;
mod tokens;
mod visits;
mod watches;

pub use api::{Api, ApiParts};
pub use outside::OutsideFiles;
pub use run::Orchestration;
pub use settings::OrchestratorSettings;
