//! What reading and judging cost without a server around them: `cargo bench --bench judge`.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "load/reviews.rs"]
mod reviews;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flamewarden::policy::PolicySet;
use flamewarden::webhook::{Review, Side, answer_alone};
use jiff::Timestamp;

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

criterion_group!(benches, reviews);
criterion_main!(benches);
