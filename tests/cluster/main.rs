//! Tests on a real control plane; see README.md beside this file.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this whole target is a test: what goes wrong ends the test that asked for it"
)]

mod adopted_test;
mod archive_test;
mod attacks;
mod audit_test;
mod bulk_test;
mod bundle_time_test;
mod caller;
mod canary_test;
mod contested_test;
mod control_plane;
mod crash_test;
#[path = "../archive/database.rs"]
#[expect(dead_code, reason = "the file is of another target, which uses more")]
mod database;
mod decisions_test;
mod dedicated_test;
mod drift_test;
mod ending_test;
mod facts_test;
mod fallback_test;
mod faulty;
mod flame;
mod flame_replay;
mod flamewarden;
mod flamewarden_test;
mod foreign_kinds;
mod foreign_test;
mod gateway;
mod guard_test;
mod health_test;
#[path = "../hub/stand_in.rs"]
#[expect(dead_code, reason = "the file is of another target, which uses more")]
mod hub;
mod hub_test;
mod identity_test;
mod instance;
mod isolated;
#[path = "../keycloak/server.rs"]
#[expect(dead_code, clippy::print_stdout, reason = "the file is of another target, which uses and tells more")]
mod keycloak;
mod killed;
mod kubelet;
mod lab;
mod leader_test;
mod lifecycle_test;
mod moved_test;
mod node;
mod open_reports;
mod orchestrator_test;
mod outage_test;
mod own_rules_test;
mod part;
mod pki;
mod plane_test;
mod po;
mod po_against_test;
mod po_many_test;
mod po_test;
#[path = "../archive/postgres_server.rs"]
#[expect(dead_code, reason = "the file is of another target, which uses more")]
mod postgres_server;
mod probes;
#[path = "../hub/proxy.rs"]
mod proxy;
mod recorded_test;
mod recorder;
mod recording;
mod removal_test;
mod reports_test;
mod scanned;
mod served;
mod shared;
mod shared_keycloak;
mod side_by_side_test;
mod strangers_test;
mod tokens_test;
mod unwritten_test;
mod user_rules_test;
mod watched_test;

/// Where archives are that a test stops.
pub(crate) use postgres_server::Server;
