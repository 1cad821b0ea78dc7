//! Runs one target for a while: a mutated input after another, each on disk before it is tried.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::mutate::{LONGEST, Material, mutated};
use crate::random::Random;
use crate::targets::{Target, words};

/// What is asked of a run.
pub(crate) struct Order {
    pub(crate) seed: u64,
    pub(crate) lasting: Duration,
    /// Where the input in hand stands, so that it is there whatever becomes of the process.
    pub(crate) in_hand: PathBuf,
}

/// Tries inputs until the time is over; the first that fails is left on disk and ends the run.
pub(crate) fn run(target: &Target, order: &Order) -> Result<String, String> {
    let mut corpus: Vec<Vec<u8>> = (target.seeds)();
    corpus.retain(|seed| seed.len() <= LONGEST);
    let (mut known, material) = (HashSet::new(), Material { words: words() });
    let mut random = Random::new(order.seed);
    let mut in_hand = File::create(&order.in_hand).unwrap();
    let progress = watch_progress();
    let (begun, mut count, mut slowest, seeds) = (Instant::now(), 0_usize, Duration::ZERO, corpus.len());
    while count < seeds || begun.elapsed() < order.lasting {
        let input = match corpus.get(count).filter(|_| count < seeds) {
            Some(seed) => seed.clone(),
            None => {
                let (base, other) = (random.of(corpus.as_slice()), random.of(corpus.as_slice()));
                mutated(base, other, &material, &mut random)
            }
        };
        keep(&mut in_hand, &input);
        let tried = Instant::now();
        let became = attempt(target, &input).map_err(|problem| format!("execution {count}: {problem}"))?;
        slowest = slowest.max(tried.elapsed());
        if known.insert(became) && corpus.len() < LARGEST_CORPUS {
            corpus.push(input);
        }
        count += 1;
        progress.send(()).unwrap();
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    fs::remove_file(&order.in_hand).unwrap();
    Ok(format!(
        "{count} executions, {rate:.0} a second, {} outcomes, slowest {} ms, {} MB",
        known.len(),
        slowest.as_millis(),
        memory()?,
    ))
}

/// Tries one input; a panic is told as a text.
pub(crate) fn attempt(target: &Target, input: &[u8]) -> Result<String, String> {
    catch_unwind(AssertUnwindSafe(|| (target.attempt)(input))).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|&text| text.to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
    })
}

fn keep(file: &mut File, input: &[u8]) {
    file.rewind().unwrap();
    file.write_all(input).unwrap();
    file.set_len(input.len() as u64).unwrap();
}

/// Ends the process where one execution does not end.
fn watch_progress() -> mpsc::SyncSender<()> {
    let (progress, seen) = mpsc::sync_channel(1024);
    std::thread::spawn(move || {
        loop {
            match seen.recv_timeout(STUCK) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    eprintln!("an execution did not end in {STUCK:?}");
                    std::process::abort();
                }
            }
        }
    });
    progress
}

/// The most memory that this process ever had, in MB; too much of it is a failure.
fn memory() -> Result<u64, String> {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let megabytes = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024;
    if megabytes > MOST_MEMORY { Err(format!("took {megabytes} MB of memory")) } else { Ok(megabytes) }
}

const LARGEST_CORPUS: usize = 20_000;
const STUCK: Duration = Duration::from_secs(30);
const MOST_MEMORY: u64 = 2048;
