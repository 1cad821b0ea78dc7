//! How running analyses are looked after.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// The section `health` of an Orchestrator. FLAME's Pod Orchestrator asks each 10 seconds and starts an analysis again 3
/// times (10 in 0.5.1); how long one may take to start or be silent it does not let anybody say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HealthSettings {
    /// How often each analysis is asked how it is, in seconds.
    #[serde(deserialize_with = "seconds")]
    pub period_seconds: u32,
    /// How long pods may take to become available, the pull of images included, in seconds.
    #[serde(deserialize_with = "seconds")]
    pub progress_deadline_seconds: u32,
    /// How long an analysis may take to answer once its pods are available, in seconds.
    #[serde(deserialize_with = "seconds")]
    pub start_seconds: u32,
    /// How long an analysis that executes may be silent, in seconds.
    #[serde(deserialize_with = "seconds")]
    pub silence_seconds: u32,
    /// How often an analysis that is stuck is started again before it has failed.
    #[serde(deserialize_with = "few")]
    pub restarts: u32,
}

impl Default for HealthSettings {
    fn default() -> Self {
        HealthSettings {
            period_seconds: 10,
            progress_deadline_seconds: 1800,
            start_seconds: 120,
            silence_seconds: 60,
            restarts: 3,
        }
    }
}

impl HealthSettings {
    /// How often each analysis is asked how it is.
    pub fn period(&self) -> Duration {
        Duration::from_secs(self.period_seconds.into())
    }

    /// How long pods may take to become available.
    pub fn progress_deadline(&self) -> SignedDuration {
        SignedDuration::from_secs(self.progress_deadline_seconds.into())
    }

    /// How long an analysis may take to answer.
    pub fn start(&self) -> SignedDuration {
        SignedDuration::from_secs(self.start_seconds.into())
    }

    /// How long an analysis may be silent.
    pub fn silence(&self) -> SignedDuration {
        SignedDuration::from_secs(self.silence_seconds.into())
    }
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    within(from, 1..=86400)
}

fn few<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    within(from, 0..=100)
}

fn within<'de, D: Deserializer<'de>>(from: D, range: RangeInclusive<u32>) -> Result<u32, D::Error> {
    let number = u32::deserialize(from)?;
    if range.contains(&number) {
        return Ok(number);
    }
    Err(D::Error::custom(format!("{number} is out of reach; write {} to {}", range.start(), range.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_reach_is_refused() {
        let read = |field: &str, number: &str| {
            let read: Result<HealthSettings, _> = serde_saphyr::from_str(&format!("{field}: {number}"));
            read.map_err(|problem| problem.to_string())
        };
        let seconds = ["periodSeconds", "progressDeadlineSeconds", "startSeconds", "silenceSeconds"];
        let rows = seconds.iter().flat_map(|field| {
            [("0", false), ("1", true), ("86400", true), ("86401", false), ("-1", false)].map(|row| (*field, row))
        });
        let restarts = [("0", true), ("100", true), ("101", false), ("-1", false)].map(|row| ("restarts", row));
        for (field, (number, is_fine)) in rows.chain(restarts) {
            let read = read(field, number);
            assert_eq!(read.is_ok(), is_fine, "{field}: {number}: {read:?}");
        }
        let told = read("restarts", "101").unwrap_err();
        assert!(told.contains("101 is out of reach; write 0 to 100"), "{told}");
        assert!(read("more", "1").is_err());
    }
}
