//! The gateway's configuration, as `flamewarden bundle` prints it, in a real nginx between recording upstreams. Run it with
//! `cargo test --features cluster --test nginx`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this whole target is a test: what goes wrong ends the test that asked for it"
)]

mod faults_test;
mod gateway;
#[path = "../cluster/part.rs"]
#[expect(dead_code, reason = "a cluster's tests need more of it")]
mod part;
mod passes_test;
mod recorder;
mod refused_test;
mod rendered;
mod streaming_test;
mod wire;
