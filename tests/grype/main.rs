//! Real Grype, with a small database of its own, on images in a real registry. Run it with
//! `cargo test --features cluster --test grype`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this whole target is a test: what goes wrong ends the test that asked for it"
)]

mod advisories;
mod child_test;
mod command_test;
mod image;
mod lab;
#[path = "../cluster/part.rs"]
#[expect(dead_code, reason = "the file is of another target, which uses more")]
mod part;
#[path = "../cluster/pki.rs"]
#[expect(dead_code, reason = "users by certificate are the cluster's")]
mod pki;
mod registry;
mod reports_test;
mod resolve_test;
mod samples;
