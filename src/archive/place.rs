//! Edge: where the archive is, read from its URL, and how transactions begin there.
//!
//! The driver takes what a `postgres://` URL leaves out from the environment and from `.pgpass`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::ConnectOptions as _;
use sqlx::any::AnyConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::ArchiveProblem;

/// A database, reachable or not.
pub(super) struct Place {
    database: Database,
    options: AnyConnectOptions,
    name: String,
    is_read_only: bool,
}

/// Which database it is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Database {
    /// This file.
    Sqlite(PathBuf),
    Postgres,
}

impl Place {
    /// Reads a URL. What is wrong with it is told without its text, which may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, ArchiveProblem> {
        sqlx::any::install_default_drivers();
        match url.split_once(':') {
            Some(("sqlite", rest)) => Place::sqlite(rest.strip_prefix("//").unwrap_or(rest)),
            Some(("postgres" | "postgresql", _)) => Place::postgres(url),
            _ => Err(ArchiveProblem::Url("it begins neither with `sqlite:` nor with `postgres://`".to_owned())),
        }
    }

    fn sqlite(path: &str) -> Result<Self, ArchiveProblem> {
        let reason = match path {
            "" => "it names no file",
            _ if path.starts_with(':') => "it names no file",
            _ if path.contains("?mode=") => "a file takes no parameters",
            _ if path.starts_with("//") => "the file's path begins with two slashes",
            _ => return Place::new(Database::Sqlite(path.into()), &encoded(path), format!("sqlite:{path}")),
        };
        Err(ArchiveProblem::Url(reason.to_owned()))
    }

    fn postgres(url: &str) -> Result<Self, ArchiveProblem> {
        let options = PgConnectOptions::from_str(url).map_err(|cause| ArchiveProblem::Url(cause.to_string()))?;
        let database = options.get_database().unwrap_or_default();
        let name = format!("postgres://{}:{}/{database}", options.get_host(), options.get_port());
        Place::new(Database::Postgres, url, name)
    }

    fn new(database: Database, url: &str, name: String) -> Result<Self, ArchiveProblem> {
        let options = AnyConnectOptions::from_str(url).map_err(|cause| ArchiveProblem::Url(cause.to_string()))?;
        Ok(Place { database, options: options.disable_statement_logging(), name, is_read_only: false })
    }

    /// The same, to be read alone: a file stays as it is, byte by byte, and one that nobody has open is read without the
    /// files that go with it, so that a copy may lie where nothing can be written.
    pub(super) fn read_only(self) -> Result<Self, ArchiveProblem> {
        let Database::Sqlite(path) = &self.database else { return Ok(self) };
        let beside = PathBuf::from(format!("{}-wal", path.display()));
        let how = if beside.exists() { "?mode=ro" } else { "?mode=ro&immutable=1" };
        let url = encoded(&path.display().to_string()) + how;
        Ok(Place { is_read_only: true, ..Place::new(self.database, &url, self.name)? })
    }

    /// Its name for messages, without user and password.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn options(&self) -> &AnyConnectOptions {
        &self.options
    }

    /// The file, where the database is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match &self.database {
            Database::Sqlite(path) => Some(path),
            Database::Postgres => None,
        }
    }

    /// What a new connection is told first.
    pub(super) fn greeting(&self) -> &'static str {
        match self.database {
            Database::Sqlite(_) if self.is_read_only => "PRAGMA busy_timeout = 4000; PRAGMA foreign_keys = ON",
            // A writer that waits gives up before the deadline, so that the caller learns what held it up.
            Database::Sqlite(_) => {
                "PRAGMA busy_timeout = 4000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA foreign_keys = ON"
            }
            // Nobody waits longer for an answer, so the server need not work on one either.
            Database::Postgres => "SET statement_timeout = 5000; SET idle_in_transaction_session_timeout = 5000",
        }
    }

    /// Begins a transaction that sees one state of the archive.
    pub(super) fn begin_reading(&self) -> &'static str {
        match self.database {
            Database::Sqlite(_) => "BEGIN",
            Database::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }

    /// Begins a transaction beside which nobody else writes.
    pub(super) fn begin_writing(&self) -> &'static str {
        match self.database {
            Database::Sqlite(_) => "BEGIN IMMEDIATE",
            // Any number will do, as long as it stays the same. What the one before has written is seen once the lock is
            // given, whatever isolation the server is set to.
            Database::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(4931027456123)",
        }
    }
}

/// A path as the driver's URL has it.
fn encoded(path: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(byte);
    let letters = path.bytes().map(|byte| match plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    std::iter::once("sqlite:".to_owned()).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file_or_a_server_and_its_password_is_never_told() {
        let read = |url: &str| Place::parse(url).map(|place| place.name).map_err(|problem| problem.to_string());
        for (url, name) in [
            ("sqlite:/data/archive.db", "sqlite:/data/archive.db"),
            ("sqlite:///data/archive.db", "sqlite:/data/archive.db"),
            ("sqlite:archive of ours.db", "sqlite:archive of ours.db"),
            ("postgres://flame:hush@db.example:6432/archive?sslmode=verify-full", "postgres://db.example:6432/archive"),
            ("postgresql://db.example/archive", "postgres://db.example:5432/archive"),
        ] {
            assert_eq!(read(url), Ok(name.to_owned()), "{url}");
        }
        for (url, reason) in [
            ("", "neither"),
            ("mysql://flame:hush@db/x", "neither"),
            ("/data/hush.db", "neither"),
            ("sqlite:", "no file"),
            ("sqlite::memory:", "no file"),
            ("sqlite:/data/hush.db?mode=ro", "no parameters"),
            ("sqlite:////data/hush.db", "two slashes"),
            ("postgres://flame:hush@db:port/x", "port"),
            ("postgres://flame:hush@db/x?sslmode=perhaps", "perhaps"),
        ] {
            let problem = read(url).unwrap_err();
            assert!(problem.contains(reason) && !problem.contains("hush"), "{url}: {problem}");
        }
    }

    #[test]
    fn a_path_means_itself_whatever_is_in_it() {
        assert_eq!(encoded("/data/a b?%41.db"), "sqlite:/data/a%20b%3F%2541.db");
    }
}
