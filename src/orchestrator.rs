//! Makes analyses: an `Analysis` object and what is there go in, one step at a time goes out; and the API that writes them.

mod act;
mod api;
mod archived;
mod archiving;
mod end_reason;
mod heard;
mod holding;
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
mod session;
mod settings;
mod steps;
mod token_rest;
mod tokens;
mod unwritten;
mod visits;
mod watches;

pub use api::{Api, ApiParts};
pub use hub::hub;
pub use outside::OutsideFiles;
pub use run::Orchestration;
pub use settings::OrchestratorSettings;

#[cfg(test)]
mod testing;
