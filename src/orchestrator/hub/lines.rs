//! Edge: passes log lines on to the Hub, those of each analysis in their order; who brings them never waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::{BACKOFF, HUB, outcome};
use crate::hub::{Hub, LogLine, Outcome};
use crate::model::AnalysisId;
use crate::telemetry::{Metrics, whole};

/// Lines on their way.
pub(in crate::orchestrator) struct Lines {
    shared: Arc<Shared>,
    queues: Mutex<Queues>,
}

struct Shared {
    hub: Arc<Hub>,
    metrics: Arc<Metrics>,
    places: Semaphore,
}

struct Queues {
    each: BTreeMap<AnalysisId, mpsc::Sender<Waiting>>,
    /// Bytes that may still wait.
    room: Arc<Semaphore>,
    /// They end with it.
    tasks: JoinSet<()>,
}

/// A line, with the room that it takes.
struct Waiting {
    line: LogLine,
    _room: OwnedSemaphorePermit,
}

impl Lines {
    /// None on their way.
    pub(in crate::orchestrator) fn new(hub: Arc<Hub>, metrics: Arc<Metrics>) -> Self {
        let shared = Arc::new(Shared { hub, metrics, places: Semaphore::new(PLACES) });
        let room = Arc::new(Semaphore::new(ROOM));
        Lines { shared, queues: Mutex::new(Queues { each: BTreeMap::new(), room, tasks: JoinSet::new() }) }
    }

    /// Passes a line on, or loses and counts it where too many wait.
    pub(in crate::orchestrator) fn pass(&self, id: AnalysisId, mut line: LogLine) {
        let end = (0..=LONGEST.min(line.message.len())).rev().find(|end| line.message.is_char_boundary(*end));
        line.message.truncate(end.unwrap_or_default());
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        while queues.tasks.try_join_next().is_some() {}
        queues.each.retain(|_, queue| !queue.is_closed());
        let size = u32::try_from(line.message.len().max(1)).unwrap_or(u32::MAX);
        let Ok(room) = queues.room.clone().try_acquire_many_owned(size) else {
            self.shared.metrics.hub_lines_lost.inc();
            return;
        };
        let queue = match queues.each.get(&id) {
            Some(queue) => queue.clone(),
            None => {
                let (queue, waiting) = mpsc::channel(QUEUE);
                queues.tasks.spawn(run(self.shared.clone(), id, waiting));
                queues.each.insert(id, queue.clone());
                queue
            }
        };
        if queue.try_send(Waiting { line, _room: room }).is_err() {
            self.shared.metrics.hub_lines_lost.inc();
        }
    }
}

async fn run(shared: Arc<Shared>, id: AnalysisId, mut waiting: mpsc::Receiver<Waiting>) {
    loop {
        let Ok(Some(next)) = timeout(IDLE, waiting.recv()).await else {
            // What came at this moment is passed on before the end.
            waiting.close();
            while let Some(next) = waiting.recv().await {
                shared.pass(id, &next.line).await;
            }
            return;
        };
        shared.pass(id, &next.line).await;
    }
}

impl Shared {
    /// Tries until the Hub has it, does not want it, or has been away for too long.
    async fn pass(&self, id: AnalysisId, line: &LogLine) {
        for failures in 1..=TRIES {
            let done = {
                let _place = self.places.acquire().await;
                self.hub.log(id, line).await
            };
            let outcome = outcome(&done);
            self.metrics.called(HUB, outcome.label(), outcome != Outcome::Unavailable);
            match done {
                Ok(()) => return,
                Err(problem) if outcome != Outcome::Unavailable => {
                    debug!(problem = %whole(&problem), "the Hub does not take a line");
                    break;
                }
                Err(_) => sleep(BACKOFF.after(failures)).await,
            }
        }
        self.metrics.hub_lines_lost.inc();
    }
}

/// Lines of one analysis that wait.
const QUEUE: usize = 64;
/// Bytes of one line; the rest is cut off.
const LONGEST: usize = 16 << 10;
/// Bytes of all lines that wait.
const ROOM: usize = 8 << 20;
const PLACES: usize = 4;
/// A quarter of an hour.
const TRIES: u32 = 36;
const IDLE: Duration = Duration::from_secs(60);
