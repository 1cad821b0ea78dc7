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
            EndReason::FailedAtStart => FAILED_AT_START,
            EndReason::NotAvailable => NOT_AVAILABLE,
            EndReason::Silent => "Silent",
            EndReason::Stopped => "Stopped",
            EndReason::Stuck => STUCK,
            EndReason::TookTooLong => TOOK_TOO_LONG,
        }
    }

    /// Of what a condition says; of those alone that people read of in the Hub.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        match word {
            FAILED_AT_START => Some(EndReason::FailedAtStart),
            NOT_AVAILABLE => Some(EndReason::NotAvailable),
            STUCK => Some(EndReason::Stuck),
            TOOK_TOO_LONG => Some(EndReason::TookTooLong),
            _ => None,
        }
    }
}

const FAILED_AT_START: &str = "FailedAtStart";
const NOT_AVAILABLE: &str = "NotAvailable";
const STUCK: &str = "Stuck";
const TOOK_TOO_LONG: &str = "TookTooLong";
