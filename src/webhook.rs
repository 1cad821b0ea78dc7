//! The admission webhook: reviews in, answers out, and decisions for whoever writes them down.

mod answer;
mod answering;
mod budget;
mod concerned;
mod http;
mod limits;
mod lines;
mod queue;
mod record;
mod review;
mod service;
mod shelf;
mod stream;
mod targets;
mod turns;

pub use answer::Answer;
pub use answering::Webhook;
pub use http::WebhookHandler;
pub use limits::ReviewLimits;
pub use queue::DecisionQueue;
pub use record::{Notice, Record};
pub use review::{Review, ReviewProblem, early_uid};
pub use service::{InForce, Judge, Reply, Side, answer_alone};
pub use stream::DecisionStream;
pub use targets::{ClusterTargets, Looked, Targets};
