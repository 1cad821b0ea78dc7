//! The report's forms, held to their published schemas and to checkers that are not ours, and the page in a browser.
//! Needs PyPI, npm and Go modules, or what came from them once; run it with `cargo test --features cluster --test forms`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "this whole target is a test: what goes wrong ends the test that asked for it"
)]

mod browser;
mod checkers;
mod page_test;
mod queries_test;
mod sample;
mod schemas_test;
mod tables_test;
