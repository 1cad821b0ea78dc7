//! What is known of what was kept of one analysis.

use std::collections::BTreeSet;

/// What was kept of one analysis, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Archived {
    /// Runs of whose logs nobody tries any more to keep them: they are kept, or it was given up.
    pub(super) tried: BTreeSet<u32>,
    /// The last run whose logs could not be kept.
    pub(super) lost: Option<u32>,
    /// Whether the archive has not taken for a while how the analysis stands.
    pub(super) behind: bool,
    /// Whether the archive was told to forget it, and has, or was waited for long enough.
    pub(super) forgotten: bool,
}

/// What a step has brought to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    /// To keep the logs of a run of that number; whether they are kept.
    Logs(u32, bool),
    /// To forget.
    Forgetting,
}
