//! Edge: holds a scan to its bounds, by looking.
//!
//! A bound on address space would break Go, which reserves far more than it uses; a control group needs rights that the
//! controller's container does not have. So what the processes use is looked at again and again. What could be done
//! between two looks is bounded for each process by its own limits (`confine.rs`).

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::processes::{below, memory, open_files};
use super::unmade;
use crate::scanner::{Bound, Bounds, ScanProblem};

/// Returns when the scan takes more than it may.
pub(super) async fn watch(bounds: &Bounds, folder: &Path) -> ScanProblem {
    let (problem, what) = tokio::select! {
        exceeded = processes(bounds) => (exceeded, "the processes of a scan"),
        exceeded = disk(bounds, folder) => (exceeded, "the files of a scan"),
    };
    match problem {
        Ok(bound) => ScanProblem::Exceeded(bound),
        // What cannot be watched is not let run.
        Err(problem) => unmade(format!("cannot look at {what}: {problem}")),
    }
}

/// Whether the files have reached their bound.
pub(super) async fn disk_is_full(bounds: &Bounds, folder: &Path) -> Result<bool, ScanProblem> {
    let taken =
        size(folder.to_owned()).await.map_err(|problem| unmade(format!("cannot look at its files: {problem}")))?;
    Ok(taken >= bounds.disk)
}

async fn processes(bounds: &Bounds) -> io::Result<Bound> {
    loop {
        let all = below()?;
        if all.len() > bounds.processes {
            return Ok(Bound::Processes);
        }
        if all.into_iter().map(memory).sum::<u64>() > bounds.memory {
            return Ok(Bound::Memory);
        }
        sleep(LOOK).await;
    }
}

async fn disk(bounds: &Bounds, folder: &Path) -> io::Result<Bound> {
    loop {
        let begun = Instant::now();
        if size(folder.to_owned()).await? >= bounds.disk {
            return Ok(Bound::Disk);
        }
        // Many files take their time; most of it is Grype's.
        sleep((begun.elapsed() * 5).max(LOOK)).await;
    }
}

/// Bytes of all files of a folder, and of those that the processes hold open and nobody else can see.
async fn size(folder: PathBuf) -> io::Result<u64> {
    let looked = spawn_blocking(move || {
        let (mut bytes, mut folders, mut seen) = (0, vec![folder], HashSet::new());
        while let Some(folder) = folders.pop() {
            // What has gone meanwhile takes nothing.
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(found) = entry.metadata() else { continue };
                bytes += taken(&found, &mut seen);
                if found.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        for file in below()?.into_iter().flat_map(open_files) {
            let found = fs::metadata(file).ok().filter(|found| found.is_file() && found.nlink() == 0);
            bytes += found.map_or(0, |found| taken(&found, &mut seen));
        }
        Ok(bytes)
    });
    looked.await.map_err(io::Error::other)?
}

/// What one takes, once: also an empty one takes its entry.
fn taken(found: &Metadata, seen: &mut HashSet<(u64, u64)>) -> u64 {
    let is_new = seen.insert((found.dev(), found.ino()));
    if is_new { (found.blocks() * 512).max(ENTRY) } else { ENTRY }
}

const LOOK: Duration = Duration::from_millis(50);
const ENTRY: u64 = 256;
