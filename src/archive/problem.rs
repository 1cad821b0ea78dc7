//! Why the archive could not do something, and whether it could a moment later.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sqlx::error::ErrorKind;

/// Why a call came to nothing. No text of it holds what was to be written, or how we log in.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveProblem {
    /// A URL that names no archive; it is not told, since it may hold a password.
    #[error("the archive's URL cannot be used: {0}; write sqlite:PATH or postgres://USER@HOST/DATABASE")]
    Url(String),
    /// The database's file cannot be made.
    #[error("cannot make the archive {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The database says no, or cannot be reached.
    #[error("cannot {doing} in {place}")]
    Database {
        /// What we were doing.
        doing: String,
        /// Which database, without user and password.
        place: String,
        /// What it or the driver said.
        source: sqlx::Error,
    },
    /// The database has not answered. What was to be written may be there all the same.
    #[error("cannot {doing} in {place}: no answer within {patience:?}")]
    Late {
        /// What we were doing.
        doing: String,
        /// Which database, without user and password.
        place: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// What belongs to a run that was never recorded, or is forgotten.
    #[error("cannot {doing} in {place}: it has no such run")]
    NoSuchRun {
        /// What we were doing.
        doing: String,
        /// Which database, without user and password.
        place: String,
    },
    /// The archive is of a form that this program does not know.
    #[error("{place} was written by a newer Flamewarden: it has form {found}, and {known} is known here")]
    Newer {
        /// Which database, without user and password.
        place: String,
        /// Its form.
        found: i64,
        /// The newest form that is known.
        known: usize,
    },
    /// The archive that is to be read is of an older form.
    #[error(
        "{place} was written by an older Flamewarden: it has form {found}, and {known} is read here; the controller brings \
         it up to date when it starts"
    )]
    Older {
        /// Which database, without user and password.
        place: String,
        /// Its form.
        found: i64,
        /// The form that is read.
        known: usize,
    },
    /// The journal is not as it was written.
    #[error("cannot {doing} in {place}: entry {number} is not as it was written; `flamewarden audit verify` says more")]
    Changed {
        /// What we were doing.
        doing: String,
        /// Which database, without user and password.
        place: String,
        /// The first entry that does not fit.
        number: i64,
    },
    /// Somebody else began to write down a run of the audit, so that this one is not written to its end.
    #[error("cannot {doing} in {place}: another run is being written down")]
    Overtaken {
        /// What we were doing.
        doing: String,
        /// Which database, without user and password.
        place: String,
    },
}

impl ArchiveProblem {
    /// What the driver's error means.
    pub(super) fn of(doing: String, place: &str, source: sqlx::Error) -> Self {
        let place = place.to_owned();
        let kind = source.as_database_error().map(|error| error.kind());
        match kind {
            // Everything belongs to a run, and to nothing else.
            Some(ErrorKind::ForeignKeyViolation) => ArchiveProblem::NoSuchRun { doing, place },
            _ => ArchiveProblem::Database { doing, place, source },
        }
    }

    /// Whether the same call may succeed a moment later.
    pub fn may_pass(&self) -> bool {
        match self {
            ArchiveProblem::Late { .. } => true,
            ArchiveProblem::Database { source, .. } => passes(source),
            ArchiveProblem::Url(_)
            | ArchiveProblem::File { .. }
            | ArchiveProblem::NoSuchRun { .. }
            | ArchiveProblem::Newer { .. }
            | ArchiveProblem::Older { .. }
            | ArchiveProblem::Changed { .. }
            | ArchiveProblem::Overtaken { .. } => false,
        }
    }

    /// Whether what stands there has another form than it should: somebody else wrote it.
    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self, ArchiveProblem::Database { source, .. } if is_unreadable(source))
    }
}

/// The same of what the driver says.
pub(super) fn is_unreadable(cause: &sqlx::Error) -> bool {
    matches!(cause, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
}

/// Whether SQLite says that somebody else has the file at this moment.
pub(super) fn is_locked(cause: &sqlx::Error) -> bool {
    cause.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "5")
}

fn passes(cause: &sqlx::Error) -> bool {
    match cause {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code_passes(&code)),
        _ => false,
    }
}

/// PostgreSQL's codes have five letters, the first two for their class; SQLite's are numbers, the class in the lowest
/// byte.
fn code_passes(code: &str) -> bool {
    match (code.len(), code.get(..2), code.parse::<u32>()) {
        (5, Some(class), _) => POSTGRES_CLASSES.contains(&class) || code == READ_ONLY,
        (_, _, Ok(number)) => SQLITE_CLASSES.contains(&(number & 0xff)),
        _ => false,
    }
}

/// Connection, transaction rolled back, resources, object in use, operator's intervention, system error.
const POSTGRES_CLASSES: &[&str] = &["08", "40", "53", "55", "57", "58"];
/// What a standby answers.
const READ_ONLY: &str = "25006";
/// Busy, locked, interrupted, input or output, full, cannot open.
const SQLITE_CLASSES: &[u32] = &[5, 6, 9, 10, 13, 14];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        for (code, passes) in [
            ("57P03", true),  // the database starts up
            ("53300", true),  // too many connections
            ("25006", true),  // a standby, which is about to take over
            ("40001", true),  // could not serialise
            ("28P01", false), // wrong password
            ("42P01", false), // no such table
            ("23505", false), // not unique
            ("5", true),      // busy
            ("517", true),    // busy, an older state was read
            ("13", true),     // disk full
            ("14", true),     // cannot open
            ("1", false),     // wrong statement
            ("8", false),     // read only
            ("787", false),   // no such run
            ("", false),
            ("ab", false),
        ] {
            assert_eq!(code_passes(code), passes, "{code}");
        }
        assert!(passes(&sqlx::Error::Io(io::ErrorKind::ConnectionRefused.into())));
        assert!(!passes(&sqlx::Error::RowNotFound));
    }
}
