//! Edge: tells the archive what becomes of analyses, behind the back of everybody: no step waits for it longer than a moment.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, interval, sleep, timeout};
use tracing::{info, warn};

use super::kept_logs::keep;
use super::plan::LogsOf;
use super::queue::{Queue, Telling};
use super::settings::OrchestratorSettings;
use crate::archive::{Archive, ArchiveProblem, RunRecord};
use crate::cluster::{Cluster, Leadership};
use crate::model::AnalysisId;
use crate::policy::PolicySet;
use crate::telemetry::{Metrics, whole};

/// Who tells the archive.
pub(super) struct Keeper {
    archive: Arc<Archive>,
    leadership: Leadership,
    policies: Arc<ArcSwap<PolicySet>>,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
    /// There is something to tell.
    bell: Notify,
    /// Something was told.
    told: Notify,
    /// Whether the archive is behind has changed for somebody.
    news: Notify,
    /// Runs whose logs are read at one time: each may be long.
    reading: Semaphore,
}

#[derive(Default)]
struct State {
    queue: Queue,
    /// Since when the archive takes nothing.
    down_since: Option<Instant>,
    /// Of whom the archive does not know how they stand.
    behind: BTreeSet<AnalysisId>,
    /// For whom that has changed since somebody asked.
    changed: BTreeSet<AnalysisId>,
    /// When what is old was last forgotten.
    tidied: Option<Instant>,
}

impl Keeper {
    /// One that has nothing to tell.
    pub(super) fn new(archive: &Arc<Archive>, settings: &OrchestratorSettings) -> Self {
        Keeper {
            archive: archive.clone(),
            leadership: settings.leadership.clone(),
            policies: settings.policies.clone(),
            metrics: settings.metrics.clone(),
            state: Mutex::default(),
            bell: Notify::new(),
            told: Notify::new(),
            news: Notify::new(),
            reading: Semaphore::new(READINGS),
        }
    }

    /// A run stands like this.
    pub(super) fn want(&self, record: RunRecord) {
        if self.state().queue.want(record) {
            self.bell.notify_one();
        }
    }

    /// Whether the archive has not taken for a while how an analysis stands.
    pub(super) fn is_behind(&self, id: AnalysisId) -> bool {
        self.state().behind.contains(&id)
    }

    /// Waits until that has changed for somebody; tells for whom.
    pub(super) async fn changed(&self) -> BTreeSet<AnalysisId> {
        loop {
            let changed = std::mem::take(&mut self.state().changed);
            if !changed.is_empty() {
                return changed;
            }
            self.news.notified().await;
        }
    }

    /// Has all of an analysis forgotten. Tells whether that was done; if not, it is as soon as the archive answers.
    pub(super) async fn forget(&self, id: AnalysisId) -> bool {
        self.state().queue.forget(id);
        self.bell.notify_one();
        let done = timeout(self.patience(), async {
            loop {
                let told = self.told.notified();
                if !self.state().queue.forgets(id) {
                    return;
                }
                told.await;
            }
        });
        done.await.is_ok()
    }

    /// Keeps what the pods of a run have written so far. Tells whether that was done; after this nobody tries again.
    pub(super) async fn keep_logs(&self, cluster: &Cluster, logs: &LogsOf) -> bool {
        let mut last = None;
        let kept = in_place(&self.reading, || self.patience(), async {
            while let Err(problem) = keep(cluster, &self.archive, logs).await {
                last = Some(problem);
                sleep(RETRY).await;
            }
        });
        if kept.await.is_some() {
            return true;
        }
        let problem = last.unwrap_or_else(|| "nobody answers, or too many others are read".to_owned());
        warn!(app = logs.run.app(), problem, "what a run's pods have written is lost");
        self.metrics.archive_logs_lost.inc();
        false
    }

    /// Tells for ever.
    pub(super) async fn work(&self) {
        let mut look = interval(LOOK);
        loop {
            tokio::select! {
                () = self.bell.notified() => {}
                _ = look.tick() => {}
            }
            match self.tell_all().await {
                Ok(()) => self.is_up(),
                Err(problem) => {
                    self.is_down(&problem);
                    sleep(RETRY).await;
                    self.bell.notify_one();
                }
            }
        }
    }

    async fn tell_all(&self) -> Result<(), ArchiveProblem> {
        if !self.leadership.holds() {
            self.state().queue.clear();
            return self.archive.check().await;
        }
        if !self.state().queue.knows() {
            let runs = match self.archive.latest_runs(&[]).await {
                Err(problem) if !problem.may_pass() => {
                    warn!(problem = %whole(&problem), "what the archive has cannot be read; all is told anew");
                    Vec::new()
                }
                runs => runs?,
            };
            self.state().queue.learn(runs);
        }
        loop {
            let next = self.state().queue.next();
            let Some(telling) = next.filter(|_| self.leadership.holds()) else { break };
            let done = match &telling {
                Telling::Forget(id) => self.archive.forget(*id).await.map(drop),
                Telling::Record(record) => self.archive.record(record).await,
            };
            if done.is_err() {
                // It may be the only thing that cannot be told.
                self.state().queue.put_off(&telling);
            }
            done?;
            self.state().queue.done(telling);
            self.told.notify_waiters();
        }
        self.archive.check().await?;
        self.tidy().await
    }

    /// Forgets runs that ended long ago.
    async fn tidy(&self) -> Result<(), ArchiveProblem> {
        if self.state().tidied.is_some_and(|last| last.elapsed() < BETWEEN_TIDYINGS) {
            return Ok(());
        }
        let days = self.policies.load().orchestrator.as_ref().map(|orchestrator| orchestrator.archive.keep_days);
        let keep = days.map(|days| SignedDuration::from_hours(i64::from(days) * 24));
        if let Some(moment) = keep.and_then(|keep| Timestamp::now().checked_sub(keep).ok()) {
            let forgotten = self.archive.forget_ended_before(moment).await?;
            if forgotten > 0 {
                info!(runs = forgotten, "runs that ended long ago are forgotten");
            }
        }
        self.state().tidied = Some(Instant::now());
        Ok(())
    }

    fn is_up(&self) {
        self.metrics.archive_up.set(1);
        let mut state = self.state();
        if state.down_since.take().is_some() {
            info!("the archive takes again what is told");
        }
        let behind = std::mem::take(&mut state.behind);
        self.tell_of(&mut state, behind);
    }

    fn is_down(&self, problem: &ArchiveProblem) {
        self.metrics.archive_up.set(0);
        let mut state = self.state();
        let since = *state.down_since.get_or_insert_with(|| {
            warn!(problem = %whole(problem), "the archive takes nothing; all goes on without it");
            Instant::now()
        });
        if since.elapsed() >= PATIENCE {
            let behind = state.queue.behind();
            let changed = behind.symmetric_difference(&state.behind).copied().collect();
            state.behind = behind;
            self.tell_of(&mut state, changed);
        }
    }

    fn tell_of(&self, state: &mut State, changed: BTreeSet<AnalysisId>) {
        if !changed.is_empty() {
            state.changed.extend(changed);
            self.news.notify_one();
        }
    }

    /// How long a step waits: not long for an archive that has been down for a while.
    fn patience(&self) -> Duration {
        let down = self.state().down_since.is_some_and(|since| since.elapsed() >= PATIENCE);
        if down { SHORT_PATIENCE } else { PATIENCE }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works in one of a few places. How long it waits for the place is not part of the time that the work has.
async fn in_place<T>(
    places: &Semaphore,
    patience: impl FnOnce() -> Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let _place = timeout(WAITING, places.acquire()).await.ok()?;
    timeout(patience(), work).await.ok()
}

const PATIENCE: Duration = Duration::from_secs(10);
/// For a place; others before may each have used up their time.
const WAITING: Duration = Duration::from_secs(60);
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(500);
/// How often the archive is asked whether it is there, with nothing to tell.
const LOOK: Duration = Duration::from_secs(10);
const BETWEEN_TIDYINGS: Duration = Duration::from_secs(3600);
/// Each holds two MiB twice at most.
const READINGS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_of_what_is_done_begins_with_its_place() {
        for (free_after, work, want) in [(0, 9, true), (0, 11, false), (50, 9, true), (50, 11, false), (61, 1, false)] {
            let places = Semaphore::new(1);
            let others = async {
                let _place = places.acquire().await;
                sleep(Duration::from_secs(free_after)).await;
            };
            let own = in_place(&places, || PATIENCE, async { sleep(Duration::from_secs(work)).await });
            let (_, done) = tokio::join!(others, own);
            assert_eq!(done.is_some(), want, "{free_after} {work}");
        }
    }
}
