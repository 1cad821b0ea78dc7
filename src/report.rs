//! What audits find, as one versioned model, and every form in which it is written. Pure.

mod about;
mod baseline;
mod csv;
mod entry;
mod exceptions;
mod form;
mod html;
mod interner;
mod json;
mod junit;
mod markdown;
mod open_reports;
mod problem;
mod sarif;
mod score;
mod summary;
mod table;
mod whole;

pub use about::RuleAbout;
pub use baseline::{Baseline, BaselineProblem, Comparison, Since};
pub use entry::{Entry, Fingerprint, Object, Outcome, Place, Told};
pub use exceptions::{ExceptionState, ExceptionUse};
pub use form::{Form, FormProblem};
pub use interner::Interner;
pub use open_reports::{Dialect, LEFT_OUT, MANAGED_BY, Publication, SOURCE, publications};
pub use problem::Problem;
pub use score::Score;
pub use summary::{BySeverity, Coverage, Summary};
pub use table::{Colour, Colours, problems_text};
pub use whole::{API_VERSION, Found, Report, Subject};
