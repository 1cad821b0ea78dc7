//! Edge: the one switch that ends serving, thrown by a signal and read by every connection.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Whether this process is on its way out; clones share one state, and there is no way back.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    begun: CancellationToken,
}

impl Drain {
    /// Begins the drain.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until it begins.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Begins the drain at the first SIGTERM or SIGINT; returns at the second, which asks for haste.
    ///
    /// # Errors
    /// The signals cannot be listened for.
    pub async fn on_signals(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        for _ in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            self.begin();
            tracing::info!("told to stop");
        }
        Ok(())
    }
}
