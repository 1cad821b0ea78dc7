//! Why a run does not go on, as its condition `Ready` says it in one word.

/// The word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndReason {
    /// It has done its work.
    Executed,
    /// It has failed at its work.
    Failed,
    /// It has failed before it began.
    FailedAtStart,
    /// Its pods have not become available.
    NotAvailable,
    /// It worked and does not answer any more.
    Silent,
    /// It has stopped by itself.
    Stopped,
    /// It says that it is stuck.
    Stuck,
    /// It runs and does not begin to work.
    TookTooLong,
}

impl EndReason {
    /// As a condition says it.
    pub(super) fn word(self) -> &'static str {
        match self {
            EndReason::Executed => "Executed",
            EndReason::Failed => "Failed",
            EndReason::FailedAtStart => "FailedAtStart",
            EndReason::NotAvailable => "NotAvailable",
            EndReason::Silent => "Silent",
            EndReason::Stopped => "Stopped",
            EndReason::Stuck => "Stuck",
            EndReason::TookTooLong => "TookTooLong",
        }
    }

    /// Of what a condition says.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        use EndReason::{Executed, Failed, FailedAtStart, NotAvailable, Silent, Stopped, Stuck, TookTooLong};
        let all = [Executed, Failed, FailedAtStart, NotAvailable, Silent, Stopped, Stuck, TookTooLong];
        all.into_iter().find(|reason| reason.word() == word)
    }
}
