//! Edge: work that takes a processor for a while, beside the threads that everything else shares.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Does it, while the lease is renewed and pods are guarded by the other threads, of which another takes this one's place.
pub(super) fn heavy<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(work),
        // A runtime of one thread has nobody to take its place.
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_else_is_to_be_done_goes_on_meanwhile() {
        let (done, other) = channel();
        let work = tokio::spawn(async move {
            tokio::spawn(async move { done.send(()) });
            heavy(|| other.recv_timeout(Duration::from_secs(10)))
        });
        assert_eq!(work.await.unwrap(), Ok(()));
    }
}
