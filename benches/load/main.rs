//! Load benchmark: what a review costs, side by side with servers that do less, in one run on one machine.
//!
//! `cargo bench --features cluster --bench load` prints README's table of figures; without the feature, the rows that
//! need no cluster; `-- --short` does a tenth.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark prints its table, and fails by panicking"
)]
#![cfg_attr(
    feature = "cluster",
    expect(
        clippy::expect_used,
        clippy::panic,
        dead_code,
        reason = "parts of the cluster tests, of which some are used"
    )
)]
#![cfg_attr(not(feature = "cluster"), expect(dead_code, reason = "the rows that need a cluster ask for more"))]

mod bare;
mod child;
mod median;
mod reviewer;
mod reviews;
mod scans;
mod servers;

#[path = "../../tests/serve/api_server.rs"]
#[expect(dead_code, reason = "the file is of a test, which uses more")]
mod api_server;
#[cfg(feature = "cluster")]
#[path = "../../tests/cluster/caller.rs"]
mod caller;
#[cfg(feature = "cluster")]
#[path = "../../tests/cluster/control_plane.rs"]
mod control_plane;
#[cfg(feature = "cluster")]
mod creations;
#[cfg(feature = "cluster")]
#[path = "../../tests/cluster/flamewarden.rs"]
mod flamewarden;
#[cfg(feature = "cluster")]
#[path = "../../tests/cluster/kubelet.rs"]
mod kubelet;
#[cfg(feature = "cluster")]
#[path = "../../tests/cluster/part.rs"]
mod part;
#[cfg(feature = "cluster")]
#[path = "../../tests/cluster/pki.rs"]
mod pki;
#[cfg(feature = "cluster")]
#[path = "../../tests/cluster/scanned.rs"]
mod scanned;
#[cfg(feature = "cluster")]
#[path = "../../tests/cluster/shared.rs"]
mod shared;
#[cfg(feature = "cluster")]
#[path = "../../tests/cluster/stored.rs"]
mod stored;

/// The same allocator as the program's, so that the servers differ only in what they do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, folder] = arguments.as_slice()
        && let Some(work) = bare::Work::of_word(word)
    {
        return bare::serve(work, folder.as_ref());
    }
    let share = if arguments.iter().any(|argument| argument == "--short") { 10 } else { 1 };
    println!("| | aim | Flamewarden | bare TLS server, constant answer | the same, into `serde_json::Value` |");
    println!("|---|---|---|---|---|");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(servers::rows(share));
    drop(runtime);
    #[cfg(feature = "cluster")]
    shared::run(creations::rows(share));
}
