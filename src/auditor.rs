//! The auditor: asks the one judge about manifests, and says what would become of them.

mod cases;
mod compare;
mod examine;
mod gather;
mod hindrance;
mod preflight;
mod report;
mod subject;
mod text;

pub use cases::{CaseFile, Failure, TestProblem, run_cases};
pub use compare::{Comparison, Difference, compare};
pub use examine::{Asker, Auditor, Decision};
pub use gather::gather;
pub use hindrance::{Check, Hindrance, Preflight};
pub use preflight::{live_subjects, preflight};
pub use report::{Entry, Outcome, Report, Summary};
pub use subject::{Problem, Source, Subject, subjects};
pub use text::{Colours, comparison_text, failures_text, preflight_text, text};
