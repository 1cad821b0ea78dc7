//! The pages in a real browser, with logins by a real Keycloak. What the controller shows of a real cluster is looked at by
//! the target `load`. Needs PyPI, npm and Maven, or what came from them once; run it with
//! `cargo test --features cluster --test pages`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this whole target is a test: what goes wrong ends the test that asked for it"
)]

mod api;
#[path = "../forms/browser.rs"]
#[expect(dead_code, reason = "the file is of another target, which uses more")]
mod browser;
#[path = "../forms/checkers.rs"]
#[expect(dead_code, reason = "the file is of another target, which uses more")]
mod checkers;
mod content;
mod driven;
mod login_test;
mod markup_test;
mod page_test;
#[path = "../cluster/part.rs"]
mod part;
#[path = "../keycloak/people.rs"]
mod people;
#[path = "../keycloak/server.rs"]
#[expect(dead_code, clippy::print_stdout, reason = "the file is of another target, which uses and tells more")]
mod server;
mod shown;
