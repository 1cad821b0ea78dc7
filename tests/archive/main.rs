//! The archive on SQLite. `postgres.rs` beside this file runs the same tests on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contents;
mod crash;
mod database;
mod forms;
mod log_bounds;
mod outage;
mod reports;
mod sqlite;
mod sqlite_only;

/// Where the tests' archives are.
pub(crate) use sqlite::Server;
