//! Edge: the processes below this one, whatever they have done to get away: found, measured, ended.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpgid, getpgrp, getpid, kill_process, kill_process_group, wait};
use tokio::time::sleep;

/// All processes that descend from this one, those that have ended and were not waited for among them.
pub(super) fn below() -> io::Result<Vec<Pid>> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has ended meanwhile is nobody's parent.
        let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        if let Some(parent) = parent(&stat) {
            children.entry(parent).or_default().push(process);
        }
    }
    let (mut found, mut next) = (Vec::new(), vec![getpid().as_raw_pid()]);
    while let Some(process) = next.pop() {
        let below = children.remove(&process).unwrap_or_default();
        found.extend(below.iter().copied().filter_map(Pid::from_raw));
        next.extend(below);
    }
    Ok(found)
}

/// A process's name, which is anything, stands in brackets; its state and its parent follow.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Bytes of memory that a process uses, also where they were written out; none of one that has ended.
pub(super) fn memory(process: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_pid())).unwrap_or_default();
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    let used = lines.filter(|(name, _)| ["VmRSS", "VmSwap"].contains(name));
    used.filter_map(|(_, value)| value.trim().strip_suffix(" kB")?.parse::<u64>().ok()).sum::<u64>() * 1024
}

/// The files that a process has open, as paths that lead to each.
pub(super) fn open_files(process: Pid) -> Vec<PathBuf> {
    let all = fs::read_dir(format!("/proc/{}/fd", process.as_raw_pid())).into_iter().flatten();
    all.flatten().map(|entry| entry.path()).collect()
}

/// Ends them all and waits for it.
pub(super) async fn end_all() -> io::Result<()> {
    for _ in 0..TRIES {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        let all = below()?;
        if all.is_empty() {
            return Ok(());
        }
        for process in all {
            // A group ends as one, however quickly it makes new ones. What has ended by itself is no fault.
            match getpgid(Some(process)) {
                Ok(group) if group != getpgrp() => drop(kill_process_group(group, Signal::KILL)),
                _ => drop(kill_process(process, Signal::KILL)),
            }
        }
        sleep(PAUSE).await;
    }
    Err(io::Error::other("it cannot be ended"))
}

const PAUSE: Duration = Duration::from_millis(5);
const TRIES: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_s_name_does_not_hide_its_parent() {
        for (stat, want) in [
            ("12 (grype) S 7 12 12 0", Some(7)),
            ("12 (a) R 1 (b c) S 7 12 12 0", Some(7)),
            ("12 (a\n) S 9 1) Z 7 12", Some(7)),
            ("12 (grype) S", None),
            ("", None),
        ] {
            assert_eq!(parent(stat), want, "{stat}");
        }
    }
}
