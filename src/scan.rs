//! What is said of an image: Grype reports, read, held against a profile's section `scan` and summed up in a verdict;
//! scans and signatures that others signed; and the content that the Hub approved.
//!
//! Grype's exit codes, ignored matches and VEX files are not verdicts: only what its JSON document says counts.

mod assess;
mod attested;
mod bounded;
mod census;
mod content;
mod coverage;
mod dsse;
mod emptiness;
mod matches;
mod predicate;
mod read;
mod report;
mod settings;
mod shown;
mod signature;
mod statement;
mod summed;
mod trust;
mod weigh;
mod written;

pub use assess::{Subject, assess};
pub use attested::{Attested, AttestedProblem};
pub use bounded::{BoundProblem, MOST_BYTES};
pub use census::Census;
pub use content::{Approval, ContentProblem, approved_content, hub_analysis};
pub use dsse::EnvelopeProblem;
pub use read::{ReportProblem, read};
pub use report::{Database, Distribution, ImageSource, Match, Report, Source, Told};
pub use shown::ShownScan;
pub use signature::{Beside, Signature, signed};
pub use statement::StatementProblem;
pub use trust::{Attachment, Trust, trust, withheld};
pub use weigh::{Fate, Weighed, weigh};
