//! The admission webhook: reviews in, answers out, nothing else.

mod answer;
mod review;
mod service;

pub use answer::Answer;
pub use review::{Review, ReviewProblem};
pub use service::{Webhook, answer_mutate, answer_validate};
