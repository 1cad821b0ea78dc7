//! Edge: what is kept of the past is bounded, told and passed on: the leading controller prunes the journal, logs its end
//! now and then, and sends it to a receiver of syslog.

mod feed;
mod frame;
mod line;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::archive::{Archive, ArchiveProblem, Keep};
use crate::cluster::Leadership;
use crate::model::Backoff;
use crate::policy::{PolicySet, SyslogSettings};
use crate::telemetry::{Metrics, whole};

pub use feed::{Ended, Feed, Pace};
pub use line::FeedProblem;

/// What history works with.
pub struct HistorySettings {
    /// Where it is kept.
    pub archive: Arc<Archive>,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// Where it says how much is kept and to whom it is sent.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
    /// The name of this process in what is sent.
    pub host: String,
}

/// Looks after what is kept.
pub struct History {
    settings: HistorySettings,
}

impl History {
    /// One that has done nothing yet.
    pub fn new(settings: HistorySettings) -> Self {
        History { settings }
    }

    /// Works while this process leads, until `stop` says so.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let stopped = stop.clone();
        let tidy = async {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => {}
                () = self.tidy() => {}
            }
        };
        tokio::join!(tidy, self.pass_on(stopped));
    }

    /// Prunes and tells the journal's end, for ever.
    async fn tidy(&self) {
        let (mut head, mut prune) = (Chore::default(), Chore::default());
        loop {
            if self.settings.leadership.holds() {
                if head.is_due(BETWEEN_HEADS) {
                    let told = self.tell_head().await;
                    self.settings.metrics.archive_up.set(told.is_ok().into());
                    head.done(&told, "the journal's end is not told; it is tried again");
                }
                if prune.is_due(BETWEEN_TIDYINGS) {
                    let pruned = self.prune().await;
                    self.settings.metrics.journal_prunes_failed.inc_by(pruned.is_err().into());
                    prune.done(&pruned, "old history is not pruned; it is tried again");
                }
            } else {
                // Whoever begins to lead tells it at once.
                head = Chore::default();
            }
            sleep(LOOK).await;
        }
    }

    /// Whoever has noted this can tell later whether all before it is still there.
    async fn tell_head(&self) -> Result<(), ArchiveProblem> {
        let head = self.settings.archive.journal_head().await?;
        self.settings.metrics.journal_number.set(head.number);
        if head.number > 0 {
            info!(number = head.number, hash = head.hash, "head of the journal");
        }
        Ok(())
    }

    async fn prune(&self) -> Result<(), ArchiveProblem> {
        let keep = {
            let policies = self.settings.policies.load();
            Keep { days: policies.auditor.journal.keep_days, entries: policies.auditor.journal.keep_entries }
        };
        let now = Timestamp::now();
        let pruned = self.settings.archive.prune_journal(keep, now).await?;
        if pruned > 0 {
            info!(entries = pruned, "old entries of the journal are pruned");
        }
        self.settings.archive.tidy_findings(keep, now).await
    }

    /// Sends the journal to whom the policies name, until `stop` says so.
    async fn pass_on(&self, mut stop: watch::Receiver<bool>) {
        let mut failures = 0u32;
        while !*stop.borrow() {
            let wanted = self.wanted();
            let Some(wanted) = wanted.filter(|_| self.settings.leadership.holds()) else {
                failures = 0;
                self.settings.metrics.syslog_waiting.set(0);
                rest(LOOK, &mut stop).await;
                continue;
            };
            let feed = Feed {
                archive: &self.settings.archive,
                settings: &wanted,
                host: &self.settings.host,
                metrics: &self.settings.metrics,
                pace: Pace::default(),
            };
            let mut stopped = stop.clone();
            let unwanted = async {
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => {}
                    () = self.other_than(&wanted) => {}
                }
            };
            let ended = feed.send(unwanted).await;
            if matches!(ended.problem, FeedProblem::NotWanted) {
                continue;
            }
            failures = if ended.sent > 0 { 1 } else { failures.saturating_add(1) };
            if failures == 1 {
                warn!(address = wanted.address, problem = %whole(&ended.problem), "the journal is not sent; it is tried again");
            }
            rest(BACKOFF.after(failures), &mut stop).await;
        }
    }

    fn wanted(&self) -> Option<SyslogSettings> {
        self.settings.policies.load().auditor.syslog.clone()
    }

    /// Waits until this process leads no more, or the journal is to be sent otherwise.
    async fn other_than(&self, settings: &SyslogSettings) {
        while self.settings.leadership.holds() && self.wanted().as_ref() == Some(settings) {
            sleep(GLANCE).await;
        }
    }
}

/// Something that is done now and then.
#[derive(Default)]
struct Chore {
    last: Option<Instant>,
    failing: bool,
}

impl Chore {
    fn is_due(&self, between: Duration) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= between)
    }

    /// What is not done is tried again soon, and said once.
    fn done(&mut self, done: &Result<(), ArchiveProblem>, says: &'static str) {
        match done {
            Ok(()) => *self = Chore { last: Some(Instant::now()), failing: false },
            Err(problem) if self.failing => tracing::debug!(problem = %whole(problem), "{says}"),
            Err(problem) => {
                warn!(problem = %whole(problem), "{says}");
                self.failing = true;
            }
        }
    }
}

/// Waits so long, and no longer than until `stop` says so.
async fn rest(time: Duration, stop: &mut watch::Receiver<bool>) {
    // However it ends, the caller looks.
    let _ = timeout(time, stop.wait_for(|stop| *stop)).await;
}

const LOOK: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_secs(1);
const BETWEEN_HEADS: Duration = Duration::from_secs(3600);
const BETWEEN_TIDYINGS: Duration = Duration::from_secs(600);
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
