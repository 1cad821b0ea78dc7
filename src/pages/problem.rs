//! Why a page cannot be shown.

use crate::archive::ArchiveProblem;
use crate::report::FormProblem;

/// Why a page cannot be shown. It is for the log; the visitor is told that it is our fault.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageProblem {
    /// There is no such thing, or none that the visitor may see.
    #[error("there is no such page")]
    None,
    /// Others are being answered for too long.
    #[error("too many pages are asked for at once")]
    Busy,
    /// What was found and decided cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveProblem),
    /// The page cannot be put together.
    #[error("cannot put the page together")]
    Render(#[from] askama::Error),
    /// The report cannot be written.
    #[error(transparent)]
    Form(#[from] FormProblem),
    /// Data for the script cannot be written.
    #[error("cannot write data for the script")]
    Json(#[from] serde_json::Error),
}
