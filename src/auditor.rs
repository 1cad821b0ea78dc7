//! The auditor: asks the one judge about manifests and clusters, and says how they stand.

mod about;
mod cases;
mod collect;
mod compare;
mod continuous;
mod examine;
mod files;
mod fix;
mod gather;
mod hindrance;
mod live;
mod preflight;
mod publish;
mod rules;
mod subject;
mod text;

pub use about::about;
pub use cases::{CaseFile, Failure, TestProblem, run_cases};
pub use collect::Collection;
pub use compare::{Comparison, Difference, compare};
pub use continuous::{Auditing, AuditingSettings};
pub use examine::{Asker, Auditor, Decision};
pub use files::judge_files;
pub use fix::Mended;
pub use gather::gather;
pub use hindrance::{Check, Hindrance, Preflight};
pub use live::{Live, audit_cluster, audit_log};
pub use preflight::{live_subjects, preflight};
pub use publish::{Publishing, publish};
pub use rules::AUDIT_RULES;
pub use subject::{Source, Subject, each_subject};
pub use text::{comparison_text, failures_text, preflight_text};
