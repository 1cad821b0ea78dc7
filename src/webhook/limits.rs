//! What one review, or all together, may take.

use std::time::Duration;

/// Limits of reviews.
#[derive(Debug, Clone)]
pub struct ReviewLimits {
    /// How long a body may take to arrive.
    pub body: Duration,
    /// Bytes of one body. The API server's own worst case is about 28 MB: an object of 3 MiB and its
    /// stored version of 1.5 MiB, each six times as long where every character is escaped.
    pub body_bytes: usize,
    /// Bytes of all bodies at one time; where there are no more, large ones give way to small ones.
    pub bytes_in_flight: usize,
    /// What the API server waits where the call does not say; also the most that is believed: anybody can say more,
    /// and our own configurations ask for less.
    pub timeout: Duration,
    /// Bodies up to here are judged where they were read; nothing there can be interrupted, and probes wait for it.
    pub inline_bytes: usize,
    /// Larger ones up to here have turns of their own, so that they do not wait for the largest.
    pub middling_bytes: usize,
    /// Middling ones judged at one time; addresses take turns.
    pub middling: usize,
    /// Larger ones judged at one time; addresses take turns.
    pub large: usize,
}

impl ReviewLimits {
    /// The time that a call with `?timeout=…` leaves for an answer: four fifths, so that it is we who
    /// refuse, with a reason, and not the API server that gives up.
    pub fn time_for(&self, query: Option<&str>) -> Duration {
        let asked = query
            .into_iter()
            .flat_map(|query| query.split('&'))
            .find_map(|pair| pair.strip_prefix("timeout="))
            .and_then(seconds)
            .unwrap_or(self.timeout);
        asked.min(self.timeout) * 4 / 5
    }
}

impl Default for ReviewLimits {
    fn default() -> Self {
        ReviewLimits {
            body: Duration::from_secs(10),
            body_bytes: 32 * 1024 * 1024,
            bytes_in_flight: 128 * 1024 * 1024,
            timeout: Duration::from_secs(10),
            inline_bytes: 16 * 1024,
            middling_bytes: 256 * 1024,
            middling: 8,
            large: 2,
        }
    }
}

/// Go's way to write a timeout of a webhook, `10s`; others do not occur.
fn seconds(text: &str) -> Option<Duration> {
    text.strip_suffix('s')?.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fifths_of_what_the_api_server_waits() {
        let limits = ReviewLimits::default();
        for (query, millis) in [
            (None, 8_000),
            (Some("timeout=5s"), 4_000),
            (Some("a=b&timeout=1s"), 800),
            (Some("timeout=10s"), 8_000),
            (Some("timeout=30s"), 8_000),
            (Some("timeout=99999s"), 8_000),
            (Some("timeout=0s"), 8_000),
            (Some("timeout=1m0s"), 8_000),
            (Some("timeout=-1s"), 8_000),
            (Some("timeout="), 8_000),
        ] {
            assert_eq!(limits.time_for(query), Duration::from_millis(millis), "{query:?}");
        }
    }
}
