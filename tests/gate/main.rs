//! The scan gate on a real control plane, with real Grype, a database of the tests' own and a real registry. Run it with
//! `cargo test --features cluster --test gate`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    reason = "this whole target is a test, made of the parts of others, which use more of them"
)]

#[path = "../grype/advisories.rs"]
mod advisories;
mod archive_test;
#[path = "../cluster/caller.rs"]
mod caller;
#[path = "../cluster/control_plane.rs"]
mod control_plane;
#[path = "../cluster/flame.rs"]
mod flame;
mod flame_test;
#[path = "../cluster/flamewarden.rs"]
mod flamewarden;
mod gate;
mod gate_test;
#[path = "../grype/lab.rs"]
mod grype;
#[path = "../hub/stand_in.rs"]
mod hub;
#[path = "../grype/image.rs"]
mod image;
mod jobs_test;
#[path = "../cluster/kubelet.rs"]
mod kubelet;
mod lookup_test;
#[path = "../cluster/node.rs"]
mod node;
#[path = "../cluster/part.rs"]
mod part;
#[path = "../cluster/pki.rs"]
mod pki;
#[path = "../cluster/po.rs"]
mod po;
#[path = "../cluster/recording.rs"]
mod recording;
#[path = "../grype/registry.rs"]
mod registry;
#[path = "../grype/samples.rs"]
mod samples;
#[path = "../cluster/scanned.rs"]
mod scanned;
mod sealed;
mod served_jobs_test;
#[path = "../cluster/shared.rs"]
mod shared;
#[path = "../scan/signer.rs"]
mod signer;
mod time_test;
mod trust_test;
mod unused_test;
mod workers;
