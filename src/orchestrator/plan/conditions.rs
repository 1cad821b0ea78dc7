//! What the status says of an analysis, and whether that is news.

use super::{Step, View};
use crate::bundle::BundleProblem;
use crate::model::{AnalysisStatus, Condition, Phase};

/// What one condition is to say.
pub(super) struct Said<'a> {
    /// `Ready`, `Healthy`.
    pub(super) kind: &'a str,
    /// `True`, `False` or `Unknown`.
    pub(super) status: &'a str,
    /// Why, in one word.
    pub(super) reason: &'a str,
    /// Why, in a sentence.
    pub(super) message: String,
}

impl View<'_> {
    pub(super) fn not_ready(&self, reason: &str, message: String) -> Step {
        let status = self.with(self.analysis.status.clone(), ready("False", reason, message));
        // One that works is not to blame, and what it says counts.
        let works = status.phase == Some(Phase::Executing) && !self.analysis.deleting;
        self.told(if works { self.judged(status) } else { status })
    }

    /// The status of a run that is over or is to be: nobody asks it any more how it is.
    pub(super) fn over(&self, mut status: AnalysisStatus, reason: &str, message: String) -> AnalysisStatus {
        status.conditions.retain(|condition| condition.kind != HEALTHY);
        self.with(status, ready("False", reason, message))
    }

    /// The status with this condition, in its place among the others. Its time stays where it is as it was.
    pub(super) fn with(&self, status: AnalysisStatus, said: Said<'_>) -> AnalysisStatus {
        let mut conditions = status.conditions;
        let place = conditions.iter().position(|condition| condition.kind == said.kind);
        let before = place.and_then(|place| conditions.get(place)).filter(|before| before.status == said.status);
        let condition = Condition {
            kind: said.kind.to_owned(),
            status: said.status.to_owned(),
            reason: said.reason.to_owned(),
            message: said.message,
            last_transition_time: before.map_or(self.now, |before| before.last_transition_time),
            observed_generation: self.analysis.generation,
        };
        match place.and_then(|place| conditions.get_mut(place)) {
            Some(place) => *place = condition,
            // What people look for comes first.
            None if said.kind == READY => conditions.insert(0, condition),
            None => conditions.push(condition),
        }
        AnalysisStatus { conditions, ..status }
    }

    /// Says it, unless the status says it already.
    pub(super) fn told(&self, status: AnalysisStatus) -> Step {
        let told = AnalysisStatus { observed_generation: self.analysis.generation, ..status };
        if told == self.analysis.status { Step::Wait } else { Step::Report(told) }
    }
}

/// The condition `Ready`.
pub(super) fn ready<'a>(status: &'a str, reason: &'a str, message: String) -> Said<'a> {
    Said { kind: READY, status, reason, message }
}

pub(super) fn reason(problems: &[BundleProblem]) -> &'static str {
    match problems.first() {
        Some(BundleProblem::Image { .. }) => "ImageRefused",
        Some(BundleProblem::Upstream { .. }) => "UpstreamMissing",
        Some(BundleProblem::Name(_)) => "NameRefused",
        Some(BundleProblem::Settings) | None => "NotConfigured",
    }
}

pub(super) fn text(problems: &[BundleProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Whether the analysis and its gateway have available pods.
pub(super) const READY: &str = "Ready";
/// Whether the analysis answers that it works.
pub(super) const HEALTHY: &str = "Healthy";
