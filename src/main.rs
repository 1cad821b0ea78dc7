//! Entry point of the one binary.

use std::process::ExitCode;

/// Returns memory of large reviews to the system, which the C library's allocator keeps.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    flamewarden::cli::run()
}
