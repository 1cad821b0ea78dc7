//! Edge: how long a connection is waited for: little inside a request's header, much between requests.
//!
//! hyper's own `header_read_timeout` runs between requests too, and would close connections
//! that the API server still holds for good.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::ConnectionLimits;

/// What a connection is doing and since when, shared by its stream, its service and its watcher.
pub(super) struct Pulse {
    begun: Instant,
    /// Milliseconds since `begun`, and the phase in the lowest two bits.
    state: AtomicU64,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Between requests. A new connection starts here: Go's client opens some in advance.
    Idle,
    /// A request's first bytes have come, its header is not whole.
    Header,
    /// The request is being answered; the service has its own limits.
    Busy,
}

impl Pulse {
    pub(super) fn start() -> Arc<Self> {
        Arc::new(Pulse { begun: Instant::now(), state: AtomicU64::new(Phase::Idle as u64) })
    }

    /// A request's header is whole.
    pub(super) fn busy(&self) {
        self.enter(Phase::Busy);
    }

    /// A request is answered.
    pub(super) fn idle(&self) {
        self.enter(Phase::Idle);
    }

    /// Whether a request is being answered, and since when it is or is not.
    pub(super) fn standing(&self) -> (bool, Instant) {
        let state = self.state.load(Ordering::Relaxed);
        (state & 3 == Phase::Busy as u64, self.since(state))
    }

    /// Returns when patience is at its end.
    pub(super) async fn exhausted(&self, limits: &ConnectionLimits) {
        loop {
            let now = Instant::now();
            let due = self.due(limits);
            if due.is_some_and(|due| due <= now) {
                return;
            }
            // A header may begin at any time, so the next look comes no later than a header may take.
            let next = now + limits.header;
            sleep_until(due.map_or(next, |due| due.min(next))).await;
        }
    }

    fn due(&self, limits: &ConnectionLimits) -> Option<Instant> {
        let state = self.state.load(Ordering::Relaxed);
        let since = self.since(state);
        match state & 3 {
            phase if phase == Phase::Idle as u64 => Some(since + limits.idle),
            phase if phase == Phase::Header as u64 => Some(since + limits.header),
            _ => None,
        }
    }

    fn since(&self, state: u64) -> Instant {
        self.begun + Duration::from_millis(state >> 2)
    }

    fn received(&self) {
        if self.state.load(Ordering::Relaxed) & 3 == Phase::Idle as u64 {
            self.enter(Phase::Header);
        }
    }

    fn enter(&self, phase: Phase) {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX >> 2);
        self.state.store(millis << 2 | phase as u64, Ordering::Relaxed);
    }
}

/// A stream that tells the pulse when something comes in.
pub(super) struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, pulse: Arc<Pulse>) -> Self {
        Watched { stream, pulse }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pulse.received();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
