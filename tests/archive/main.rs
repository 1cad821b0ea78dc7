//! The archive on SQLite. `postgres.rs` beside this file runs the same tests on PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy sees helpers as ordinary functions"
)]

mod contents;
mod crash;
mod database;
mod decisions;
mod findings;
mod forms;
mod full_disk;
mod journal;
mod journal_commands;
mod journal_crash;
mod log_bounds;
mod outage;
mod reports;
mod seen;
mod siem;
mod sqlite;
mod sqlite_only;

/// Where the tests' archives are.
pub(crate) use sqlite::Server;
