//! Waiting ever longer after failures in a row.

use std::time::Duration;

/// How long to wait: after the first failure so long, after each that follows twice as long, and never longer than the
/// last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    last: Duration,
}

impl Backoff {
    /// From the first wait to the longest.
    pub const fn new(first: Duration, last: Duration) -> Self {
        Backoff { first, last }
    }

    /// The wait after so many failures in a row; without any, as after the first.
    pub fn after(self, failures: u32) -> Duration {
        let times = 2u32.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(times).min(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_one_before_up_to_the_last() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for (failures, want) in
            [(0, 100), (1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (32, 1000), (33, 1000), (u32::MAX, 1000)]
        {
            assert_eq!(backoff.after(failures), Duration::from_millis(want), "{failures}");
        }
    }
}
