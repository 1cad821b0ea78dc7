//! Users' own rules: CEL in the form of ValidatingAdmissionPolicy, a stated subset with the same answers.
//!
//! A rule is checked as a whole when it is loaded; what lies outside the subset is refused there, by its name.
//!
//! Names: `object`, `oldObject` (null where there is none), `variables.NAME` (defined earlier; not in
//! `matchConditions`), and of `request`: `operation`, `name`, `namespace`, `dryRun`, `kind.group`, `kind.version`,
//! `kind.kind`, `resource.group`, `resource.resource`, `userInfo.username`, `userInfo.groups`. Not there: `params`,
//! `authorizer`, `namespaceObject`. `metadata.managedFields` is there but cannot be looked into.
//!
//! Literals: whole numbers, doubles, strings, `true`, `false`, `null`, lists and maps (keys are literal strings; one
//! kind of element). Not there: unsigned numbers, bytes, messages, types, timestamps, durations, optional values.
//!
//! Operators: all of CEL's. Macros: `has`, `all`, `exists`, `exists_one`, `map` (both forms), `filter`, at most three
//! inside each other. Functions: `size`, `int`, `double`, `string`, `bool`, `dyn`, `quantity`, `isQuantity`,
//! `compareTo`, `isGreaterThan`, `isLessThan`, `startsWith`, `endsWith`, `contains`, `matches`, `lowerAscii`,
//! `upperAscii`, `trim`, `charAt`, `substring`, `indexOf`, `lastIndexOf`, `replace`, `split`, `join`. The pattern of
//! `matches` is a literal in that part of RE2 that means the same to Rust's `regex`.
//!
//! Only the parser comes from the `cel` crate. The evaluation is our own: the crate's has no budget and cannot be
//! interrupted, and its errors, numbers and functions differ from cel-go's in places that decide yes or no.

mod arithmetic;
mod check;
mod eval;
mod functions;
mod kind;
mod meter;
mod node;
mod numbers;
mod pattern;
mod problem;
mod quantity;
mod rule;
mod rules;
mod scope;
mod shape;
mod texts;
mod value;
mod workers;

pub use rule::{RuleProblem, UserFinding, UserRule};
pub use rules::UserRules;
pub use workers::{Limits, Workers};
