//! Edge: lists and then watches the objects of one kind in one namespace, for as long as somebody listens.

use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt};
use kube::Resource;
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use super::slim::Slim;
use super::{Cluster, Kind};
use crate::facts::Place;

/// What happened to the objects of one kind in one namespace.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A whole list begins: what is not seen until its end is gone.
    Listing,
    /// An object is there, or is there in another version; of a NetworkPolicy that is not ours nothing is told.
    Seen(Place, Value),
    /// An object is gone.
    Gone(Place),
    /// The whole list was seen.
    Listed,
}

/// Sends changes until the receiver is dropped. Watch errors of every kind lead to a new list, and so does
/// the passing of time: an event that was lost on the way is made up for within [`RELIST`].
pub async fn watch(
    cluster: Cluster,
    kind: Kind,
    namespace: String,
    selector: &str,
    changes: mpsc::Sender<(Kind, String, Change)>,
) {
    // List and watch, not WatchList: an API server on an old etcd answers that with an error for ever.
    let config = watcher::Config::default().labels(selector);
    let mut patience = Patience::default();
    while !changes.is_closed() {
        // An end by time is the usual one; the stream by itself never ends.
        let _ = if kind == Kind::NetworkPolicy {
            let stream = watcher(cluster.api::<Slim>(kind, &namespace), config.clone().page_size(LARGE));
            let changed = stream.map_ok(|event| change(event, |policy| Some(policy.into_value())));
            tokio::time::timeout(RELIST, forward(changed, kind, &namespace, &changes, &mut patience)).await
        } else {
            let stream = watcher(cluster.api::<DynamicObject>(kind, &namespace), config.clone());
            let changed = stream.map_ok(|event| change(event, |object| serde_json::to_value(object).ok()));
            tokio::time::timeout(RELIST, forward(changed, kind, &namespace, &changes, &mut patience)).await
        };
    }
}

async fn forward(
    stream: impl Stream<Item = watcher::Result<Option<Change>>>,
    kind: Kind,
    namespace: &str,
    changes: &mpsc::Sender<(Kind, String, Change)>,
    patience: &mut Patience,
) {
    let mut stream = pin!(stream);
    while let Some(event) = stream.next().await {
        let change = match event {
            Ok(change) => change,
            Err(problem) => {
                warn!(?kind, namespace, %problem, "watch failed; it begins again");
                tokio::time::sleep(patience.pause(is_refused(&problem), Instant::now())).await;
                continue;
            }
        };
        let Some(change) = change else { continue };
        // That a list begins says nothing yet of whether it will be answered.
        if change != Change::Listing {
            *patience = Patience::default();
        }
        if changes.send((kind, namespace.to_owned(), change)).await.is_err() {
            return;
        }
    }
}

/// How long to wait after one more failure in a row.
#[derive(Debug, Default)]
struct Patience {
    failures: u32,
    refused_since: Option<Instant>,
}

impl Patience {
    /// One who is refused for long has no more rights there, as when the namespace is gone, and asks calmly.
    fn pause(&mut self, refused: bool, now: Instant) -> Duration {
        let pause = (FIRST_RETRY * 2u32.saturating_pow(self.failures.min(8))).min(LAST_RETRY);
        self.failures = self.failures.saturating_add(1);
        if !refused {
            self.refused_since = None;
            return pause;
        }
        let since = *self.refused_since.get_or_insert(now);
        if now.duration_since(since) < CALM_AFTER { pause } else { CALM }
    }
}

/// Whether the API server has answered, and the answer is that this is not ours to see, or is not there.
fn is_refused(problem: &watcher::Error) -> bool {
    use watcher::Error::{InitialListFailed, WatchError, WatchFailed, WatchStartFailed};
    let status = match problem {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status))
        | WatchFailed(kube::Error::Api(status))
        | WatchError(status) => status,
        _ => return false,
    };
    status.code == 403 || status.code == 404
}

const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Short enough that a policy is repaired within two seconds once the API server answers again.
const LAST_RETRY: Duration = Duration::from_secs(1);
/// An API server that has just started refuses everybody for a moment, and a role may come after the policies.
const CALM_AFTER: Duration = Duration::from_secs(30);
const CALM: Duration = Duration::from_secs(30);
/// How long an event that was lost without an error may stay unknown.
const RELIST: Duration = Duration::from_secs(5 * 60);
/// Objects that strangers can make large come few at a time: their page is held whole as text.
const LARGE: u32 = 8;

fn change<K: Resource>(event: Event<K>, value: impl FnOnce(K) -> Option<Value>) -> Option<Change> {
    match event {
        Event::Init => Some(Change::Listing),
        Event::InitDone => Some(Change::Listed),
        Event::InitApply(object) | Event::Apply(object) => Some(Change::Seen(place(&object)?, value(object)?)),
        Event::Delete(object) => Some(Change::Gone(place(&object)?)),
    }
}

fn place(object: &impl Resource) -> Option<Place> {
    let metadata = object.meta();
    Some(Place { namespace: metadata.namespace.clone().unwrap_or_default(), name: metadata.name.clone()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_for_long_asks_calmly_and_all_others_within_a_second() {
        let start = Instant::now();
        let mut patience = Patience::default();
        for (after, refused, want) in [
            (0, false, 100),
            (0, true, 200),
            (29, true, 400),
            (30, true, 30_000),
            (60, true, 30_000),
            (90, false, 1000),
            (91, true, 1000),
            (92, true, 1000),
        ] {
            let pause = patience.pause(refused, start + Duration::from_secs(after));
            assert_eq!(pause, Duration::from_millis(want), "after {after} s");
        }
    }
}
