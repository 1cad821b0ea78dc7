//! Makes analyses: an `Analysis` object and what is there go in, one step at a time goes out.

mod act;
mod covers;
mod known;
mod plan;
mod run;
mod settings;
mod watches;

pub use run::Orchestration;
pub use settings::OrchestratorSettings;
