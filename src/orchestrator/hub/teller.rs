//! Edge: tells the Hub how one analysis is doing, until it knows; the latest counts.
//!
//! While it is under way it is told now and then though nothing has changed, as FLAME does it each ten seconds: what a
//! leader before has told late, or the Hub has lost, is put right.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::news::{Tell, Word};
use super::{BACKOFF, Shared, outcome};
use crate::hub::{HubProblem, ProcessStatus};
use crate::model::AnalysisId;

/// Tells what is wanted until nobody wants anything any more.
pub(super) async fn run(shared: Arc<Shared>, id: AnalysisId, mut wanted: watch::Receiver<Tell>) {
    let mut part = None;
    let mut failures = 0;
    loop {
        let tell = *wanted.borrow_and_update();
        // Who leads now tells.
        if shared.leadership.holds() {
            let done = shared.tell(id, &mut part, tell).await;
            shared.count(&done);
            if done.is_ok() {
                failures = 0;
                shared.say(id, Word::Told(tell.status)).await;
                if news(&mut wanted, tell.status).await.is_err() {
                    return;
                }
                continue;
            }
            shared.say(id, Word::NotTold(outcome(&done))).await;
        }
        failures += 1;
        if wanted.has_changed().is_err() {
            return;
        }
        sleep(BACKOFF.after(failures)).await;
    }
}

/// Waits for something to tell.
async fn news(wanted: &mut watch::Receiver<Tell>, told: ProcessStatus) -> Result<(), watch::error::RecvError> {
    if told.is_end() {
        return wanted.changed().await;
    }
    timeout(AGAIN, wanted.changed()).await.unwrap_or(Ok(()))
}

impl Shared {
    async fn tell(&self, id: AnalysisId, part: &mut Option<Uuid>, tell: Tell) -> Result<(), HubProblem> {
        // Never closed; without a place the call would only be one more.
        let _place = self.tells.acquire().await;
        let own = match *part {
            Some(own) => own,
            None => *part.insert(self.hub.part(id).await?),
        };
        let told = self.hub.tell(id, own, tell.status, tell.progress).await;
        if told.is_err() {
            // It may have been made anew.
            *part = None;
        }
        told
    }

    async fn say(&self, id: AnalysisId, word: Word) {
        // Who does not listen any more has ended.
        let _ = self.words.send((id, word)).await;
    }
}

/// When the same is told again.
const AGAIN: Duration = Duration::from_secs(60);
