//! What of a run is kept before it is taken away, what is said of that, and when all of it goes.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::conditions::Said;
use super::removal::app_of;
use super::{Step, View};
use crate::archive::{LogSource, RunRecord};
use crate::cluster::Kind;
use crate::model::{AnalysisStatus, Phase, Run, labels};
use crate::orchestrator::archived::Archived;
use crate::orchestrator::record::record;

/// Whose logs are to be kept.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::orchestrator) struct LogsOf {
    /// The run.
    pub(in crate::orchestrator) run: Run,
    /// Where it is.
    pub(in crate::orchestrator) namespace: String,
    /// Its pods, with whose they are.
    pub(in crate::orchestrator) pods: Vec<(LogSource, String)>,
    /// How the run stands, where it is the last one.
    pub(in crate::orchestrator) record: Option<RunRecord>,
}

impl View<'_> {
    /// What the pods among these objects have written is kept first, where there is an archive and nobody has tried yet.
    /// Of what is to be forgotten nothing is.
    pub(super) fn keep_logs(&self, goes: impl Fn(&Value) -> bool) -> Option<Step> {
        let archived = self.archived.as_ref().filter(|_| !self.analysis.deleting)?;
        let of_run = |pod: &Value| Run::of_app(&app_of(pod)?);
        let pods = self.objects.iter().filter(|((kind, _), object)| *kind == Kind::Pod && goes(object));
        let pods: Vec<_> = pods.filter_map(|((_, name), pod)| Some((of_run(pod)?, name, pod))).collect();
        let (run, ..) = *pods.iter().find(|(run, ..)| !archived.tried.contains(&run.number))?;
        let pods = pods.into_iter().filter(|(of, ..)| *of == run);
        let logs = LogsOf {
            run,
            namespace: self.analysis.namespace.clone(),
            pods: pods.map(|(_, name, pod)| (source(pod), name.clone())).collect(),
            record: record(self.analysis, self.pods()).filter(|record| record.run == run),
        };
        Some(Step::KeepLogs(Box::new(logs)))
    }

    /// Names of the pods of the last run.
    pub(in crate::orchestrator) fn pods(&self) -> Vec<String> {
        let app = Run { analysis: self.analysis.id, number: self.analysis.status.run }.app();
        let pods = self.objects.iter().filter(|((kind, _), _)| *kind == Kind::Pod);
        let own = pods.filter(|(_, pod)| label(pod).is_some_and(|label| label == app));
        own.map(|((_, name), _)| name.clone()).collect()
    }

    /// The status with what the archive does not have, or that it has it again; otherwise nothing is said of it.
    pub(super) fn with_archived(&self, status: AnalysisStatus) -> AnalysisStatus {
        let Some(Archived { lost, behind, .. }) = &self.archived else { return status };
        let before = status.condition(ARCHIVED);
        let before = before.map(|before| before.reason.as_str());
        let said = |status, reason, message: &str| Said { kind: ARCHIVED, status, reason, message: message.to_owned() };
        let said = match (*lost == Some(status.run), behind, before) {
            (true, _, _) | (_, _, Some(LOST)) => said("False", LOST, "what its pods wrote could not be kept"),
            (_, true, _) => said("False", DOWN, "the archive does not take how it stands"),
            (_, false, Some(DOWN)) => said("True", "Recorded", "the archive has how it stands"),
            _ => return status,
        };
        let since = |status: &AnalysisStatus| {
            let of_archive = status.condition(ARCHIVED);
            of_archive.map(|condition| (condition.status.clone(), condition.reason.clone()))
        };
        let told = self.with(status.clone(), said);
        // A later generation alone is no news of the archive.
        if since(&told) == since(&status) { status } else { told }
    }

    /// When an analysis that has ended is to go with all that is kept of it; never without an archive.
    pub(super) fn goes_at(&self) -> Option<Timestamp> {
        let status = &self.analysis.status;
        let ended = status.phase.is_some_and(Phase::is_over);
        let keep = SignedDuration::from_hours(i64::from(self.settings.archive.keep_days) * 24);
        let ended_at = status.ended_at.filter(|_| ended && self.archived.is_some() && !self.analysis.deleting);
        ended_at.and_then(|ended_at| ended_at.checked_add(keep).ok())
    }
}

fn label(pod: &Value) -> Option<&str> {
    pod.pointer("/metadata/labels/app").and_then(Value::as_str)
}

fn source(pod: &Value) -> LogSource {
    let is_gateway = label(pod).is_some_and(|label| label.starts_with(labels::GATEWAY_PREFIX));
    if is_gateway { LogSource::Nginx } else { LogSource::Analysis }
}

/// Whether the archive has what it is to keep.
const ARCHIVED: &str = "Archived";
const LOST: &str = "LogsLost";
const DOWN: &str = "ArchiveDown";
