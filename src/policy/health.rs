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
