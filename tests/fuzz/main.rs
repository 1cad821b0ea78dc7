//! Fuzz targets for a stable toolchain; see README.md beside this file.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program of its own: it reports on its output, and what goes wrong in it ends it"
)]

mod json;
mod mutate;
mod random;
mod run;
mod targets;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use run::{Order, attempt, run};
use targets::{TARGETS, Target};

fn main() -> ExitCode {
    let wanted: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |target: &&Target| wanted.is_empty() || wanted.iter().any(|word| target.name.contains(word));
    let chosen: Vec<&Target> = TARGETS.iter().filter(is_wanted).collect();
    if env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    if let Some(file) = env::var_os("FLAMEWARDEN_FUZZ_INPUT") {
        return again(&chosen, Path::new(&file));
    }
    let seed = setting("SEED").unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
    let lasting = Duration::from_secs(setting("SECONDS").unwrap_or(1));
    if let Some(name) = env::var_os(CHILD) {
        let target = TARGETS.iter().find(|target| name == target.name).unwrap();
        return child(target, &Order { seed, lasting, in_hand: in_hand(target) });
    }
    let left = Mutex::new(chosen);
    let worker = || {
        let mut all_well = true;
        while let Some(target) = next(&left) {
            all_well &= told(target, seed);
        }
        all_well
    };
    // Two at a time, each in a process of its own: an input that ends its process ends no other target.
    let all_well = std::thread::scope(|scope| {
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        workers.map(|worker| worker.join().unwrap()) == [true, true]
    });
    if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn next<'t>(left: &Mutex<Vec<&'t Target>>) -> Option<&'t Target> {
    left.lock().unwrap().pop()
}

/// Runs a target in a process of its own and tells what became of it.
fn told(target: &Target, seed: u64) -> bool {
    let mut command = Command::new(env::current_exe().unwrap());
    command.env(CHILD, target.name).env("FLAMEWARDEN_FUZZ_SEED", seed.to_string());
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    if done.status.success() {
        println!("fuzz {}, seed {seed}: {}", target.name, said.trim());
        return true;
    }
    let (from, to) = (in_hand(target), in_hand(target).with_extension("failed"));
    let _ = fs::rename(from, &to);
    let input = fs::read(&to).unwrap_or_default();
    let shown: String = String::from_utf8_lossy(&input).chars().take(SHOWN).collect();
    println!(
        "fuzz {}, seed {seed}: FAILED, {}: {}\n{}\nthe input, also in {}:\n{shown}",
        target.name,
        done.status,
        said.trim(),
        String::from_utf8_lossy(&done.stderr),
        to.display(),
    );
    false
}

fn child(target: &Target, order: &Order) -> ExitCode {
    match run(target, order) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            println!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// One input again, with the whole panic.
fn again(chosen: &[&Target], file: &Path) -> ExitCode {
    let input = fs::read(file).unwrap();
    let results: Vec<_> = chosen.iter().map(|target| (target.name, attempt(target, &input))).collect();
    println!("{results:#?}");
    if results.iter().all(|(_, result)| result.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn setting(name: &str) -> Option<u64> {
    env::var(format!("FLAMEWARDEN_FUZZ_{name}")).ok().map(|text| text.parse().unwrap())
}

fn in_hand(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}", target.name))
}

const CHILD: &str = "FLAMEWARDEN_FUZZ_CHILD";
const SHOWN: usize = 4000;
