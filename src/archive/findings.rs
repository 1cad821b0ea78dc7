//! Edge: what audits found, run by run: each finding once, with when it was first and last seen and when it was fixed.
//!
//! Of a run only what has changed is written, so that a large cluster costs little where nothing happens. What fails
//! newly and what fails no more is an entry of the journal each, and so is the run.

mod compare;
mod look;
mod store;
mod tidy;
mod told;
mod trend;

use std::collections::{HashMap, HashSet};

use serde_json::json;
use sqlx::AnyConnection;

use super::journal::{EntryKind, Fresh, JournalHead, Pen};
use super::many::parts;
use super::{Archive, ArchiveProblem};
use crate::report::{Entry, Object, Report, Subject};

pub use look::{FindingCount, FindingFilter, FoundPage, KnownFinding, Which};
pub use told::LastReport;
pub use trend::RunSummary;

use compare::{Changes, Known, Looked, Standing, compare};
use store::{Changed, Past, by_fingerprints, digits, end, hide, known, number, put, word};

/// What came of writing down a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRun {
    /// Counts runs from 1.
    pub number: i64,
    /// What fails and did not in the run before: places in the report's findings.
    pub opened: Vec<usize>,
    /// How many failed before and do so no more; [`Which::FixedIn`] finds them.
    pub fixed: u64,
}

impl Archive {
    /// Writes down a run of the audit; runs come one after the other. `judged` are the objects that it is about, those
    /// without findings too: where something could not be looked at, what was found before counts as fixed on these
    /// alone, and on none where nothing is said.
    ///
    /// # Errors
    /// It is written in part, or not at all; the next run completes it.
    pub async fn record_audit(
        &self,
        report: &Report,
        judged: Option<&HashSet<Object>>,
    ) -> Result<RecordedRun, ArchiveProblem> {
        let turn = self.begin(report.subject).await?;
        let Changes { put, opened, eased, gone } =
            compare(&report.findings, self.known(turn.subject).await?, turn.number);
        let made = report.made.as_microsecond();
        for few in parts(put, (FEW, BYTES), |put| report.findings.get(put.place).map_or(0, size)) {
            let rows = few.iter().filter_map(|put| Some(Changed::new(put, report.findings.get(put.place)?, made)));
            let rows = rows.collect();
            self.step(turn, move |connection, turn| Box::pin(put_some(connection, turn, rows))).await?;
        }
        let looked = Looked::of(report, judged);
        for few in gone.chunks(FEW / 4) {
            let prints = few.iter().map(|print| digits(*print)).collect();
            let past = self.read("read what was found before".to_owned(), |connection| {
                Box::pin(by_fingerprints(connection, turn.subject, prints))
            });
            let (ended, hidden): (Vec<_>, Vec<_>) = past.await?.into_iter().partition(|past| looked.at(past.named()));
            self.step(turn, move |connection, turn| Box::pin(miss_some(connection, (turn, made), ended, hidden)))
                .await?;
        }
        let fixed = self.fixed_in(turn).await?;
        debug_assert!(fixed >= eased, "what this run has eased is written by now");
        let run = RunSummary::new(report, turn.number, opened.len(), fixed);
        let last = LastReport::of(report, judged);
        self.step(turn, move |connection, turn| Box::pin(conclude(connection, turn, (run, last)))).await?;
        Ok(RecordedRun { number: turn.number, opened, fixed })
    }

    /// Takes the turn to write, from whoever else has it.
    async fn begin(&self, subject: Subject) -> Result<Turn, ArchiveProblem> {
        let subject = word(subject);
        self.write(DOING.to_owned(), |connection| {
            Box::pin(async move {
                sqlx::query(TAKE_TURN).execute(&mut *connection).await?;
                let turn = sqlx::query_scalar(WHOSE_TURN).fetch_one(&mut *connection).await?;
                let number = sqlx::query_scalar(NEXT).fetch_one(&mut *connection).await?;
                let before = sqlx::query_scalar(BEFORE).bind(subject).fetch_one(connection).await?;
                Ok(Turn { turn, number, subject, before })
            })
        })
        .await
    }

    /// How many fail no more since a run, those included that were written before it broke off.
    async fn fixed_in(&self, turn: Turn) -> Result<u64, ArchiveProblem> {
        let fixed = self.read("count what was fixed".to_owned(), |connection| {
            Box::pin(async move {
                let fixed = sqlx::query_scalar::<_, i64>(FIXED_IN).bind(turn.subject).bind(turn.number);
                fixed.fetch_one(connection).await
            })
        });
        Ok(u64::try_from(fixed.await?).unwrap_or(0))
    }

    /// What stands so far, by fingerprints.
    async fn known(&self, subject: &'static str) -> Result<HashMap<u128, Known>, ArchiveProblem> {
        let (mut all, mut after) = (HashMap::new(), String::new());
        loop {
            let from = after.clone();
            let page = self
                .read("read what was found before".to_owned(), |connection| Box::pin(known(connection, subject, from)));
            let page = page.await?;
            let Some((last, _)) = page.last() else { return Ok(all) };
            after.clone_from(last);
            all.extend(page.into_iter().filter_map(|(print, one)| Some((number(&print)?, one))));
        }
    }

    /// One transaction of a run, with the entries that it adds to the journal.
    async fn step(
        &self,
        turn: Turn,
        work: impl for<'c> FnOnce(&'c mut AnyConnection, Turn) -> Adding<'c> + Send + 'static,
    ) -> Result<(), ArchiveProblem> {
        let pen = self.pen();
        let done = self.write(DOING.to_owned(), |connection| Box::pin(in_turn(connection, turn, pen, work)));
        let overtaken = || ArchiveProblem::Overtaken { doing: DOING.to_owned(), place: self.place.name().to_owned() };
        self.written(done.await?.ok_or_else(overtaken)?);
        Ok(())
    }
}

/// Work that tells what the journal is to say of it.
type Adding<'c> = super::connections::Step<'c, Vec<Fresh>>;

/// Who writes, and which run.
#[derive(Debug, Clone, Copy)]
struct Turn {
    turn: i64,
    number: i64,
    subject: &'static str,
    /// When the run before was made; 0 where there is none.
    before: i64,
}

/// Works, unless somebody else has begun since.
async fn in_turn(
    connection: &mut AnyConnection,
    turn: Turn,
    pen: Pen,
    work: impl for<'c> FnOnce(&'c mut AnyConnection, Turn) -> Adding<'c> + Send,
) -> Result<Option<JournalHead>, sqlx::Error> {
    let whose: i64 = sqlx::query_scalar(WHOSE_TURN).fetch_one(&mut *connection).await?;
    if whose != turn.turn {
        return Ok(None);
    }
    let fresh = work(&mut *connection, turn).await?;
    pen.append(connection, fresh).await.map(Some)
}

/// Findings that are new or stand otherwise than before.
async fn put_some(connection: &mut AnyConnection, turn: Turn, rows: Vec<Changed>) -> Result<Vec<Fresh>, sqlx::Error> {
    put(connection, turn, &rows).await?;
    let fresh = rows.iter().filter_map(|row| {
        let kind = match row.standing {
            Standing::Opened => EntryKind::Opened,
            Standing::Eased => EntryKind::Fixed,
            Standing::Same => return None,
        };
        Some(Fresh::new(kind, &row.told(turn.number)))
    });
    Ok(fresh.collect())
}

/// Findings that the run does not have: of what was looked at they are fixed, of the rest nobody knows.
async fn miss_some(
    connection: &mut AnyConnection,
    (turn, made): (Turn, i64),
    ended: Vec<Past>,
    hidden: Vec<Past>,
) -> Result<Vec<Fresh>, sqlx::Error> {
    end(connection, turn, made, &ended).await?;
    hide(connection, turn, &hidden).await?;
    let failed = ended.iter().filter(|past| past.failing);
    Ok(failed.map(|past| Fresh::new(EntryKind::Fixed, &past.told(turn.number))).collect())
}

/// The run itself, at its end.
async fn conclude(
    connection: &mut AnyConnection,
    turn: Turn,
    (run, last): (RunSummary, LastReport),
) -> Result<Vec<Fresh>, sqlx::Error> {
    told::keep(connection, turn.subject, turn.number, &last).await?;
    let fresh = Fresh::new(EntryKind::Run, &json!(run));
    trend::insert(connection, turn.subject, run).await?;
    Ok(vec![fresh])
}

/// About as many bytes as are written of a finding, which stands in the journal as well.
fn size(entry: &Entry) -> usize {
    let texts = [&*entry.message, &*entry.value, &*entry.path, &*entry.object.name];
    texts.iter().map(|text| text.len().min(1000)).sum::<usize>() * 2 + 800
}

/// Findings of one transaction, and about as many bytes.
const FEW: usize = 2000;
const BYTES: usize = 4 * 1024 * 1024;
const DOING: &str = "write down a run of the audit";
const TAKE_TURN: &str = "\
    INSERT INTO audit_turn (place, turn) VALUES (1, 1) ON CONFLICT (place) DO UPDATE SET turn = audit_turn.turn + 1";
const WHOSE_TURN: &str = "SELECT turn FROM audit_turn WHERE place = 1";
const FIXED_IN: &str = "SELECT COUNT(*) FROM findings WHERE subject = $1 AND fixed_run = $2";
const NEXT: &str = "SELECT COALESCE(MAX(number), 0) + 1 FROM audit_runs";
const BEFORE: &str = "SELECT COALESCE(MAX(made), 0) FROM audit_runs WHERE subject = $1";
