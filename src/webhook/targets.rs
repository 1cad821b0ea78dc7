//! Edge: reads the stored object that a request names, once, while the caller waits.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::cluster::{Cluster, Kind};
use crate::facts::Place;
use crate::model::Keep;
use crate::model::labels::{APP, COMPONENT};
use crate::rules::TargetRef;

/// What became of the reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// The text of all that is looked at of the object.
    Found(String),
    /// The API server knows no such object.
    Missing,
    /// It could not be read; nobody knows.
    Unread,
}

/// Where named objects are read; the API server outside tests.
pub trait Targets: Send + Sync {
    /// Reads one object.
    fn read<'a>(&'a self, target: TargetRef<'a>) -> BoxFuture<'a, Looked>;
}

/// The API server, asked by few at a time: anybody who reaches the port can name an object.
pub struct ClusterTargets {
    cluster: Cluster,
    turns: Semaphore,
}

impl ClusterTargets {
    /// Reads through this connection.
    pub fn new(cluster: Cluster) -> Self {
        ClusterTargets { cluster, turns: Semaphore::new(TURNS) }
    }

    async fn look(&self, target: TargetRef<'_>) -> Looked {
        let (kind, keep) = match target.resource {
            "pods" => (Kind::Pod, POD),
            _ => return Looked::Unread,
        };
        let Ok(_turn) = self.turns.acquire().await else { return Looked::Unread };
        let place = Place { namespace: target.namespace.to_owned(), name: target.name.to_owned() };
        match self.cluster.read_part(kind, &place, keep, MOST).await {
            Ok(Some(text)) => Looked::Found(text),
            Ok(None) => Looked::Missing,
            Err(problem) => {
                tracing::warn!(?kind, namespace = %place.namespace, %problem, "target not read");
                Looked::Unread
            }
        }
    }
}

impl Targets for ClusterTargets {
    fn read<'a>(&'a self, target: TargetRef<'a>) -> BoxFuture<'a, Looked> {
        Box::pin(self.look(target))
    }
}

/// Reads a target within a time; nobody knows what comes later.
pub(super) async fn look_up(targets: Option<&dyn Targets>, target: TargetRef<'_>, time: Duration) -> Looked {
    match targets {
        Some(targets) => timeout(time, targets.read(target)).await.unwrap_or(Looked::Unread),
        None => Looked::Unread,
    }
}

const TURNS: usize = 16;
/// What the rules look at of a pod. The rest is as long as whoever made it likes.
const POD: Keep = &[
    &["metadata", "name"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "deletionGracePeriodSeconds"],
    &["metadata", "labels", COMPONENT],
    &["metadata", "labels", APP],
    &["spec", "nodeName"],
    &["spec", "terminationGracePeriodSeconds"],
    &["status", "phase"],
];
/// Nobody needs longer labels.
const MOST: usize = 64 << 10;
