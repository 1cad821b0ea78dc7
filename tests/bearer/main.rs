//! Bearer tokens of a Keycloak realm, and the realm's keys: without Keycloak, with keys made here and a stand-in.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod clients;
mod keys;
mod signer;
mod stand_in;
#[path = "../hub/tls.rs"]
mod tls;
mod tokens;
mod ways;
