//! Edge: what the canary's pods do: one listens, the others try to connect from their first instruction on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::verdict::Tally;

/// How a prober tries.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two attempts.
    pub every: Duration,
    /// From the first to the last.
    pub lasts: Duration,
    /// How long one attempt waits: less than a second, after which a lost first packet would be sent again.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { every: Duration::from_millis(20), lasts: Duration::from_secs(5), patience: Duration::from_millis(900) }
    }
}

/// Connects again and again, however the attempts before end; gives the count.
pub async fn probe(to: SocketAddr, pace: &Pace) -> Tally {
    let begun = Instant::now();
    let mut beat = interval(pace.every);
    let mut attempts = JoinSet::new();
    let mut tally = Tally::default();
    while begun.elapsed() < pace.lasts {
        beat.tick().await;
        let patience = pace.patience;
        attempts.spawn(async move {
            matches!(timeout(patience, TcpStream::connect(to)).await, Ok(Ok(_))).then(|| begun.elapsed())
        });
        tally.attempts = tally.attempts.saturating_add(1);
    }
    while let Some(ended) = attempts.join_next().await {
        let Ok(Some(after)) = ended else { continue };
        let after = u32::try_from(after.as_millis()).unwrap_or(u32::MAX);
        tally.connected = tally.connected.saturating_add(1);
        tally.first_connect_ms = Some(tally.first_connect_ms.map_or(after, |first| first.min(after)));
        tally.last_connect_ms = Some(tally.last_connect_ms.map_or(after, |last| last.max(after)));
    }
    tally
}

/// Takes connections and ends each at once, for as long as nobody ends it.
pub async fn listen(listener: TcpListener) {
    loop {
        if listener.accept().await.is_err() {
            // Such as too many open files, for a moment.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        every: Duration::from_millis(5),
        lasts: Duration::from_millis(100),
        patience: Duration::from_millis(900),
    };

    #[tokio::test]
    async fn a_prober_counts_what_it_reaches_from_its_first_attempt_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let listening = tokio::spawn(listen(listener));
        let tally = probe(to, &PACE).await;
        assert!(tally.attempts > 1 && tally.connected == tally.attempts, "{tally:?}");
        assert!(tally.first_connect_ms < tally.last_connect_ms, "{tally:?}");
        assert_eq!(Tally::read(&serde_json::to_string(&tally).unwrap()), Some(tally));
        listening.abort();
        let _ = listening.await;
        let tally = probe(to, &PACE).await;
        assert_eq!(tally, Tally { attempts: tally.attempts, ..Tally::default() });
        assert!(tally.attempts > 1, "{tally:?}");
    }
}
