//! What is awaited from workers: of each scan an SBOM and then a report, once, from whoever knows its nonce.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use tokio::sync::oneshot;

use crate::model::Digest;
use crate::scan::{Census, Report};
use crate::scanner::brought::Hold;
use crate::scanner::{Brought, Evidence, ScanProblem};

/// What only a scan's worker knows.
pub(super) type Nonce = [u8; 32];

/// What a worker brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Sbom,
    Report,
}

/// Why nothing is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is not said which of these it is: there is no such scan, its time is over, or the nonce is another's.
    Nobody,
    /// Another piece is due, or this one was brought already.
    Turn,
}

/// The scans that are awaited.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    all: HashMap<Digest, Awaited>,
}

struct Awaited {
    number: u64,
    nonce: Nonce,
    until: Instant,
    step: Step,
    ended: oneshot::Sender<Result<Brought, ScanProblem>>,
}

enum Step {
    Sbom,
    /// A piece is on its way; nobody else may bring one.
    Reading,
    Report(Census),
}

/// The end of an awaited scan. Whoever drops this awaits it no longer.
pub(super) struct Awaiting {
    desk: Arc<Desk>,
    digest: Digest,
    number: u64,
    pub(super) ended: oneshot::Receiver<Result<Brought, ScanProblem>>,
}

/// A piece that may be brought now. Where nothing comes of it, the scan has ended.
pub(super) struct Claim {
    desk: Arc<Desk>,
    digest: Digest,
    number: u64,
    pub(super) until: Instant,
    census: Option<Census>,
    problem: Option<ScanProblem>,
}

impl Desk {
    /// Awaits a scan, unless one of the same digest is awaited already.
    pub(super) fn wait_for(self: &Arc<Self>, digest: Digest, nonce: Nonce, until: Instant) -> Option<Awaiting> {
        let mut state = self.lock();
        if state.all.contains_key(&digest) {
            return None;
        }
        state.last += 1;
        let (number, (ended, end)) = (state.last, oneshot::channel());
        state.all.insert(digest, Awaited { number, nonce, until, step: Step::Sbom, ended });
        Some(Awaiting { desk: Arc::clone(self), digest, number, ended: end })
    }

    /// Lets a piece be brought.
    pub(super) fn claim(
        self: &Arc<Self>,
        digest: Digest,
        shown: &[u8],
        piece: Piece,
        now: Instant,
    ) -> Result<Claim, Refused> {
        let mut state = self.lock();
        let found = state.all.get_mut(&digest);
        // Compared also where there is nothing to be compared with: the time that it takes tells nothing.
        let nonce = found.as_ref().map_or([0; 32], |awaited| awaited.nonce);
        let is_known = verify_slices_are_equal(&nonce, shown).is_ok();
        let Some(awaited) = found.filter(|awaited| is_known && now < awaited.until) else {
            return Err(Refused::Nobody);
        };
        let census = match (piece, std::mem::replace(&mut awaited.step, Step::Reading)) {
            (Piece::Sbom, Step::Sbom) => None,
            (Piece::Report, Step::Report(census)) => Some(census),
            (_, step) => {
                awaited.step = step;
                return Err(Refused::Turn);
            }
        };
        let (number, until) = (awaited.number, awaited.until);
        let problem = Some(ScanProblem::Unmade("what its worker sent broke off".to_owned()));
        Ok(Claim { desk: Arc::clone(self), digest, number, until, census, problem })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a scan away, where it is still the one that was meant.
    fn take(&self, digest: Digest, number: u64) -> Option<Awaited> {
        let mut state = self.lock();
        let is_it = state.all.get(&digest).is_some_and(|awaited| awaited.number == number);
        if is_it { state.all.remove(&digest) } else { None }
    }
}

impl Claim {
    /// The SBOM is whole; the report is next.
    pub(super) fn sbom(mut self, census: Census) {
        self.problem = None;
        let mut state = self.desk.lock();
        if let Some(awaited) = state.all.get_mut(&self.digest).filter(|awaited| awaited.number == self.number) {
            awaited.step = Step::Report(census);
        }
    }

    /// The report is whole, and the scan has ended. No other is read while it is held.
    pub(super) fn report(mut self, report: Report, hold: Hold) {
        self.problem = None;
        let (Some(awaited), Some(census)) = (self.desk.take(self.digest, self.number), self.census.take()) else {
            return;
        };
        // Nobody may be waiting any more.
        let _ = awaited.ended.send(Ok(Brought::new(Evidence { report, census }, hold)));
    }

    /// What was sent counts for nothing, and the scan has ended.
    pub(super) fn fail(mut self, problem: ScanProblem) {
        self.problem = Some(problem);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(problem) = self.problem.take() else { return };
        if let Some(awaited) = self.desk.take(self.digest, self.number) {
            let _ = awaited.ended.send(Err(problem));
        }
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        self.desk.take(self.digest, self.number);
    }
}
