//! Edge: what is read of scans, of which one is held at a time, since it takes memory.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::errand::Evidence;

/// Evidence for as long as it is held. A large one takes as much memory as the rest of the controller, so no other is read
/// meanwhile.
#[derive(Debug)]
pub struct Brought {
    evidence: Evidence,
    _hold: Hold,
}

/// The right to hold evidence, or to verify what others say.
pub(super) type Hold = OwnedSemaphorePermit;

/// There is one such right at a time.
#[derive(Debug, Clone)]
pub(super) struct Holder(Arc<Semaphore>);

impl Default for Holder {
    fn default() -> Self {
        Holder(Arc::new(Semaphore::new(1)))
    }
}

impl Holder {
    /// Waits for it; none never comes, since nobody closes the semaphore.
    pub(super) async fn take(&self) -> Option<Hold> {
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

impl Brought {
    /// What was read under it.
    pub(super) fn new(evidence: Evidence, hold: Hold) -> Self {
        Brought { evidence, _hold: hold }
    }
}

impl Deref for Brought {
    type Target = Evidence;

    fn deref(&self) -> &Evidence {
        &self.evidence
    }
}
