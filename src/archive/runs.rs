//! Edge: records runs of analyses, finds the latest, forgets what is old.

use std::error::Error;

use jiff::Timestamp;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as WordProblem;
use serde_json::Value;
use sqlx::{Any, AnyConnection, Encode, Type};

use super::clean::bounded;
use super::{Archive, ArchiveProblem};
use crate::model::{AnalysisId, Phase, ProjectId, Run};

/// What is known of one run. Texts are kept as printable ASCII, times to the microsecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// Which run.
    pub run: Run,
    /// The project that the analysis belongs to.
    pub project: ProjectId,
    /// The image that it ran, as it was pinned.
    pub image: String,
    /// Where in its life it is or ended.
    pub phase: Phase,
    /// How far it came, in percent.
    pub progress: u8,
    /// Names of its pods.
    pub pods: Vec<String>,
    /// Why it is in that phase; empty where there is nothing to say.
    pub reason: String,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

impl Archive {
    /// Writes down how a run stands, in the place of what was known of it. The same twice is the same as once.
    ///
    /// # Errors
    /// It is not known whether it was written.
    pub async fn record(&self, run: &RunRecord) -> Result<(), ArchiveProblem> {
        let row = row(run);
        self.write(format!("record {}", run.run.app()), |connection| Box::pin(insert(connection, RECORD, row))).await
    }

    /// Writes down how a run stands where nothing is known of it; what is known stays.
    ///
    /// # Errors
    /// It is not known whether it was written.
    pub async fn record_first(&self, run: &RunRecord) -> Result<(), ArchiveProblem> {
        let row = row(run);
        self.write(format!("record {}", run.run.app()), |connection| Box::pin(insert(connection, RECORD_FIRST, row)))
            .await
    }

    /// The last run of an analysis.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn latest_run(&self, analysis: AnalysisId) -> Result<Option<RunRecord>, ArchiveProblem> {
        self.read(format!("find the last run of analysis {analysis}"), |connection| {
            Box::pin(async move {
                let analysis = analysis.to_string();
                let row = sqlx::query_as::<_, Row>(LATEST_OF_ONE).bind(analysis).fetch_optional(connection).await?;
                row.map(read).transpose()
            })
        })
        .await
    }

    /// The last run of each analysis, by id, where it is in one of these phases; in any, where none is named.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn latest_runs(&self, phases: &[Phase]) -> Result<Vec<RunRecord>, ArchiveProblem> {
        let rows = self.read("find the last runs".to_owned(), |connection| {
            Box::pin(async move {
                let rows = sqlx::query_as::<_, Row>(LATEST_OF_ALL).fetch_all(connection).await?;
                rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()
            })
        });
        let mut runs = rows.await?;
        runs.retain(|run| phases.is_empty() || phases.contains(&run.phase));
        Ok(runs)
    }

    /// Forgets all of an analysis, what its runs wrote before the runs; tells how many of these there were.
    ///
    /// # Errors
    /// It may be forgotten in part; its last run goes last.
    pub async fn forget(&self, analysis: AnalysisId) -> Result<u64, ArchiveProblem> {
        self.delete(&format!("forget analysis {analysis}"), FORGET_ONE, analysis.to_string()).await
    }

    /// Forgets every run that ended before a moment, what they wrote before the runs; tells how many of these there were.
    ///
    /// # Errors
    /// Some of them may be forgotten.
    pub async fn forget_ended_before(&self, moment: Timestamp) -> Result<u64, ArchiveProblem> {
        self.delete(&format!("forget what ended before {moment}"), FORGET_OLD, moment.as_microsecond()).await
    }

    /// Deletes by each of these, and tells what the last one has deleted.
    async fn delete<T>(&self, doing: &str, statements: [&'static str; 3], by: T) -> Result<u64, ArchiveProblem>
    where
        T: Clone + Send + 'static + for<'q> Encode<'q, Any> + Type<Any>,
    {
        let mut deleted = 0;
        for statement in statements {
            deleted = self.delete_all(doing, statement, &by).await?;
        }
        Ok(deleted)
    }

    /// Deletes a little at a time, so that a large archive keeps no call longer than any other, and one that broke off
    /// has come nearer to its end.
    async fn delete_all<T>(&self, doing: &str, statement: &'static str, by: &T) -> Result<u64, ArchiveProblem>
    where
        T: Clone + Send + 'static + for<'q> Encode<'q, Any> + Type<Any>,
    {
        let mut deleted: u64 = 0;
        loop {
            let by = by.clone();
            let few = self.write(doing.to_owned(), |connection| {
                Box::pin(async move {
                    let done = sqlx::query(statement).bind(by).execute(connection).await?;
                    Ok(done.rows_affected())
                })
            });
            match few.await? {
                0 => return Ok(deleted),
                few => deleted = deleted.saturating_add(few),
            }
        }
    }
}

async fn insert(
    connection: &mut AnyConnection,
    statement: &'static str,
    row: Result<Row, sqlx::Error>,
) -> Result<(), sqlx::Error> {
    let (analysis, number, project, image, phase, progress, pods, reason, started, ended) = row?;
    let query = sqlx::query(statement).bind(analysis).bind(number).bind(project).bind(image).bind(phase).bind(progress);
    query.bind(pods).bind(reason).bind(started).bind(ended).execute(connection).await.map(drop)
}

/// A run as it is stored, in the order of the statements' columns.
type Row = (String, i64, String, String, String, i64, String, String, Option<i64>, Option<i64>);

fn row(run: &RunRecord) -> Result<Row, sqlx::Error> {
    let text = |text: &str| bounded(text, LONGEST);
    let phase = serde_json::to_value(run.phase).map_err(|cause| sqlx::Error::Encode(Box::new(cause)))?;
    Ok((
        run.run.analysis.to_string(),
        run.run.number.into(),
        run.project.to_string(),
        text(&run.image),
        phase.as_str().unwrap_or_default().to_owned(),
        run.progress.min(100).into(),
        run.pods.iter().map(|pod| text(pod)).collect::<Value>().to_string(),
        text(&run.reason),
        run.started.map(Timestamp::as_microsecond),
        run.ended.map(Timestamp::as_microsecond),
    ))
}

fn read(row: Row) -> Result<RunRecord, sqlx::Error> {
    let (analysis, number, project, image, phase, progress, pods, reason, started, ended) = row;
    let time = |time: Option<i64>| time.map(Timestamp::from_microsecond).transpose().map_err(unreadable);
    let number = number.try_into().map_err(unreadable)?;
    Ok(RunRecord {
        run: Run { analysis: analysis.parse().map_err(unreadable)?, number },
        project: project.parse().map_err(unreadable)?,
        image,
        phase: Phase::deserialize(phase.as_str().into_deserializer()).map_err(unreadable::<WordProblem>)?,
        progress: progress.try_into().map_err(unreadable)?,
        pods: serde_json::from_str(&pods).map_err(unreadable)?,
        reason,
        started: time(started)?,
        ended: time(ended)?,
    })
}

/// Somebody else wrote into the archive.
pub(super) fn unreadable<E: Error + Send + Sync + 'static>(cause: E) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(cause))
}

/// Of every text but a log.
const LONGEST: usize = 4096;
const RECORD_FIRST: &str = "\
    INSERT INTO runs (analysis, number, project, image, phase, progress, pods, reason, started, ended) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (analysis, number) DO NOTHING";
const RECORD: &str = "\
    INSERT INTO runs (analysis, number, project, image, phase, progress, pods, reason, started, ended) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
    ON CONFLICT (analysis, number) DO UPDATE SET project = excluded.project, image = excluded.image, \
    phase = excluded.phase, progress = excluded.progress, pods = excluded.pods, reason = excluded.reason, \
    started = excluded.started, ended = excluded.ended";
const LATEST_OF_ONE: &str = "\
    SELECT analysis, number, project, image, phase, progress, pods, reason, started, ended FROM runs \
    WHERE analysis = $1 ORDER BY number DESC LIMIT 1";
const LATEST_OF_ALL: &str = "\
    SELECT analysis, number, project, image, phase, progress, pods, reason, started, ended FROM runs \
    WHERE NOT EXISTS (SELECT 1 FROM runs AS later WHERE later.analysis = runs.analysis \
    AND later.number > runs.number) ORDER BY analysis";
/// Lines, pieces of logs and at last runs, of which there is nothing more then but a row or two. A line has four KiB at
/// most, a piece sixteen.
const FORGET_ONE: [&str; 3] = [
    "DELETE FROM lines WHERE analysis = $1 AND (number, place) IN \
     (SELECT number, place FROM lines WHERE analysis = $1 ORDER BY number, place LIMIT 500)",
    "DELETE FROM log_chunks WHERE analysis = $1 AND (number, source, place) IN \
     (SELECT number, source, place FROM log_chunks WHERE analysis = $1 ORDER BY number, source, place LIMIT 100)",
    "DELETE FROM runs WHERE analysis = $1 AND number IN \
     (SELECT number FROM runs WHERE analysis = $1 ORDER BY number LIMIT 8)",
];
const FORGET_OLD: [&str; 3] = [
    "DELETE FROM lines WHERE (analysis, number, place) IN \
     (SELECT lines.analysis, lines.number, place FROM runs JOIN lines \
     ON lines.analysis = runs.analysis AND lines.number = runs.number WHERE ended < $1 LIMIT 500)",
    "DELETE FROM log_chunks WHERE (analysis, number, source, place) IN \
     (SELECT log_chunks.analysis, log_chunks.number, source, place FROM runs JOIN log_chunks \
     ON log_chunks.analysis = runs.analysis AND log_chunks.number = runs.number WHERE ended < $1 LIMIT 100)",
    "DELETE FROM runs WHERE (analysis, number) IN \
     (SELECT analysis, number FROM runs WHERE ended < $1 ORDER BY ended LIMIT 8)",
];
