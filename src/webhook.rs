//! The admission webhook: reviews in, answers out, nothing else.

mod answer;
mod answering;
mod http;
mod limits;
mod record;
mod review;
mod service;
mod targets;

pub use answer::Answer;
pub use answering::Webhook;
pub use http::WebhookHandler;
pub use limits::ReviewLimits;
pub use record::{Decision, Notice, Record};
pub use review::{Review, ReviewProblem, early_uid};
pub use service::{InForce, Judge, Reply, Side, answer_alone};
pub use targets::{ClusterTargets, Looked, Targets};
