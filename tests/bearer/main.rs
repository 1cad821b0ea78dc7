//! Bearer tokens of a Keycloak realm, the realm's keys, and people who log in: without Keycloak, with keys made here and
//! a stand-in.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod clients;
mod keys;
mod login;
mod login_lab;
mod login_tokens;
mod signer;
mod stand_in;
#[path = "../hub/tls.rs"]
mod tls;
mod tokens;
mod ways;
