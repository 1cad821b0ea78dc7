//! What the cluster's network is held to: that it enforces policies from a pod's first packet on.

use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// The section `network` of an Installation: a canary shows now and then whether the network enforces. Without it there
/// is no canary.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetworkSettings {
    /// What hangs on its result.
    pub enforcement: Enforcement,
    /// How often it runs, in minutes.
    #[serde(deserialize_with = "every")]
    pub canary_every_minutes: u16,
    /// How long a result holds, in minutes; after that nothing is known.
    #[serde(deserialize_with = "holds")]
    pub result_holds_minutes: u16,
}

/// What hangs on whether the network is known to enforce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Enforcement {
    /// It is told.
    #[default]
    Reported,
    /// It is told, and gates stay closed while it is not known.
    Required,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        NetworkSettings { enforcement: Enforcement::Reported, canary_every_minutes: 60, result_holds_minutes: 180 }
    }
}

impl NetworkSettings {
    /// How often the canary runs.
    pub fn every(&self) -> Duration {
        Duration::from_mins(self.canary_every_minutes.into())
    }

    /// How long a result holds.
    pub fn holds(&self) -> SignedDuration {
        SignedDuration::from_mins(self.result_holds_minutes.into())
    }

    /// What makes the two times useless together: gates would close between two runs.
    pub(super) fn problem(&self) -> Option<String> {
        let Self { canary_every_minutes: every, result_holds_minutes: holds, .. } = self;
        (holds <= every).then(|| {
            format!(
                "network: a result that holds {holds} minutes ends before the next canary, which comes after {every}; \
                 let `resultHoldsMinutes` be more than `canaryEveryMinutes`"
            )
        })
    }
}

fn every<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    within(from, "canaryEveryMinutes", (5, 1440))
}

fn holds<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    within(from, "resultHoldsMinutes", (10, 10080))
}

fn within<'de, D: Deserializer<'de>>(from: D, field: &str, (least, most): (u16, u16)) -> Result<u16, D::Error> {
    let minutes = u16::deserialize(from)?;
    if (least..=most).contains(&minutes) {
        return Ok(minutes);
    }
    Err(D::Error::custom(format!("{field}: {minutes} minutes are out of reach; write {least} to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_reach_or_ends_before_the_next_canary_is_refused() {
        let read = |text: &str| {
            let read: Result<NetworkSettings, _> = serde_saphyr::from_str(text);
            let read = read.map_err(|problem| problem.to_string())?;
            read.problem().map_or(Ok(read), Err)
        };
        assert_eq!(read("{}").unwrap(), NetworkSettings::default());
        let required = read("{enforcement: required, canaryEveryMinutes: 5, resultHoldsMinutes: 10}").unwrap();
        assert_eq!((required.enforcement, required.holds()), (Enforcement::Required, SignedDuration::from_mins(10)));
        for (text, told) in [
            ("{canaryEveryMinutes: 4}", "canaryEveryMinutes: 4 minutes are out of reach; write 5 to 1440"),
            ("{canaryEveryMinutes: 1441}", "canaryEveryMinutes: 1441 minutes are out of reach"),
            ("{resultHoldsMinutes: 9}", "resultHoldsMinutes: 9 minutes are out of reach; write 10 to 10080"),
            ("{resultHoldsMinutes: 10081}", "resultHoldsMinutes: 10081 minutes are out of reach"),
            ("{canaryEveryMinutes: 180}", "ends before the next canary"),
            ("{enforcement: enforced}", "required"),
            ("{canary: 60}", "canary"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(told), "{text}: {said}");
        }
    }
}
