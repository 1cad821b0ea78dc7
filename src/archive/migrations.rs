//! Edge: brings the database to the form that this program knows, one numbered step in one transaction after the other.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use sqlx::{AnyConnection, Executor as _};
use tokio::time::{Instant, sleep};

use super::connections::Connections;
use super::place::Place;
use super::problem::is_locked;
use super::{Archive, ArchiveProblem};

/// How far one transaction came.
enum Progress {
    /// One step was taken.
    Forward,
    /// There is no further step; the database has this form.
    At(i64),
}

/// Takes the steps that are missing. Two that do so at once come one after the other in each transaction.
pub(super) async fn migrate(place: &Place, writing: &Connections) -> Result<(), ArchiveProblem> {
    place.file().map_or(Ok(()), make_file)?;
    let begun = Instant::now();
    loop {
        match writing.run(place.begin_writing(), |connection| Box::pin(step(connection))).await {
            Ok(Progress::Forward) => {}
            Ok(Progress::At(found)) if known(found) => return Ok(()),
            Ok(Progress::At(found)) => {
                let place = place.name().to_owned();
                return Err(ArchiveProblem::Newer { place, found, known: MIGRATIONS.len() });
            }
            // A new file's first connection changes how its journal is kept, and SQLite waits for nobody in that.
            Err(cause) if is_locked(&cause) && begun.elapsed() < LOCKED => sleep(PACE).await,
            Err(cause) => return Err(ArchiveProblem::of(DOING.to_owned(), place.name(), cause)),
        }
    }
}

/// Holds an archive that is to be read to a form that has a journal and is known.
pub(super) async fn check_form(archive: &Archive) -> Result<(), ArchiveProblem> {
    let last = archive.read("find the archive's form".to_owned(), |connection| {
        Box::pin(async move { sqlx::query_scalar::<_, i64>(LAST).fetch_one(connection).await })
    });
    let (found, place) = (last.await?, archive.place.name().to_owned());
    match found {
        found if known(found) => Ok(()),
        found if found > newest() => Err(ArchiveProblem::Newer { place, found, known: MIGRATIONS.len() }),
        found => Err(ArchiveProblem::Older { place, found, known: MIGRATIONS.len() }),
    }
}

/// What analyses wrote is nobody else's to read; the database gives its other files the rights of this one.
fn make_file(path: &Path) -> Result<(), ArchiveProblem> {
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map(drop).map_err(|source| ArchiveProblem::File { path: path.to_owned(), source })
}

async fn step(connection: &mut AnyConnection) -> Result<Progress, sqlx::Error> {
    connection.execute("CREATE TABLE IF NOT EXISTS archive_migrations (number BIGINT PRIMARY KEY)").await?;
    let last: i64 = sqlx::query_scalar(LAST).fetch_one(&mut *connection).await?;
    let next = usize::try_from(last).ok().and_then(|last| MIGRATIONS.get(last));
    let Some(next) = next else { return Ok(Progress::At(last)) };
    connection.execute(*next).await?;
    let insert = sqlx::query("INSERT INTO archive_migrations (number) VALUES ($1)");
    insert.bind(last.saturating_add(1)).execute(connection).await?;
    Ok(Progress::Forward)
}

fn known(found: i64) -> bool {
    found == newest()
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Shorter than the deadline of a call, so that the caller learns what held it up.
const LOCKED: Duration = Duration::from_secs(3);
const PACE: Duration = Duration::from_millis(20);
const LAST: &str = "SELECT COALESCE(MAX(number), 0) FROM archive_migrations";
const DOING: &str = "bring the archive up to date";
/// The first has number 1. What was released once is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/1-runs.sql"),
    include_str!("migrations/2-logs.sql"),
    include_str!("migrations/3-lines.sql"),
    include_str!("migrations/4-reports.sql"),
    include_str!("migrations/5-journal.sql"),
    include_str!("migrations/6-findings.sql"),
    include_str!("migrations/7-decisions.sql"),
    include_str!("migrations/8-pages.sql"),
];
