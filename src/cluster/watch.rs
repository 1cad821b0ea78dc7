//! Edge: lists and then watches the objects of one kind in one namespace, for as long as somebody listens.

use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::warn;

use super::{Cluster, Kind};
use crate::facts::Place;

/// What happened to the objects of one kind in one namespace.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A whole list begins: what is not seen until its end is gone.
    Listing,
    /// An object is there, or is there in another version.
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
    let config = watcher::Config::default().labels(selector).any_semantic();
    while !changes.is_closed() {
        let forward = forward(&cluster, kind, &namespace, config.clone(), &changes);
        // An end by time is the usual one; the stream by itself never ends.
        let _ = tokio::time::timeout(RELIST, forward).await;
    }
}

async fn forward(
    cluster: &Cluster,
    kind: Kind,
    namespace: &str,
    config: watcher::Config,
    changes: &mpsc::Sender<(Kind, String, Change)>,
) {
    let mut stream = pin!(watcher(cluster.api(kind, namespace), config));
    let mut wait = FIRST_RETRY;
    while let Some(event) = stream.next().await {
        let change = match event {
            Ok(event) => change(event),
            Err(problem) => {
                warn!(?kind, namespace, %problem, "watch failed; it begins again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LAST_RETRY);
                continue;
            }
        };
        wait = FIRST_RETRY;
        let Some(change) = change else { continue };
        if changes.send((kind, namespace.to_owned(), change)).await.is_err() {
            return;
        }
    }
}

const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Short enough that a policy is repaired within two seconds once the API server answers again.
const LAST_RETRY: Duration = Duration::from_secs(1);
/// How long an event that was lost without an error may stay unknown.
const RELIST: Duration = Duration::from_secs(5 * 60);

fn change(event: Event<DynamicObject>) -> Option<Change> {
    match event {
        Event::Init => Some(Change::Listing),
        Event::InitDone => Some(Change::Listed),
        Event::InitApply(object) | Event::Apply(object) => {
            let place = place(&object)?;
            Some(Change::Seen(place, serde_json::to_value(object).ok()?))
        }
        Event::Delete(object) => Some(Change::Gone(place(&object)?)),
    }
}

fn place(object: &DynamicObject) -> Option<Place> {
    let name = object.metadata.name.clone()?;
    Some(Place { namespace: object.metadata.namespace.clone().unwrap_or_default(), name })
}
