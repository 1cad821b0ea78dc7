//! The archive on a real PostgreSQL 15, by the same tests as on SQLite, and by some of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod contents;
mod crash;
mod database;
mod decisions;
mod findings;
mod forms;
mod journal;
mod journal_commands;
mod journal_crash;
mod log_bounds;
mod outage;
#[path = "../cluster/part.rs"]
mod part;
#[expect(dead_code, reason = "users by certificate are the cluster's")]
#[path = "../cluster/pki.rs"]
mod pki;
mod postgres_only;
mod postgres_server;
mod reports;
mod seen;
mod siem;

/// Where the tests' archives are.
pub(crate) use postgres_server::Server;
