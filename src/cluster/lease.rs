//! Edge: leader election by Lease, in the way of client-go.
//!
//! By hand, because a leader must know for itself, without a word from anybody, that it may no longer
//! write; the crate for it goes by the clocks of other machines and tells its holder too late.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;

/// How long a lease holds, when its holder stops writing, how often it is renewed.
#[derive(Debug, Clone, Copy)]
pub struct LeaseTiming {
    /// After this long without a renewal another may take the lease.
    pub duration: Duration,
    /// After this long without a renewal its holder no longer writes.
    pub deadline: Duration,
    /// Between two attempts.
    pub retry: Duration,
}

impl Default for LeaseTiming {
    /// As client-go's: 15, 10 and 2 seconds.
    fn default() -> Self {
        LeaseTiming {
            duration: Duration::from_secs(15),
            deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// Whether this process leads right now. Cheap to ask; a [`Cluster`] that is led by it asks before every write.
#[derive(Debug, Clone, Default)]
pub struct Leadership {
    until: Arc<Mutex<Option<Instant>>>,
}

impl Leadership {
    /// Whether this process may write now.
    pub fn holds(&self) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// A leadership that lasts so long, without any election.
    #[cfg(test)]
    pub(super) fn lasting(time: Duration) -> Self {
        let leadership = Leadership::default();
        leadership.set(Some(Instant::now() + time));
        leadership
    }

    fn set(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// Takes part in the election under the name `me` until the task is dropped.
pub async fn campaign(cluster: Cluster, place: Place, me: String, timing: LeaseTiming, leadership: Leadership) {
    let mut seen = Observed::default();
    let mut told = false;
    loop {
        let sent = Instant::now();
        match attempt(&cluster, &place, &me, timing, &mut seen).await {
            Ok(Turn::Lead) => leadership.set(Some(sent + timing.deadline)),
            Ok(Turn::Follow) => leadership.set(None),
            // What was granted runs out by itself.
            Err(problem) => warn!(lease = %place.name, %problem, "lease not renewed"),
        }
        // Compared with what was told last: leadership also ends by the passing of time alone.
        let leads = leadership.holds();
        if std::mem::replace(&mut told, leads) != leads {
            info!(lease = %place.name, me, leads, "leadership changed");
        }
        tokio::time::sleep(timing.retry).await;
    }
}

/// Gives the lease back, so that another can lead at once.
///
/// # Errors
/// The lease could not be written; it runs out by itself.
pub async fn resign(cluster: &Cluster, place: &Place, me: &str, leadership: &Leadership) -> Result<(), ClusterProblem> {
    leadership.set(None);
    let Some(lease) = read(cluster, place).await? else { return Ok(()) };
    if lease.holder == me {
        write(cluster, place, "", &lease, Duration::from_secs(1)).await?;
    }
    Ok(())
}

/// Who leads, for somebody who takes no part in the election: the holder of a lease that is renewed while it is looked
/// at for as long as it lasts. `looks` is told of a holder who may have gone, and how long it may take to know.
///
/// # Errors
/// The lease could not be read.
pub async fn leader(
    cluster: &Cluster,
    place: &Place,
    looks: impl FnOnce(&str, Duration),
) -> Result<Option<String>, ClusterProblem> {
    let Some(first) = read(cluster, place).await?.filter(|lease| !lease.holder.is_empty()) else { return Ok(None) };
    looks(&first.holder, first.duration);
    let begun = Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        let passed = begun.elapsed();
        match led(&first, read(cluster, place).await?, passed) {
            Led::By(holder) => return Ok(Some(holder)),
            Led::ByNobody => return Ok(None),
            Led::Unknown => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Led {
    By(String),
    ByNobody,
    Unknown,
}

/// What two looks at a lease say, so long apart by our own clock.
fn led(before: &Lease, now: Option<Lease>, passed: Duration) -> Led {
    match now.filter(|lease| !lease.holder.is_empty()) {
        None => Led::ByNobody,
        Some(now) if (&now.holder, &now.renewed) != (&before.holder, &before.renewed) => Led::By(now.holder),
        Some(_) if passed > before.duration => Led::ByNobody,
        Some(_) => Led::Unknown,
    }
}

const LOOK: Duration = Duration::from_secs(1);

/// What the last attempts saw of the lease, by our own clock: other machines' clocks are not believed.
#[derive(Debug, Default)]
struct Observed {
    version: String,
    since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Lead,
    Follow,
}

#[derive(Debug, Default)]
struct Lease {
    holder: String,
    version: String,
    transitions: i64,
    acquired: Option<String>,
    renewed: Option<String>,
    duration: Duration,
}

async fn attempt(
    cluster: &Cluster,
    place: &Place,
    me: &str,
    timing: LeaseTiming,
    seen: &mut Observed,
) -> Result<Turn, ClusterProblem> {
    let lease = read(cluster, place).await?;
    let turn = seen.turn(lease.as_ref(), me, timing.duration, Instant::now());
    if turn == Turn::Lead {
        write(cluster, place, me, &lease.unwrap_or_default(), timing.duration).await?;
    }
    Ok(turn)
}

impl Observed {
    /// Who may lead: the holder, anybody when nobody holds it, another when it was not renewed for its whole duration.
    fn turn(&mut self, lease: Option<&Lease>, me: &str, duration: Duration, now: Instant) -> Turn {
        let Some(lease) = lease else { return Turn::Lead };
        if lease.version != self.version {
            self.version.clone_from(&lease.version);
            self.since = Some(now);
        }
        let lapsed = self.since.is_some_and(|since| now.duration_since(since) > duration);
        if lease.holder.is_empty() || lease.holder == me || lapsed { Turn::Lead } else { Turn::Follow }
    }
}

async fn read(cluster: &Cluster, place: &Place) -> Result<Option<Lease>, ClusterProblem> {
    let Some(text) = cluster.read(Kind::Lease, place).await? else { return Ok(None) };
    let value: Value = serde_json::from_str(&text).map_err(|_| ClusterProblem::Shape(place.name.clone()))?;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let number = |pointer: &str| value.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    Ok(Some(Lease {
        holder: text("/spec/holderIdentity").unwrap_or_default(),
        version: text("/metadata/resourceVersion").unwrap_or_default(),
        transitions: number("/spec/leaseTransitions"),
        acquired: text("/spec/acquireTime"),
        renewed: text("/spec/renewTime"),
        duration: Duration::from_secs(u64::try_from(number("/spec/leaseDurationSeconds")).unwrap_or_default()),
    }))
}

/// Writes the lease only over the version that was read, so that of two that try at once one fails.
async fn write(
    cluster: &Cluster,
    place: &Place,
    me: &str,
    before: &Lease,
    duration: Duration,
) -> Result<(), ClusterProblem> {
    let now = Timestamp::now();
    let changed = before.holder != me;
    let acquired = if changed { None } else { before.acquired.clone() }.unwrap_or_else(|| micro(now));
    let version = (!before.version.is_empty()).then_some(&before.version);
    let metadata = json!({"name": place.name, "namespace": place.namespace, "resourceVersion": version});
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": {
            "holderIdentity": me,
            "leaseDurationSeconds": duration.as_secs().max(1),
            "acquireTime": acquired,
            "renewTime": micro(now),
            "leaseTransitions": before.transitions + i64::from(changed),
        },
    });
    cluster.store(Kind::Lease, place, &lease).await
}

/// The API's MicroTime.
pub(super) fn micro(moment: Timestamp) -> String {
    format!("{moment:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_may_lead_only_after_a_whole_duration_without_renewal() {
        let duration = Duration::from_secs(15);
        let start = Instant::now();
        let lease = |holder: &str, version: &str| Lease {
            holder: holder.to_owned(),
            version: version.to_owned(),
            ..Lease::default()
        };
        let mut seen = Observed::default();
        assert_eq!(seen.turn(None, "me", duration, start), Turn::Lead);
        for (after, holder, version, want) in [
            (0, "other", "1", Turn::Follow),
            (14, "other", "1", Turn::Follow),
            (15, "other", "2", Turn::Follow),
            (30, "other", "2", Turn::Follow),
            (31, "other", "2", Turn::Lead),
            (32, "me", "3", Turn::Lead),
            (33, "", "4", Turn::Lead),
            (34, "other", "5", Turn::Follow),
        ] {
            let now = start + Duration::from_secs(after);
            assert_eq!(seen.turn(Some(&lease(holder, version)), "me", duration, now), want, "{after} s, {holder}");
        }
    }

    #[test]
    fn nobody_leads_by_a_lease_that_is_given_back_or_not_renewed_for_as_long_as_it_lasts() {
        let lease = |holder: &str, renewed: &str| Lease {
            holder: holder.to_owned(),
            renewed: Some(renewed.to_owned()),
            duration: Duration::from_secs(15),
            ..Lease::default()
        };
        let by = |holder: &str| Led::By(holder.to_owned());
        for (now, passed, want) in [
            (Some(lease("first", "1")), 15, Led::Unknown),
            (Some(lease("first", "1")), 16, Led::ByNobody),
            (Some(lease("first", "2")), 1, by("first")),
            (Some(lease("first", "2")), 16, by("first")),
            (Some(lease("second", "1")), 16, by("second")),
            (Some(lease("", "2")), 1, Led::ByNobody),
            (None, 1, Led::ByNobody),
        ] {
            let said = format!("{now:?} after {passed} s");
            assert_eq!(led(&lease("first", "1"), now, Duration::from_secs(passed)), want, "{said}");
        }
    }
}
