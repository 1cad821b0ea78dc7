//! What the Hub is to know of an analysis, and what comes of it in the analysis's status.

use std::net::IpAddr;

use jiff::{Timestamp, tz::TimeZone};

use crate::hub::{LogLine, Outcome, ProcessStatus};
use crate::model::Phase;
use crate::orchestrator::end_reason::EndReason;

/// What the Hub and the analysis itself are to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::orchestrator) struct News {
    /// Which run.
    pub(in crate::orchestrator) run: u32,
    /// How it is doing.
    pub(in crate::orchestrator) status: ProcessStatus,
    /// How far it is, in percent.
    pub(in crate::orchestrator) progress: u8,
    /// What people are to read of it.
    pub(in crate::orchestrator) line: Option<LogLine>,
    /// Whether it has come to its end and the Hub was told so, as the analysis's status says.
    pub(in crate::orchestrator) is_known: bool,
    /// Its gateway, while there is somebody behind it.
    pub(in crate::orchestrator) gateway: Option<IpAddr>,
}

/// What is told in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tell {
    pub(super) status: ProcessStatus,
    pub(super) progress: u8,
}

/// What came of telling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::orchestrator) enum Word {
    /// The Hub knows that it is doing so.
    Told(ProcessStatus),
    /// The Hub does not know how it is doing now.
    NotTold(Outcome),
    /// The Hub cannot be asked as the settings say.
    NotSetUp,
}

impl News {
    pub(super) fn tell(&self) -> Tell {
        Tell { status: self.status, progress: self.progress }
    }

    /// What changes less often than its progress.
    pub(super) fn phase(&self) -> (u32, ProcessStatus, bool) {
        (self.run, self.status, self.line.is_some())
    }
}

impl Word {
    /// For a condition: its status, a word and a sentence. Nothing of what the Hub says stands in it.
    pub(in crate::orchestrator) fn condition(self) -> (&'static str, &'static str, String) {
        let not = |reason, why: &str| ("False", reason, why.to_owned());
        match self {
            Word::Told(status) => ("True", "Told", sentence(status)),
            Word::NotTold(Outcome::Unavailable) => {
                not("HubUnavailable", "the Hub does not answer; it is told once it does")
            }
            Word::NotTold(Outcome::Refused) => not("HubRefused", "the Hub takes nothing from us; the log says why"),
            Word::NotTold(Outcome::NotUnderstood | Outcome::Done) => {
                not("HubNotUnderstood", "the Hub answers what nobody understands; the log says more")
            }
            Word::NotTold(Outcome::Unknown) => not("HubUnknown", "the Hub knows no such analysis on this node"),
            Word::NotSetUp => not("HubNotSetUp", "the Hub cannot be asked; the log of the start says why"),
        }
    }
}

/// What a condition says of an analysis that the Hub knows of.
pub(in crate::orchestrator) fn sentence(status: ProcessStatus) -> String {
    format!("the Hub knows that it is {}", status.word())
}

/// What people read of a run that did not go on, was stopped, or has failed at its start, in FLAME's words. `restart`
/// says how often it was started again, and how often it may be.
pub(in crate::orchestrator) fn line(
    phase: Phase,
    reason: Option<EndReason>,
    (restarts, most): (u32, u32),
    ended: Timestamp,
) -> Option<LogLine> {
    let what = match (phase, reason) {
        (Phase::Stopped, _) => {
            let message = format!(
                "[flame -- POAPI: ANALYSISSTOPPED -- {}] Info: The analysis was stopped either locally, or externally on \
                 another node.",
                time(ended)
            );
            return Some(LogLine { message, level: "info".to_owned(), status: ProcessStatus::Stopped });
        }
        (Phase::Stuck | Phase::Failed, Some(EndReason::Stuck)) => "failed to connect to other node components",
        (Phase::Stuck | Phase::Failed, Some(EndReason::TookTooLong | EndReason::FailedAtStart)) => {
            "took too long during startup and was restarted"
        }
        (Phase::Stuck | Phase::Failed, Some(EndReason::NotAvailable)) => "failed to deploy in kubernetes",
        _ => return None,
    };
    let (number, end) = match phase {
        Phase::Failed => (most, " -> Terminating analysis as failed."),
        _ => (restarts.saturating_add(1), ""),
    };
    let message = format!(
        "[flame -- POAPI: ANALYSISSTARTUPERROR -- {}] Error: The analysis {what} [restart {number} of {most}].{end}",
        time(ended)
    );
    Some(LogLine { message, level: "error".to_owned(), status: ProcessStatus::of(phase) })
}

fn time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_what_flame_writes() {
        use Phase::{Executed, Executing, Failed, Stopped, Stuck};
        let at: Timestamp = "2026-11-21T12:00:05.5Z".parse().unwrap();
        let error = |text: &str| {
            Some(("error", format!("[flame -- POAPI: ANALYSISSTARTUPERROR -- 2026-11-21 12:00:05] {text}")))
        };
        let stopped = "[flame -- POAPI: ANALYSISSTOPPED -- 2026-11-21 12:00:05] Info: The analysis was stopped either \
                       locally, or externally on another node.";
        for (phase, reason, restarts, want) in [
            (
                Stuck,
                "Stuck",
                0,
                error("Error: The analysis failed to connect to other node components [restart 1 of 3]."),
            ),
            (
                Stuck,
                "TookTooLong",
                2,
                error("Error: The analysis took too long during startup and was restarted [restart 3 of 3]."),
            ),
            (
                Failed,
                "FailedAtStart",
                3,
                error(
                    "Error: The analysis took too long during startup and was restarted [restart 3 of 3]. -> Terminating analysis as failed.",
                ),
            ),
            (Stopped, "Stopped", 0, Some(("info", stopped.to_owned()))),
            (Stuck, "NotAvailable", 0, error("Error: The analysis failed to deploy in kubernetes [restart 1 of 3].")),
            (Failed, "Failed", 0, None),
            (Failed, "Silent", 0, None),
            (Executed, "Executed", 0, None),
            (Executing, "Running", 0, None),
        ] {
            let line = line(phase, EndReason::of_word(reason), (restarts, 3), at);
            let read = line.as_ref().map(|line| (line.level.as_str(), line.message.clone()));
            assert_eq!(read, want, "{phase:?} {reason}");
            assert!(line.is_none_or(|line| line.status == ProcessStatus::of(phase)));
        }
    }
}
