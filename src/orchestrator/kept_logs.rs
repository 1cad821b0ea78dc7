//! Edge: what a run's pods have written, from their kubelets into the archive, without what its Secret holds.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::archive::{Archive, ArchiveProblem, LogSource, RunRecord};
use crate::bundle::token_secret_name;
use crate::cluster::{Cluster, Kind, LogBounds};
use crate::facts::Place;
use crate::isolation::gateway_app;
use crate::model::Run;
use crate::telemetry::whole;

/// Whose logs are to be kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LogsOf {
    /// The run.
    pub(super) run: Run,
    /// Where it is.
    pub(super) namespace: String,
    /// Its pods, with whose they are.
    pub(super) pods: Vec<(LogSource, String)>,
    /// How the run stands, where it is the last one.
    pub(super) record: Option<RunRecord>,
}

/// Keeps all that can be read.
///
/// # Errors
/// Something of it could not be, perhaps only in this moment.
pub(super) async fn keep(cluster: &Cluster, archive: &Archive, logs: &LogsOf) -> Result<(), String> {
    // Without knowing what must not be kept nothing is.
    let secrets = secrets(cluster, logs).await?;
    let mut done = Ok(());
    for source in [LogSource::Analysis, LogSource::Nginx] {
        let kept = match written(cluster, logs, source).await {
            Ok(Some(text)) => replace(archive, logs, source, &hidden(&text, &secrets)).await.map_err(|one| whole(&one)),
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

/// The values of the analysis's token Secret, which its container has in its environment.
async fn secrets(cluster: &Cluster, logs: &LogsOf) -> Result<Vec<String>, String> {
    let place = Place { namespace: logs.namespace.clone(), name: token_secret_name(logs.run.analysis) };
    let secret = cluster.read(Kind::Secret, &place).await.map_err(|problem| whole(&problem))?;
    values(secret.as_deref()).map_err(|problem| format!("Secret {} {problem}", place.name))
}

/// All that a Secret holds.
fn values(secret: Option<&str>) -> Result<Vec<String>, &'static str> {
    let secret: Value = serde_json::from_str(secret.ok_or("is not there")?).map_err(|_| "cannot be read")?;
    let data = secret.get("data").and_then(Value::as_object).into_iter().flatten();
    let decoded = data.map(|(_, value)| String::from_utf8(STANDARD.decode(value.as_str()?).ok()?).ok());
    decoded.map(|value| value.ok_or("holds what is no text")).collect()
}

fn hidden(text: &str, secrets: &[String]) -> String {
    // What is short is a word like others.
    let secrets =
        secrets.iter().map(|secret| secret.trim()).filter(|secret| secret.len() >= SHORTEST && *secret != NONE);
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[secret left out]"))
}

/// As much as the archive keeps of a log.
const BOUNDS: LogBounds = LogBounds { head: 1 << 20, tail: (1 << 20) - 64 };
const SHORTEST: usize = 8;
/// What FLAME writes where a project has no data source.
const NONE: &str = "none_needed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_values_of_its_secret_nothing_is_kept() {
        for (secret, want) in [
            (None, Err("is not there")),
            (Some("no json"), Err("cannot be read")),
            (Some(r#"{"data": {"a": 1}}"#), Err("holds what is no text")),
            (Some(r#"{"data": {"a": "%%"}}"#), Err("holds what is no text")),
            (Some(r#"{"data": {"a": "/w=="}}"#), Err("holds what is no text")),
            (Some(r#"{"data": {"a": "c2VjcmV0"}}"#), Ok(vec!["secret".to_owned()])),
            (Some(r#"{}"#), Ok(vec![])),
        ] {
            assert_eq!(values(secret), want, "{secret:?}");
        }
    }

    #[test]
    fn what_the_secret_holds_is_left_out_wherever_it_stands() {
        let secrets = ["key-of-kong\n", "none_needed", "short", "", "token.of.keycloak"].map(str::to_owned);
        for (text, want) in [
            ("", ""),
            ("KEY=key-of-kong TOKEN=token.of.keycloak", "KEY=[secret left out] TOKEN=[secret left out]"),
            ("xkey-of-kongkey-of-kong\n", "x[secret left out][secret left out]\n"),
            ("none_needed short", "none_needed short"),
        ] {
            assert_eq!(hidden(text, &secrets), want, "{text}");
        }
    }
}
