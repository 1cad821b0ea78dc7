//! The admission webhook: reviews in, answers out, nothing else.

mod answer;
mod http;
mod limits;
mod record;
mod review;
mod service;

pub use answer::Answer;
pub use http::WebhookHandler;
pub use limits::ReviewLimits;
pub use record::{Decision, Record, Refusal};
pub use review::{Review, ReviewProblem, early_uid};
pub use service::{Judge, Reply, Side, Webhook, answer_mutate, answer_validate};
