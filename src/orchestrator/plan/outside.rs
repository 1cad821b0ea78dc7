//! What the Hub is to know of an analysis, and what its status says of the Hub and of its token.

use super::conditions::{READY, Said};
use super::{View, renewal};
use crate::hub::ProcessStatus;
use crate::model::{AnalysisStatus, Phase};
use crate::orchestrator::end_reason::EndReason;
use crate::orchestrator::hub::{News, line, sentence};

impl View<'_> {
    /// What the Hub is to know; nothing where no Hub is named, or nothing has begun.
    pub(in crate::orchestrator) fn hub_news(&self) -> Option<News> {
        self.settings.hub.as_ref()?;
        let status = &self.analysis.status;
        let phase = status.phase?;
        // What is deleted while it runs ends as what is stopped.
        let told = if self.analysis.deleting && !phase.is_over() { Phase::Stopped } else { phase };
        let process = ProcessStatus::of(told);
        let reason = status.condition(READY).and_then(|condition| EndReason::of_word(&condition.reason));
        let restarts = (status.restarts, self.settings.health.restarts);
        let before = status.condition(HUB_TOLD).filter(|before| before.status == "True");
        let known = before.is_some_and(|before| before.message == sentence(process));
        Some(News {
            run: status.run,
            status: process,
            progress: status.progress,
            line: status.ended_at.and_then(|ended| line(phase, reason, restarts, ended)),
            is_known: known && phase.is_over(),
            gateway: self.call().map(|call| call.address),
        })
    }

    /// The status with what has come of telling the Hub and of asking for a token.
    pub(super) fn with_outside(&self, status: AnalysisStatus) -> AnalysisStatus {
        self.with_token(self.with_hub(status))
    }

    fn with_hub(&self, status: AnalysisStatus) -> AnalysisStatus {
        match (&self.settings.hub, self.hub) {
            (None, _) => without(status, HUB_TOLD),
            (Some(_), None) => status,
            (Some(_), Some(word)) => {
                let (is, reason, message) = word.condition();
                self.with(status, Said { kind: HUB_TOLD, status: is, reason, message })
            }
        }
    }

    fn with_token(&self, status: AnalysisStatus) -> AnalysisStatus {
        // Nobody renews the token of a run that is over.
        if self.settings.tokens.is_none() || status.phase.is_none_or(Phase::is_over) {
            return without(status, TOKEN_FRESH);
        }
        let fresh = self.token_secret().and_then(renewal).is_some_and(|renewal| self.now < renewal);
        let (is, (reason, message)) = match (self.token_rest, fresh) {
            (_, true) => ("True", ("Fresh", "its token stands in its Secret, and is renewed in time")),
            (Some(rest), false) => ("False", rest.trouble.told()),
            (None, false) => return status,
        };
        self.with(status, Said { kind: TOKEN_FRESH, status: is, reason, message: message.to_owned() })
    }
}

fn without(mut status: AnalysisStatus, kind: &str) -> AnalysisStatus {
    status.conditions.retain(|condition| condition.kind != kind);
    status
}

/// Whether the Hub knows how the analysis is doing.
const HUB_TOLD: &str = "HubTold";
/// Whether its token is one that was fetched in time.
const TOKEN_FRESH: &str = "TokenFresh";
