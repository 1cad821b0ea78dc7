//! Isolation, pure: make an analysis's NetworkPolicy, and judge what all the others could add to it.
//!
//! NetworkPolicies only ever add permission. So one is judged against every guarded pod that
//! could exist: guarded pods carry known label keys only, which makes it decidable whether a
//! selector could match one. Unknown fields, operators and types count as a match.

mod allowance;
mod compare;
mod guarded;
mod judge;
mod make;
mod read;
mod selector;
mod union;

pub use compare::{added_reach, differs, narrowed};
pub use guarded::{Apps, could_match, could_match_map};
pub use judge::{RULE, judge_policy};
pub use make::{MANAGED_BY, policy, policy_name};
pub use read::Direction;
pub use union::{Opening, Reach, reach, union_problems};
