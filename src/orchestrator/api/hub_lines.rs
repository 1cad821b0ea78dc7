//! Edge: streamed lines are passed on to the Hub of the policies in force, where those want it.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use super::line::Line;
use crate::hub::{LogLine, ProcessStatus};
use crate::orchestrator::OutsideFiles;
use crate::orchestrator::hub::{Lines, edge};
use crate::policy::{HubSettings, Orchestrator, WaySettings};
use crate::telemetry::{Metrics, whole};

/// Where lines go now.
pub(super) struct HubLines {
    files: OutsideFiles,
    metrics: Arc<Metrics>,
    current: Mutex<Option<Current>>,
}

/// By these settings; nowhere where those cannot be used.
type Current = ((HubSettings, WaySettings), Option<Lines>);

impl HubLines {
    /// Nowhere yet.
    pub(super) fn new(files: OutsideFiles, metrics: Arc<Metrics>) -> Self {
        HubLines { files, metrics, current: Mutex::default() }
    }

    /// Passes a line on, which takes no time.
    pub(super) fn pass(&self, settings: &Orchestrator, line: &Line) {
        let Some(hub) = settings.hub.as_ref().filter(|hub| hub.logs) else { return };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_none_or(|((known, ways), _)| known != hub || *ways != settings.ways) {
            *current = Some(((hub.clone(), settings.ways.clone()), self.begin(hub, &settings.ways)));
        }
        let Some((_, Some(lines))) = &*current else {
            self.metrics.hub_lines_lost.inc();
            return;
        };
        let (message, level) = (line.log.clone(), line.log_type.clone());
        lines.pass(line.analysis, LogLine { message, level, status: ProcessStatus::of(line.status) });
    }

    /// Loses a line that would be passed on.
    pub(super) fn lose(&self, settings: &Orchestrator) {
        if settings.hub.as_ref().is_some_and(|hub| hub.logs) {
            self.metrics.hub_lines_lost.inc();
        }
    }

    fn begin(&self, hub: &HubSettings, ways: &WaySettings) -> Option<Lines> {
        let edge = edge(hub, ways, &self.files);
        let edge = edge.inspect_err(|problem| warn!(problem = %whole(problem), "no line is passed on to the Hub"));
        Some(Lines::new(Arc::new(edge.ok()?), self.metrics.clone()))
    }
}
