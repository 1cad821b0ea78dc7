//! The edge towards Keycloak, the check of its tokens, and logging in by it, on a real Keycloak. Run it with
//! `cargo test --features cluster --test keycloak`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "this whole target is a test: what goes wrong ends the test that asked for it"
)]

mod browser;
mod clients_test;
mod killed_test;
mod lab;
mod login_test;
#[path = "../cluster/part.rs"]
mod part;
mod people;
mod rotation_test;
mod server;
mod stopped_test;
mod tokens_test;
