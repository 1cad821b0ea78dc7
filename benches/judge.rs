//! What reading and judging cost without a server around them: `cargo bench --bench judge`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and tells what it measured"
)]

#[path = "load/reviews.rs"]
mod reviews;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flamewarden::facts::{Scan, ScanMemory, Scans};
use flamewarden::model::{Digest, PolicyHash, ScanOutcome, Verdict};
use flamewarden::policy::PolicySet;
use flamewarden::webhook::{Review, Side, answer_alone};
use jiff::{SignedDuration, Timestamp};

fn reviews(criterion: &mut Criterion) {
    let policies = PolicySet::parse(reviews::POLICIES).unwrap();
    let now = Timestamp::now();
    for size in [2048, 8192] {
        let (good, bare) = (reviews::good(size), reviews::bare(size));
        let mut group = criterion.benchmark_group(format!("{size} bytes"));
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function("into serde_json::Value", |bencher| {
            bencher.iter(|| serde_json::from_str::<serde_json::Value>(black_box(&good)).unwrap());
        });
        group.bench_function("read", |bencher| {
            bencher.iter(|| Review::parse(black_box(good.as_bytes())).unwrap().request().is_ok());
        });
        group.bench_function("validate a good pod", |bencher| {
            bencher.iter(|| answer_alone(Side::Validate, black_box(good.as_bytes()), &policies, now));
        });
        group.bench_function("mutate a pod to mend", |bencher| {
            bencher.iter(|| answer_alone(Side::Mutate, black_box(bare.as_bytes()), &policies, now));
        });
    }
}

/// What a verdict costs that is looked up, and what so many of them hold.
fn verdicts(criterion: &mut Criterion) {
    let (now, hash) = (Timestamp::now(), PolicyHash([7; 8]));
    let digest = |number: u64| Digest::parse(&format!("sha256:{number:064x}")).unwrap();
    let before = resident();
    let mut scans = Scans::default();
    for number in 0..DIGESTS {
        let verdict = Verdict::new(ScanOutcome::Pass, Vec::new(), Some(now + SignedDuration::from_hours(1)));
        let tags = vec![(format!("harbor.example/node/analysis-{number}:1"), now + SignedDuration::from_hours(1))];
        scans.put(digest(number), Scan { verdicts: vec![(hash, verdict)], tags, ..Scan::default() });
    }
    let held = resident() - before;
    println!("{DIGESTS} digests with a tag each: {held} MiB");
    let memory = ScanMemory::default();
    memory.change(|all| *all = scans);
    let wanted: Vec<Digest> = (0..DIGESTS).step_by(97).map(digest).collect();
    let mut next = wanted.iter().cycle();
    let mut group = criterion.benchmark_group(format!("{DIGESTS} digests"));
    group.bench_function("look up a verdict", |bencher| {
        bencher.iter(|| {
            let scans = memory.read();
            scans.look(black_box(*next.next().unwrap()), hash, now).outcome(now)
        });
    });
    group.bench_function("look up a tag and its verdict", |bencher| {
        bencher.iter(|| {
            let scans = memory.read();
            let digest = scans.resolved(black_box("harbor.example/node/analysis-77777:1"), now).unwrap();
            scans.look(digest, hash, now).outcome(now)
        });
    });
}

/// Resident memory of this process, in MiB.
fn resident() -> u64 {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    (pages * 4096) >> 20
}

const DIGESTS: u64 = 100_000;

criterion_group!(benches, reviews, verdicts);
criterion_main!(benches);
