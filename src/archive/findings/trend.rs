//! Edge: runs of the audit over time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use super::store::word;
use crate::archive::runs::unreadable;
use crate::archive::{Archive, ArchiveProblem};
use crate::report::{Coverage, Report, Subject, Summary};

/// A run of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// Counts runs from 1.
    pub number: i64,
    /// What was audited.
    pub subject: Subject,
    /// When.
    pub made: Timestamp,
    /// One number.
    pub score: u8,
    /// How much of what there is was looked at.
    pub coverage: Coverage,
    /// Counts of objects and findings.
    pub summary: Summary,
    /// How many findings fail and did not in the run before.
    pub opened: u64,
    /// How many failed in the run before and do so no more.
    pub fixed: u64,
}

impl RunSummary {
    pub(super) fn new(report: &Report, number: i64, opened: usize, fixed: u64) -> Self {
        RunSummary {
            number,
            subject: report.subject,
            made: report.made,
            score: report.score.number(),
            coverage: report.coverage,
            summary: report.summary,
            opened: u64::try_from(opened).unwrap_or(u64::MAX),
            fixed,
        }
    }
}

impl Archive {
    /// The runs of the last days until now, in their order: at most so many, the last of each of as many equal spans since
    /// the first of them.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn audit_runs(
        &self,
        subject: Subject,
        days: u16,
        now: Timestamp,
        most: u16,
    ) -> Result<Vec<RunSummary>, ArchiveProblem> {
        let span = SignedDuration::from_hours(i64::from(days) * 24);
        let from = now.checked_sub(span).map_or(0, Timestamp::as_microsecond);
        self.read("read the runs of the audit".to_owned(), |connection| {
            Box::pin(async move {
                let first = sqlx::query_scalar::<_, Option<i64>>(FIRST).bind(word(subject)).bind(from);
                let Some(from) = first.fetch_one(&mut *connection).await? else { return Ok(Vec::new()) };
                // Of a young history, too, there is more than one.
                let width = now.as_microsecond().saturating_sub(from).max(0) / i64::from(most.max(1)) + 1;
                let rows = sqlx::query_as::<_, Row>(RUNS).bind(word(subject)).bind(from).bind(width);
                let rows = rows.fetch_all(connection).await?;
                rows.into_iter().map(|row| read(row, subject)).collect()
            })
        })
        .await
    }

    /// The last run; none before the first.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn latest_audit(&self, subject: Subject) -> Result<Option<RunSummary>, ArchiveProblem> {
        self.read("read the last run of the audit".to_owned(), |connection| {
            Box::pin(async move {
                let row = sqlx::query_as::<_, Row>(LATEST).bind(word(subject)).fetch_optional(connection).await?;
                row.map(|row| read(row, subject)).transpose()
            })
        })
        .await
    }
}

pub(super) async fn insert(connection: &mut AnyConnection, subject: &str, run: RunSummary) -> Result<(), sqlx::Error> {
    let counts = Counts { coverage: run.coverage, summary: run.summary };
    let counts = serde_json::to_string(&counts).map_err(|cause| sqlx::Error::Encode(Box::new(cause)))?;
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let insert = sqlx::query(INSERT).bind(run.number).bind(subject.to_owned()).bind(run.made.as_microsecond());
    let insert = insert.bind(i64::from(run.score)).bind(counts).bind(signed(run.opened)).bind(signed(run.fixed));
    insert.execute(connection).await.map(drop)
}

fn read(row: Row, subject: Subject) -> Result<RunSummary, sqlx::Error> {
    let (number, made, score, counts, opened, fixed) = row;
    let Counts { coverage, summary } = serde_json::from_str(&counts).map_err(unreadable)?;
    Ok(RunSummary {
        number,
        subject,
        made: Timestamp::from_microsecond(made).map_err(unreadable)?,
        score: score.try_into().map_err(unreadable)?,
        coverage,
        summary,
        opened: opened.try_into().map_err(unreadable)?,
        fixed: fixed.try_into().map_err(unreadable)?,
    })
}

/// What is stored as one text.
#[derive(Serialize, Deserialize)]
struct Counts {
    coverage: Coverage,
    summary: Summary,
}

type Row = (i64, i64, i64, String, i64, i64);

const INSERT: &str = "\
    INSERT INTO audit_runs (number, subject, made, score, counts, opened, fixed) VALUES ($1, $2, $3, $4, $5, $6, $7)";
const FIRST: &str = "SELECT MIN(made) FROM audit_runs WHERE subject = $1 AND made >= $2";
const RUNS: &str = "\
    SELECT number, made, score, counts, opened, fixed FROM audit_runs WHERE number IN \
    (SELECT MAX(number) FROM audit_runs WHERE subject = $1 AND made >= $2 GROUP BY (made - $2) / $3) ORDER BY number";
const LATEST: &str = "\
    SELECT number, made, score, counts, opened, fixed FROM audit_runs WHERE subject = $1 ORDER BY number DESC LIMIT 1";
