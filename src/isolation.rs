//! Isolation, pure: make an analysis's NetworkPolicy, and judge what all the others could add to it.
//!
//! NetworkPolicies only ever add permission. So one is judged against every guarded pod that
//! could exist: guarded pods carry known label keys only, which makes it decidable whether a
//! selector could match one. Unknown fields, operators and types count as a match.

mod allowance;
mod change;
mod drift;
mod foreign;
mod gateway;
mod guarded;
mod judge;
mod make;
mod narrow;
mod read;
mod selector;
mod union;

pub use change::added_reach;
pub use drift::{differs, says_else};
pub use foreign::{FOREIGN, Foreign, Scope, content_hash, could_select, foreign_refusal, judge_foreign};
pub use guarded::{Apps, CONTROLLERS_LABELS, could_match, could_match_map};
pub use judge::{RULE, judge_policy};
pub use make::{MANAGED_BY, app_of_policy, gateway_app, policy, policy_name, spare_name};
pub use narrow::narrowed;
pub use read::Direction;
pub use union::{Opening, Reach, Union, reach, union_problems};
