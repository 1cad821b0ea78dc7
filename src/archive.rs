//! Edge: the archive: what analyses were and what they wrote, large reports of scans, the journal and what audits found,
//! in SQLite or PostgreSQL.
//!
//! The leading controller writes how runs stand and what their pods wrote, and the journal; every replica adds lines, any
//! number read. No decision depends on what stands here: a report counts only by the digest that stands elsewhere. No
//! password, no token and nothing else of a Secret has a place in it.

mod chunks;
mod clean;
mod connections;
mod findings;
mod journal;
mod lines;
mod logs;
mod many;
mod migrations;
mod place;
mod problem;
mod reports;
mod runs;
mod sessions;

use std::sync::Mutex;
use std::time::Duration;

use sqlx::AnyConnection;
use tokio::sync::OnceCell;
use tokio::time::timeout;

pub use clean::{clean_line, clean_log, short_line};
pub use findings::{FindingCount, FindingFilter, FoundPage, KnownFinding, LastReport, RecordedRun, RunSummary, Which};
pub use journal::{
    DecisionFilter, EntryKind, Fetched, JournalEntry, JournalHead, Keep, KeptDecision, KnownEntry, Misfit, Pruned,
    Sent, Told, UNREADABLE, Verdict, Verified,
};
pub use lines::LogLine;
pub use logs::LogSource;
pub use problem::ArchiveProblem;
pub use reports::LONGEST_REPORT;
pub use runs::RunRecord;
pub use sessions::Session;

use connections::{Connections, Step};
use migrations::{check_form, migrate};
use place::Place;

/// The archive, shared by everybody in the process. Nothing in it waits longer than [`DEADLINE`], and after an outage it
/// works again by itself.
pub struct Archive {
    place: Place,
    writing: Connections,
    reading: Connections,
    migrated: OnceCell<()>,
    /// How this process left the journal.
    head: Mutex<Option<JournalHead>>,
}

impl Archive {
    /// The archive at a URL, `sqlite:PATH` or `postgres://…`. Nobody is asked before the first call.
    ///
    /// # Errors
    /// The URL names no archive.
    pub fn at(url: &str) -> Result<Self, ArchiveProblem> {
        Ok(Archive::of(Place::parse(url)?))
    }

    fn of(place: Place) -> Self {
        let (writing, reading) = (Connections::new(&place, WRITERS), Connections::new(&place, READERS));
        Archive { place, writing, reading, migrated: OnceCell::new(), head: Mutex::default() }
    }

    /// The archive that is there at a URL, to be read: nothing is made and nothing brought up to date.
    ///
    /// # Errors
    /// The URL names no archive, there is none, or it is of a form that has no journal or that is not known here.
    pub async fn existing(url: &str) -> Result<Self, ArchiveProblem> {
        let place = Place::parse(url)?.read_only()?;
        let archive = Archive { migrated: OnceCell::new_with(Some(())), ..Archive::of(place) };
        check_form(&archive).await?;
        Ok(archive)
    }

    /// The archive at a URL, made where it is not there, and brought up to date.
    ///
    /// # Errors
    /// The URL names no archive, or the database does not answer as it should.
    pub async fn open(url: &str) -> Result<Self, ArchiveProblem> {
        let archive = Archive::at(url)?;
        archive.check().await?;
        Ok(archive)
    }

    /// Whether the archive answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn check(&self) -> Result<(), ArchiveProblem> {
        self.read("reach the archive".to_owned(), |connection| {
            Box::pin(async move { sqlx::query("SELECT 1").execute(connection).await.map(drop) })
        })
        .await
    }

    /// One reading transaction.
    async fn read<T>(
        &self,
        doing: String,
        work: impl for<'c> FnOnce(&'c mut AnyConnection) -> Step<'c, T>,
    ) -> Result<T, ArchiveProblem> {
        self.run(&self.reading, self.place.begin_reading(), doing, work).await
    }

    /// One writing transaction; writers come one after the other, those of other processes too.
    async fn write<T>(
        &self,
        doing: String,
        work: impl for<'c> FnOnce(&'c mut AnyConnection) -> Step<'c, T>,
    ) -> Result<T, ArchiveProblem> {
        self.run(&self.writing, self.place.begin_writing(), doing, work).await
    }

    async fn run<T>(
        &self,
        connections: &Connections,
        begin: &'static str,
        doing: String,
        work: impl for<'c> FnOnce(&'c mut AnyConnection) -> Step<'c, T>,
    ) -> Result<T, ArchiveProblem> {
        let place = self.place.name();
        let answer = async {
            self.migrated.get_or_try_init(|| migrate(&self.place, &self.writing)).await?;
            let done = connections.run(begin, work).await;
            done.map_err(|cause| ArchiveProblem::of(doing.clone(), place, cause))
        };
        match timeout(DEADLINE, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(ArchiveProblem::Late { doing, place: place.to_owned(), patience: DEADLINE }),
        }
    }
}

/// How long a call waits for the database, everything included.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// Writers wait for each other anyway.
const WRITERS: usize = 1;
const READERS: usize = 4;
