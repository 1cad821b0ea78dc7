//! Edge: writes the lines that analyses stream into the archive, behind the back of whoever streams: no call waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{info, warn};

use super::waiting::{Batch, Waiting};
use crate::archive::{Archive, ArchiveProblem, LogLine, RunRecord};
use crate::telemetry::{Metrics, whole};

/// Where lines go.
pub(super) struct KeptLines {
    archive: Option<Arc<Archive>>,
    metrics: Arc<Metrics>,
    waiting: Mutex<Waiting>,
    bell: Notify,
    closed: AtomicBool,
}

impl KeptLines {
    /// Nothing waits yet. Without an archive lines are not kept.
    pub(super) fn new(archive: Option<Arc<Archive>>, metrics: Arc<Metrics>) -> Self {
        KeptLines { archive, metrics, waiting: Mutex::default(), bell: Notify::new(), closed: AtomicBool::new(false) }
    }

    /// Takes a line of a run in.
    pub(super) fn keep(&self, record: RunRecord, line: LogLine) {
        if self.archive.is_some() {
            let lost = self.waiting().push(record, line);
            self.metrics.archive_lines_lost.inc_by(lost);
            self.bell.notify_one();
        }
    }

    /// Loses a line that would be kept.
    pub(super) fn lose(&self) {
        if self.archive.is_some() {
            self.metrics.archive_lines_lost.inc();
        }
    }

    /// No line comes any more: writing ends when all are written, or cannot be.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.bell.notify_one();
    }

    /// Writes until the end.
    pub(super) async fn run(&self) {
        let Some(archive) = &self.archive else { return };
        let mut down = false;
        while !self.closed.load(Ordering::Relaxed) {
            self.bell.notified().await;
            while let Err(problem) = self.write_all(archive).await {
                if !down {
                    warn!(problem = %whole(&problem), "streamed lines cannot be kept; what is too many of them is lost");
                }
                down = true;
                if self.closed.load(Ordering::Relaxed) {
                    return;
                }
                sleep(PAUSE).await;
            }
            if std::mem::take(&mut down) {
                info!("streamed lines are kept again");
            }
        }
    }

    async fn write_all(&self, archive: &Archive) -> Result<(), ArchiveProblem> {
        loop {
            let Some(batch) = self.waiting().take() else { return Ok(()) };
            match write(archive, &batch).await {
                Ok(()) => {}
                Err(problem) if problem.may_pass() => {
                    let lost = self.waiting().put_back(batch);
                    self.metrics.archive_lines_lost.inc_by(lost);
                    return Err(problem);
                }
                Err(problem) => {
                    self.metrics.archive_lines_lost.inc_by(u64::try_from(batch.lines.len()).unwrap_or(u64::MAX));
                    return Err(problem);
                }
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines belong to a run that is recorded; where the controller has not come to it yet, it is recorded for them.
async fn write(archive: &Archive, batch: &Batch) -> Result<(), ArchiveProblem> {
    match archive.append_lines(batch.record.run, &batch.lines).await {
        Err(ArchiveProblem::NoSuchRun { .. }) => {
            archive.record_first(&batch.record).await?;
            archive.append_lines(batch.record.run, &batch.lines).await
        }
        done => done,
    }
}

/// Between two tries while the archive is down.
const PAUSE: Duration = Duration::from_secs(1);
