//! What of an analysis goes into the archive: nothing that could be a password or a token.

use crate::archive::RunRecord;
use crate::model::{AnalysisObject, Run};

/// The last run of an analysis, as its status tells it; none before the first.
pub(super) fn record(analysis: &AnalysisObject, pods: Vec<String>) -> Option<RunRecord> {
    let status = &analysis.status;
    let ready = status.condition("Ready");
    Some(RunRecord {
        run: Run { analysis: analysis.id, number: status.run },
        project: analysis.spec.project_id,
        image: analysis.spec.image.clone(),
        phase: status.phase.filter(|_| status.run > 0)?,
        progress: status.progress,
        pods,
        reason: ready.map(|ready| format!("{}: {}", ready.reason, ready.message)).unwrap_or_default(),
        started: status.started_at,
        ended: status.ended_at,
    })
}
