//! Edge: writes the lines that analyses stream into the archive, behind the back of whoever streams: no call waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::{info, warn};

use super::operations::Operations;
use super::waiting::{Batch, Waiting, Whose};
use crate::archive::{Archive, ArchiveProblem, LogLine};
use crate::cluster::{Cluster, ClusterProblem};
use crate::model::AnalysisObject;
use crate::orchestrator::record::record;
use crate::telemetry::{Metrics, whole};

/// Where lines go.
pub(super) struct KeptLines {
    archive: Option<Arc<Archive>>,
    /// Where it is known which analyses there are.
    cluster: Cluster,
    metrics: Arc<Metrics>,
    waiting: Mutex<Waiting>,
    bell: Notify,
    closed: AtomicBool,
}

/// Why lines are not written.
#[derive(Debug, thiserror::Error)]
enum LinesProblem {
    #[error(transparent)]
    Archive(#[from] ArchiveProblem),
    /// Nobody knows whether their analysis is there.
    #[error(transparent)]
    Cluster(#[from] ClusterProblem),
}

impl KeptLines {
    /// Nothing waits yet. Without an archive lines are not kept.
    pub(super) fn new(archive: Option<Arc<Archive>>, cluster: Cluster, metrics: Arc<Metrics>) -> Self {
        KeptLines {
            archive,
            cluster,
            metrics,
            waiting: Mutex::default(),
            bell: Notify::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Takes a line of an analysis's last run in.
    pub(super) fn keep(&self, analysis: &AnalysisObject, line: LogLine) {
        if self.archive.is_some()
            && let Some(record) = record(analysis, Vec::new())
        {
            let (namespace, uid) = (analysis.namespace.clone(), analysis.uid.clone());
            let lost = self.waiting().push(Whose { record, namespace, uid }, line);
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

    async fn write_all(&self, archive: &Archive) -> Result<(), LinesProblem> {
        loop {
            let Some(batch) = self.waiting().take() else { return Ok(()) };
            let lines = u64::try_from(batch.lines.len()).unwrap_or(u64::MAX);
            match self.write(archive, &batch).await {
                Ok(Came::Kept) => {}
                Ok(Came::Late) => {
                    info!(
                        app = batch.whose.record.run.app(),
                        lines, "lines of an analysis that is deleted are not kept"
                    );
                    self.metrics.archive_lines_lost.inc_by(lines);
                }
                Err(problem) if problem.may_pass() => {
                    let lost = self.waiting().put_back(batch);
                    self.metrics.archive_lines_lost.inc_by(lost);
                    return Err(problem);
                }
                Err(problem) => {
                    self.metrics.archive_lines_lost.inc_by(lines);
                    return Err(problem);
                }
            }
        }
    }

    /// Writes lines, unless their analysis is deleted: what is kept of it would be kept for ever. Lines belong to a run
    /// that is recorded; where the controller has not come to it yet, it is recorded for them.
    async fn write(&self, archive: &Archive, batch: &Batch) -> Result<Came, LinesProblem> {
        let run = batch.whose.record.run;
        // The run that is recorded may be another's by now, which has the same id and number.
        if batch.has_waited(Timestamp::now()) && !self.is_there(&batch.whose).await? {
            return Ok(Came::Late);
        }
        match archive.append_lines(run, &batch.lines).await {
            Err(ArchiveProblem::NoSuchRun { .. }) => {}
            done => return Ok(done.map(|()| Came::Kept)?),
        }
        if !self.is_there(&batch.whose).await? {
            return Ok(Came::Late);
        }
        archive.record_first(&batch.whose.record).await?;
        archive.append_lines(run, &batch.lines).await?;
        Ok(Came::Kept)
    }

    /// Whether the Analysis is there still, and stays.
    async fn is_there(&self, whose: &Whose) -> Result<bool, ClusterProblem> {
        let operations = Operations { cluster: &self.cluster, namespace: &whose.namespace };
        let analysis = operations.read(whose.record.run.analysis).await?;
        Ok(analysis.is_some_and(|analysis| analysis.uid == whose.uid && !analysis.deleting))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of lines.
enum Came {
    /// They are kept.
    Kept,
    /// Their analysis is deleted.
    Late,
}

impl Batch {
    /// Whether the first of its lines has waited for longer than an analysis takes to go and to come again.
    fn has_waited(&self, now: Timestamp) -> bool {
        let waited = self.lines.first().map(|line| now.duration_since(line.written));
        !waited.is_some_and(|waited| (SignedDuration::ZERO..AT_ONCE).contains(&waited))
    }
}

impl LinesProblem {
    fn may_pass(&self) -> bool {
        match self {
            LinesProblem::Archive(problem) => problem.may_pass(),
            LinesProblem::Cluster(problem) => problem.may_pass(),
        }
    }
}

/// Between two tries while the archive is down.
const PAUSE: Duration = Duration::from_secs(1);
/// Less than deleting an analysis takes.
const AT_ONCE: SignedDuration = SignedDuration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::future::ready;

    use axum::Router;
    use axum::http::StatusCode;
    use serde_json::{Value, json};
    use tempfile::TempDir;
    use tokio::net::TcpListener;

    use super::*;
    use crate::model::{Phase, Run, WantedState};
    use crate::orchestrator::testing::{ID, PROJECT, analysis};

    /// An Analysis as the API server has it.
    fn stored(uid: &str, deletion: Value) -> (u16, Value) {
        let metadata = json!({"name": ID, "namespace": "flame", "uid": uid, "resourceVersion": "8", "generation": 1,
            "deletionTimestamp": deletion});
        let spec = json!({"projectId": PROJECT, "image": "harbor.example/node/a", "state": "Running", "run": 1});
        (200, json!({"apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis", "metadata": metadata, "spec": spec}))
    }

    fn failure(code: u16) -> (u16, Value) {
        (
            code,
            json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": "", "reason": "", "code": code}),
        )
    }

    /// Connected to an API server that answers every question alike, as it is told to.
    async fn cluster(folder: &TempDir, answer: Arc<Mutex<(u16, Value)>>) -> Cluster {
        let told = move || {
            let (code, body) = answer.lock().unwrap().clone();
            ready((StatusCode::from_u16(code).unwrap(), body.to_string()))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(told)).await });
        let kubeconfig = folder.path().join("kubeconfig");
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": {"server": server}}],
            "users": [{"name": "a", "user": {}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        });
        fs::write(&kubeconfig, text.to_string()).unwrap();
        Cluster::connect(Some(&kubeconfig), "test").await.unwrap()
    }

    #[tokio::test]
    async fn lines_of_an_analysis_that_is_deleted_do_not_come_back() {
        let executing = analysis(Some(Phase::Executing), (WantedState::Running, 1, 1), false);
        let run = Run { analysis: executing.id, number: 1 };
        let (there, other) = (stored("u", Value::Null), stored("another", Value::Null));
        let going = stored("u", json!("2026-11-21T12:00:00Z"));
        for (answer, is_recorded, waited, want) in [
            (there.clone(), false, 0, (1, 0)),
            (there.clone(), false, 60, (1, 0)),
            (there, true, 60, (1, 0)),
            (failure(404), false, 0, (0, 1)),
            (failure(404), false, 60, (0, 1)),
            (failure(404), true, 60, (0, 1)),
            (going.clone(), false, 0, (0, 1)),
            (going, true, 60, (0, 1)),
            (other.clone(), false, 0, (0, 1)),
            (other, true, 60, (0, 1)),
            // Lines are many, and mostly nobody is asked.
            (failure(404), true, 0, (1, 0)),
            // It is asked again a moment later.
            (failure(503), false, 0, (0, 0)),
            (failure(503), true, 60, (0, 0)),
            (failure(403), true, 60, (0, 1)),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let archive = Archive::open(&format!("sqlite:{}", folder.path().join("a.db").display())).await.unwrap();
            let (archive, metrics) = (Arc::new(archive), Arc::new(Metrics::new()));
            let case = format!("{answer:?} {is_recorded} {waited}");
            let is_kept = want == (1, 0);
            let may_pass = answer.0 == 503;
            let answer = Arc::new(Mutex::new(answer));
            let cluster = cluster(&folder, answer.clone()).await;
            let lines = KeptLines::new(Some(archive.clone()), cluster, metrics.clone());
            if is_recorded {
                archive.record(&record(&executing, Vec::new()).unwrap()).await.unwrap();
            }
            let written = Timestamp::now() - SignedDuration::from_secs(waited);
            let (log, log_type, status) = ("epoch 1".to_owned(), "info".to_owned(), "executing".to_owned());
            lines.keep(&executing, LogLine { log, log_type, status, progress: 1, written });
            let done = lines.write_all(&archive).await;
            let kept = async || archive.lines(run, 9).await.unwrap().len();
            assert_eq!((kept().await, metrics.archive_lines_lost.get()), want, "{case} {done:?}");
            let is_there = archive.latest_run(run.analysis).await.unwrap().is_some();
            assert_eq!(is_there, is_recorded || is_kept, "{case}");
            if may_pass {
                *answer.lock().unwrap() = stored("u", Value::Null);
                lines.write_all(&archive).await.unwrap();
                assert_eq!(kept().await, 1, "{case}");
            }
        }
    }
}
