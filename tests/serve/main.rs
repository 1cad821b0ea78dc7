//! The webhook as a server: real sockets on the loopback, real TLS, no cluster.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod answers;
mod api_server;
mod asks_nobody;
mod break_glass;
mod client;
mod crowded;
mod decisions;
mod endings;
mod greedy;
mod lines;
mod process;
mod readiness;
mod reload;
mod server;
mod tls;
mod told;
mod turns;
