//! The edge towards FLAME's Hub, against a server that stands in for it; FLAME's own client, which says whether that
//! server is like the Hub, is asked with `--features cluster`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "this whole target is a test: what goes wrong ends the test that asked for it"
)]

mod calls;
mod faults;
#[cfg(feature = "cluster")]
mod flame_client;
mod lab;
mod proxy;
mod stand_in;
mod tls;
mod ways;
