//! What a Grype report says of an image: read, held against a profile's section `scan`, and summed up in a verdict.
//!
//! Grype's exit codes, ignored matches and VEX files are not verdicts: only what its JSON document says counts.

mod assess;
mod bounded;
mod census;
mod coverage;
mod matches;
mod read;
mod report;
mod settings;
mod shown;
mod weigh;
mod written;

pub use assess::{Subject, assess};
pub use bounded::BoundProblem;
pub use census::Census;
pub use read::{ReportProblem, read};
pub use report::{Database, Distribution, ImageSource, Match, Report, Source, Told};
pub use shown::ShownScan;
pub use weigh::{Fate, Weighed, weigh};
