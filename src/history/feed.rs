//! Edge: follows the journal and sends each entry to a receiver of syslog, at least once, from where it was before.
//!
//! Syslog has no answers, so nobody knows what a receiver took that goes away. What was sent counts once the connection has
//! outlived it for a while; what was sent after that is sent again on the next one, with the same numbers.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::frame::frame;
use super::line::{FeedProblem, Line};
use crate::archive::{Archive, JournalEntry, Sent};
use crate::policy::SyslogSettings;
use crate::telemetry::Metrics;

/// The journal on its way to one receiver.
pub struct Feed<'a> {
    /// Where it is read.
    pub archive: &'a Archive,
    /// Who receives it.
    pub settings: &'a SyslogSettings,
    /// The name of this process in what is sent.
    pub host: &'a str,
    /// Where it is counted.
    pub metrics: &'a Metrics,
    /// How fast.
    pub pace: Pace,
}

/// How fast a feed goes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How often the journal is looked at where there is nothing to send.
    pub look: Duration,
    /// How long a connection has to last after an entry for it to count as sent.
    pub settled: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { look: Duration::from_secs(1), settled: Duration::from_secs(5) }
    }
}

/// How a feed ended.
#[derive(Debug)]
pub struct Ended {
    /// Entries that it has sent.
    pub sent: u64,
    /// Why it did.
    pub problem: FeedProblem,
}

/// How far a feed is.
struct Progress {
    /// The last entry that was sent; number 0 where there is none.
    at: Sent,
    sent: u64,
    /// What does not count as sent yet.
    unsettled: VecDeque<(Instant, Sent)>,
    marked: Option<Instant>,
}

impl Feed<'_> {
    /// Sends until that fails, or is not wanted any more.
    pub async fn send(&self, unwanted: impl Future<Output = ()>) -> Ended {
        let mut progress = Progress { at: nothing(), sent: 0, unsettled: VecDeque::new(), marked: None };
        let mut line = None;
        let problem = tokio::select! {
            Err(problem) = self.work(&mut progress, &mut line) => problem,
            () = unwanted => FeedProblem::NotWanted,
        };
        self.metrics.syslog_up.set(0);
        if let Some(line) = &mut line {
            line.close().await;
        }
        Ended { sent: progress.sent, problem }
    }

    async fn work(&self, progress: &mut Progress, line: &mut Option<Line>) -> Result<Infallible, FeedProblem> {
        progress.at = self.start().await?;
        // While the receiver is away, this is what waits for it.
        self.waiting(&progress.at).await?;
        let line = line.insert(Line::open(self.settings).await?);
        self.metrics.syslog_up.set(1);
        info!(address = self.settings.address, after = progress.at.number, "the journal is sent");
        loop {
            line.wait(Duration::ZERO).await?;
            self.settle(progress).await?;
            let Some(entries) = self.next(&progress.at).await? else {
                (progress.at, progress.unsettled) = (nothing(), VecDeque::new());
                continue;
            };
            if entries.is_empty() {
                line.wait(self.pace.look).await?;
                continue;
            }
            self.missed(progress.at.number, &entries);
            let frames: String = entries.iter().map(|entry| frame(entry, self.host)).collect();
            line.send(&frames).await?;
            self.count(progress, &entries).await?;
        }
    }

    /// The entry after which it goes on: where it was before, if what was sent is still what stands there.
    async fn start(&self) -> Result<Sent, FeedProblem> {
        let Some(sent) = self.archive.sent_to(&self.settings.address).await? else { return Ok(nothing()) };
        Ok(if self.next(&sent).await?.is_some() { sent } else { nothing() })
    }

    /// The next entries to send; none where the last that was sent is not what stands there any more. What was pruned was
    /// right when it went.
    async fn next(&self, at: &Sent) -> Result<Option<Vec<JournalEntry>>, FeedProblem> {
        if at.number == 0 {
            return Ok(Some(self.archive.journal_after(0, FEW).await?));
        }
        let mut entries = self.archive.journal_after(at.number.saturating_sub(1), FEW + 1).await?;
        match entries.first() {
            Some(first) if first.number > at.number => Ok(Some(entries)),
            Some(first) if first.number == at.number && first.hash == at.hash => {
                entries.remove(0);
                Ok(Some(entries))
            }
            _ => {
                let number = at.number;
                warn!(number, "the journal is not what was sent of it; it is sent anew from its beginning");
                Ok(None)
            }
        }
    }

    /// Counts what was pruned before it could be sent.
    fn missed(&self, at: i64, entries: &[JournalEntry]) {
        let first = entries.first().map_or(0, |entry| entry.number);
        let missed = u64::try_from(first.saturating_sub(at).saturating_sub(1)).unwrap_or(0);
        if at > 0 && missed > 0 {
            warn!(entries = missed, "entries of the journal were pruned before they were sent");
            self.metrics.syslog_lost.inc_by(missed);
        }
    }

    async fn count(&self, progress: &mut Progress, entries: &[JournalEntry]) -> Result<(), FeedProblem> {
        let Some(last) = entries.last() else { return Ok(()) };
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        self.metrics.syslog_sent.inc_by(count);
        progress.sent = progress.sent.saturating_add(count);
        progress.at = Sent { number: last.number, hash: last.hash.clone() };
        progress.unsettled.push_back((Instant::now(), progress.at.clone()));
        self.waiting(&progress.at).await
    }

    async fn waiting(&self, at: &Sent) -> Result<(), FeedProblem> {
        let head = self.archive.journal_head().await?;
        self.metrics.syslog_waiting.set(head.number.saturating_sub(at.number));
        Ok(())
    }

    /// Writes down how far it was sent, as far as that counts.
    async fn settle(&self, progress: &mut Progress) -> Result<(), FeedProblem> {
        let often = progress.marked.is_some_and(|last| last.elapsed() < self.pace.look);
        let settled = |(sent, _): &(Instant, Sent)| sent.elapsed() >= self.pace.settled;
        let count = if often { 0 } else { progress.unsettled.iter().take_while(|one| settled(one)).count() };
        if let Some((_, last)) = progress.unsettled.drain(..count).next_back() {
            self.archive.mark_sent(&self.settings.address, last).await?;
            progress.marked = Some(Instant::now());
        }
        Ok(())
    }
}

/// The place before the first entry.
fn nothing() -> Sent {
    Sent { number: 0, hash: String::new() }
}

/// Entries that are sent together: a MiB and a half at most.
const FEW: u32 = 200;
