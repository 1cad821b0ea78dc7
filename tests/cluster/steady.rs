//! Calls at a steady rate by several callers with kept-alive connections, until told to stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::shared::{PATIENCE, wait_until};

/// Calls that go on.
pub(crate) struct Steady {
    stop: watch::Sender<bool>,
    calls: JoinHandle<JoinSet<Called>>,
    answered: Arc<AtomicUsize>,
    begun: Instant,
}

/// What became of all calls.
pub(crate) struct Tally {
    pub(crate) calls: usize,
    /// By what was said, how often.
    pub(crate) failed: BTreeMap<String, usize>,
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

struct Called {
    outcome: Result<(), String>,
    took: Duration,
}

impl Steady {
    /// Begins to call `rate` times a second; `call` gets the call's number, and says what went wrong.
    pub(crate) fn begin<F>(rate: u32, call: impl Fn(usize) -> F + Send + Sync + 'static) -> Steady
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let answered = Arc::new(AtomicUsize::new(0));
        let counter = answered.clone();
        let calls = tokio::spawn(async move {
            let mut due = interval(Duration::from_secs(1) / rate);
            due.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (turns, mut calls) = (Arc::new(Semaphore::new(IN_FLIGHT)), JoinSet::new());
            let mut number = 0;
            while !*stopped.borrow() {
                due.tick().await;
                let turn = turns.clone().acquire_owned().await.unwrap();
                let (called, counter) = (call(number), counter.clone());
                number += 1;
                calls.spawn(async move {
                    let begun = Instant::now();
                    let outcome = called.await;
                    counter.fetch_add(1, Ordering::Relaxed);
                    drop(turn);
                    Called { outcome, took: begun.elapsed() }
                });
            }
            calls
        });
        Steady { stop, calls, answered, begun: Instant::now() }
    }

    /// Waits until that many more calls have been answered.
    pub(crate) async fn go_on(&self, calls: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + calls;
        wait_until("calls are answered", PATIENCE, async || {
            (self.answered.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// Stops, and waits for the last answers.
    pub(crate) async fn end(self) -> Tally {
        self.stop.send(true).unwrap();
        let lasted = self.begun.elapsed();
        let calls = self.calls.await.unwrap().join_all().await;
        let mut times: Vec<Duration> = calls.iter().map(|call| call.took).collect();
        times.sort();
        let mut failed = BTreeMap::new();
        for problem in calls.iter().filter_map(|call| call.outcome.as_ref().err()) {
            *failed.entry(problem.clone()).or_insert(0) += 1;
        }
        let rate = calls.len() as f64 / lasted.as_secs_f64();
        Tally { calls: calls.len(), failed, rate, p50: times[times.len() / 2], p99: times[times.len() * 99 / 100] }
    }
}

const IN_FLIGHT: usize = 64;
