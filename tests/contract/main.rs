//! FLAME's REST API as its callers meet it: against its own OpenAPI document, against FastAPI, and as the Hub adapter calls
//! it, on a real control plane and a real Keycloak. Run it with `cargo test --features cluster --test contract`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    dead_code,
    reason = "this whole target is a test, made of the parts of others, which use more of them"
)]

#[path = "../cluster/caller.rs"]
mod caller;
mod cleanup_test;
#[path = "../cluster/control_plane.rs"]
mod control_plane;
mod document_test;
mod fastapi_test;
#[path = "../cluster/flamewarden.rs"]
mod flamewarden;
mod hub_adapter_test;
mod installed;
#[path = "../keycloak/server.rs"]
mod keycloak;
#[path = "../cluster/kubelet.rs"]
mod kubelet;
mod many_test;
#[path = "../cluster/node.rs"]
mod node;
#[path = "../cluster/part.rs"]
mod part;
#[path = "../cluster/pki.rs"]
mod pki;
mod python;
#[path = "../cluster/scanned.rs"]
mod scanned;
#[path = "../cluster/shared.rs"]
mod shared;
