//! Edge: what a run's pods have written, from their kubelets into the archive, without what its Secret holds.

use super::plan::LogsOf;
use super::secrets::Secrets;
use crate::archive::{Archive, ArchiveProblem, LogSource};
use crate::cluster::{Cluster, LogBounds};
use crate::facts::Place;
use crate::isolation::gateway_app;
use crate::telemetry::whole;

/// Keeps all that can be read.
///
/// # Errors
/// Something of it could not be, perhaps only in this moment.
pub(super) async fn keep(cluster: &Cluster, archive: &Archive, logs: &LogsOf) -> Result<(), String> {
    // Without knowing what must not be kept nothing is.
    let secrets = Secrets::read(cluster, &logs.namespace, logs.run.analysis).await?;
    let mut done = Ok(());
    for source in [LogSource::Analysis, LogSource::Nginx] {
        let kept = match written(cluster, logs, source).await {
            Ok(Some(text)) => {
                replace(archive, logs, source, &secrets.clean_log(&text)).await.map_err(|one| whole(&one))
            }
            Ok(None) => Ok(()),
            Err(problem) => Err(problem),
        };
        done = done.and(kept);
    }
    done
}

/// A log belongs to a run that is recorded, and this may be the first that the archive hears of it.
async fn replace(archive: &Archive, logs: &LogsOf, source: LogSource, text: &str) -> Result<(), ArchiveProblem> {
    match (archive.replace_log(logs.run, source, text).await, &logs.record) {
        (Err(ArchiveProblem::NoSuchRun { .. }), Some(record)) => {
            archive.record_first(record).await?;
            archive.replace_log(logs.run, source, text).await
        }
        (done, _) => done,
    }
}

/// What the pods of one side have written; nothing where none has begun.
async fn written(cluster: &Cluster, logs: &LogsOf, source: LogSource) -> Result<Option<String>, String> {
    let app = logs.run.app();
    let container = match source {
        LogSource::Analysis => app,
        LogSource::Nginx => gateway_app(&app),
    };
    let mut all: Option<String> = None;
    for (_, pod) in logs.pods.iter().filter(|(of, _)| *of == source) {
        let place = Place { namespace: logs.namespace.clone(), name: pod.clone() };
        let text = cluster.log(&place, &container, BOUNDS).await.map_err(|problem| whole(&problem))?;
        // Of a pod that has no node yet the API server says that it wrote nothing.
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            let whole = all.get_or_insert_default();
            if !whole.is_empty() && !whole.ends_with('\n') {
                whole.push('\n');
            }
            whole.push_str(&text);
        }
    }
    Ok(all)
}

/// As much as the archive keeps of a log.
const BOUNDS: LogBounds = LogBounds { head: 1 << 20, tail: (1 << 20) - 64 };
