//! What the registry client believes and whom it asks, by servers of the tests' own that lie, lead elsewhere and do not end.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "this whole target is a test: what goes wrong ends the test that asked for it"
)]

mod attached;
mod believed;
mod memory;
mod reach;
mod stand_in;
#[path = "../hub/tls.rs"]
mod tls;
mod trusted;
