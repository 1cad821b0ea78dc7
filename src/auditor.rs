//! The auditor: asks the one judge about manifests, and says what would become of them.

mod examine;
mod gather;
mod report;
mod subject;
mod text;

pub use examine::{Asker, Auditor};
pub use gather::gather;
pub use report::{Entry, Outcome, Report, Summary};
pub use subject::{Problem, Source, Subject, subjects};
pub use text::{Colours, text};
