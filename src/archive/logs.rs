//! Edge: keeps what containers wrote, by run and container.

use std::collections::BTreeMap;

use sqlx::AnyConnection;

use super::chunks::{addition, text};
use super::clean::clean_log;
use super::{Archive, ArchiveProblem};
use crate::model::Run;

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogSource {
    /// The analysis's own.
    Analysis,
    /// Its gateway's.
    Nginx,
}

impl LogSource {
    /// Its name in answers, as FLAME has it.
    pub fn name(self) -> &'static str {
        match self {
            LogSource::Analysis => "analysis",
            LogSource::Nginx => "nginx",
        }
    }
}

impl Archive {
    /// Adds whole lines to a log of a run. Of a log the first and the last MiB are kept, and how much lay between.
    ///
    /// # Errors
    /// The run was never recorded, or it is not known whether the lines were written.
    pub async fn append_log(&self, run: Run, source: LogSource, text: &str) -> Result<(), ArchiveProblem> {
        let (log, text) = (Log::of(run, source), clean_log(text));
        self.write(log.writing(run), |connection| Box::pin(append(connection, log, text))).await
    }

    /// Puts a whole log in the place of what was known of it. The same twice is the same as once.
    ///
    /// # Errors
    /// The run was never recorded, or it is not known whether the log was written.
    pub async fn replace_log(&self, run: Run, source: LogSource, text: &str) -> Result<(), ArchiveProblem> {
        let (log, text) = (Log::of(run, source), clean_log(text));
        self.write(log.writing(run), |connection| Box::pin(replace(connection, log, text))).await
    }

    /// The logs of a run; of a container whose log was never written there is none.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn logs(&self, run: Run) -> Result<BTreeMap<LogSource, String>, ArchiveProblem> {
        self.read(format!("read the logs of {}", run.app()), |connection| Box::pin(all(connection, run))).await
    }
}

/// Which log.
struct Log {
    analysis: String,
    number: i64,
    source: &'static str,
}

impl Log {
    fn of(run: Run, source: LogSource) -> Self {
        Log { analysis: run.analysis.to_string(), number: run.number.into(), source: source.name() }
    }

    fn writing(&self, run: Run) -> String {
        format!("write the {} log of {}", self.source, run.app())
    }
}

async fn replace(connection: &mut AnyConnection, log: Log, text: String) -> Result<(), sqlx::Error> {
    let delete = sqlx::query("DELETE FROM logs WHERE analysis = $1 AND number = $2 AND source = $3");
    delete.bind(log.analysis.clone()).bind(log.number).bind(log.source).execute(&mut *connection).await?;
    append(connection, log, text).await
}

async fn append(connection: &mut AnyConnection, log: Log, text: String) -> Result<(), sqlx::Error> {
    let before = length(connection, &log).await?.unwrap_or(0);
    let addition = addition(before, &text);
    let total = sqlx::query(SET_LENGTH).bind(log.analysis.clone()).bind(log.number).bind(log.source);
    total.bind(addition.total).execute(&mut *connection).await?;
    for (place, piece) in addition.pieces {
        let add = sqlx::query(ADD).bind(log.analysis.clone()).bind(log.number).bind(log.source);
        add.bind(place).bind(piece.to_owned()).execute(&mut *connection).await?;
    }
    let give_up = sqlx::query(GIVE_UP).bind(log.analysis).bind(log.number).bind(log.source);
    give_up.bind(addition.given_up.start).bind(addition.given_up.end).execute(connection).await.map(drop)
}

async fn all(connection: &mut AnyConnection, run: Run) -> Result<BTreeMap<LogSource, String>, sqlx::Error> {
    let mut logs = BTreeMap::new();
    for source in [LogSource::Analysis, LogSource::Nginx] {
        logs.extend(whole(connection, Log::of(run, source)).await?.map(|text| (source, text)));
    }
    Ok(logs)
}

async fn whole(connection: &mut AnyConnection, log: Log) -> Result<Option<String>, sqlx::Error> {
    let Some(total) = length(connection, &log).await? else { return Ok(None) };
    let chunks = sqlx::query_as::<_, (i64, String)>(CHUNKS).bind(log.analysis).bind(log.number).bind(log.source);
    Ok(Some(text(total, chunks.fetch_all(connection).await?)))
}

/// How many bytes a log has, those included that are not kept.
async fn length(connection: &mut AnyConnection, log: &Log) -> Result<Option<i64>, sqlx::Error> {
    let length = sqlx::query_scalar(LENGTH).bind(log.analysis.clone()).bind(log.number).bind(log.source);
    length.fetch_optional(connection).await
}

const LENGTH: &str = "SELECT total FROM logs WHERE analysis = $1 AND number = $2 AND source = $3";
const SET_LENGTH: &str = "\
    INSERT INTO logs (analysis, number, source, total) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (analysis, number, source) DO UPDATE SET total = excluded.total";
const ADD: &str = "\
    INSERT INTO log_chunks (analysis, number, source, place, text) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (analysis, number, source, place) DO UPDATE SET text = log_chunks.text || excluded.text";
const GIVE_UP: &str = "\
    DELETE FROM log_chunks WHERE analysis = $1 AND number = $2 AND source = $3 AND place >= $4 AND place < $5";
const CHUNKS: &str = "\
    SELECT place, text FROM log_chunks WHERE analysis = $1 AND number = $2 AND source = $3 ORDER BY place";
