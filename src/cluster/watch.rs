//! Edge: lists and then watches the objects of one kind in one namespace, for as long as somebody listens.

use std::time::Duration;

use kube::Error;
use kube::api::{ListParams, Request, WatchParams};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use super::pieces::WHOLE;
use super::watched::{event, item};
use super::{Cluster, Kind};
use crate::facts::Place;
use crate::model::{Backoff, ItemCutter, Keep, Sieve, parse};

/// What happened to the objects of one kind in one namespace.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A whole list begins: what is not seen until its end is gone.
    Listing,
    /// An object is there, or is there in another version; with those of its members that are looked at, and of a
    /// NetworkPolicy that is not ours with none.
    Seen(Place, Value),
    /// An object is gone.
    Gone(Place),
    /// The whole list was seen.
    Listed,
}

/// What of a kind is looked at.
#[derive(Debug, Clone)]
pub struct Interest {
    /// A label selector; all objects where it is empty.
    pub selector: String,
    /// The members of them that are kept.
    pub keep: Keep,
    /// The most bytes of these; of what is longer it is known who it is, and no more.
    pub most: usize,
}

/// Sends changes until the receiver is dropped. Watch errors of every kind lead to a new list, and so does
/// the passing of time: an event that was lost on the way is made up for within [`RELIST`].
pub async fn watch(
    cluster: Cluster,
    kind: Kind,
    namespace: String,
    interest: Interest,
    changes: mpsc::Sender<(Kind, String, Change)>,
) {
    let mut watch = Watch { cluster, kind, namespace, interest, changes, patience: Patience::default() };
    while !watch.changes.is_closed() {
        // An end by time is the usual one.
        let _ = tokio::time::timeout(RELIST, watch.follow()).await;
    }
}

struct Watch {
    cluster: Cluster,
    kind: Kind,
    namespace: String,
    interest: Interest,
    changes: mpsc::Sender<(Kind, String, Change)>,
    patience: Patience,
}

impl Watch {
    /// Lists, then goes on from the list for as long as the API server remembers what happened since.
    async fn follow(&mut self) {
        let mut version = String::new();
        while !self.changes.is_closed() {
            // List and watch, not WatchList: an API server on an old etcd answers that with an error for ever.
            let done = match version.is_empty() {
                true => self.list(&mut version).await,
                false => self.go_on(&mut version).await,
            };
            let Err(problem) = done else { continue };
            let (kind, namespace) = (self.kind, &self.namespace);
            warn!(?kind, namespace, %problem, "watch failed; it begins again");
            if code(&problem) == Some(EXPIRED) {
                version.clear();
            }
            let refused = matches!(code(&problem), Some(403 | 404));
            tokio::time::sleep(self.patience.pause(refused, Instant::now())).await;
        }
    }

    async fn list(&mut self, version: &mut String) -> Result<(), Error> {
        self.tell(Change::Listing).await;
        let mut page = ListParams::default().labels(&self.interest.selector).limit(PAGE);
        loop {
            let request = Request::new(self.kind.url(&self.namespace)).list(&page).map_err(Error::BuildRequest)?;
            let around = self.list_page(&request.uri().to_string()).await?;
            let list = parse(&around).ok();
            let said = |key: &str| {
                let text = list.as_ref().and_then(|list| list.text_at(&["metadata", key]));
                text.filter(|text| !text.is_empty())
            };
            match (said("continue"), said("resourceVersion")) {
                (Some(next), Some(_)) => page = page.continue_token(next),
                (None, Some(listed)) => {
                    self.tell(Change::Listed).await;
                    self.patience = Patience::default();
                    listed.clone_into(version);
                    return Ok(());
                }
                (_, None) => return Err(Error::Service("the list is not acceptable JSON".into())),
            }
        }
    }

    /// Tells of the items of a page; gives what stands around them.
    async fn list_page(&self, path: &str) -> Result<Vec<u8>, Error> {
        let mut pieces = self.cluster.pieces_as(path, self.form(METADATA_OF_LIST)).await?;
        let mut cutter = ItemCutter::new(self.interest.keep, self.interest.most);
        while let Some(piece) = pieces.next_soon().await? {
            let mut seen = Vec::new();
            cutter.feed(piece, |text| seen.extend(item(self.kind, text)));
            for change in seen {
                self.tell(change).await;
            }
        }
        Ok(cutter.around())
    }

    async fn go_on(&mut self, version: &mut String) -> Result<(), Error> {
        let parameters = WatchParams::default().labels(&self.interest.selector);
        let request = Request::new(self.kind.url(&self.namespace)).watch(&parameters, version);
        let path = request.map_err(Error::BuildRequest)?.uri().to_string();
        let mut pieces = self.cluster.pieces_as(&path, self.form(METADATA)).await?;
        let mut sieve = Sieve::of_events(self.interest.keep, self.interest.most);
        let mut silent = true;
        while let Some(mut piece) = pieces.next().await? {
            while let Some(used) = sieve.feed(piece) {
                piece = piece.get(used..).unwrap_or_default();
                let told = event(self.kind, &sieve.taken())?;
                if let Some(change) = told.change {
                    self.tell(change).await;
                }
                *version = told.version;
                self.patience = Patience::default();
                silent = false;
            }
        }
        // The API server ends a watch after minutes, in which it has told something.
        if silent { Err(Error::Service("the watch ended at once".into())) } else { Ok(()) }
    }

    /// Of Secrets only who they are: what they hold never comes here.
    fn form(&self, metadata_alone: &'static str) -> &'static str {
        if matches!(self.kind, Kind::Secret | Kind::Node) { metadata_alone } else { WHOLE }
    }

    /// Nobody listens any more where it cannot be told; the watch ends then.
    async fn tell(&self, change: Change) {
        let _ = self.changes.send((self.kind, self.namespace.clone(), change)).await;
    }
}

/// What the API server answered, if it did.
fn code(problem: &Error) -> Option<u16> {
    match problem {
        Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// The API server does not remember what happened since.
const EXPIRED: u16 = 410;

/// How long to wait after one more failure in a row.
#[derive(Debug, Default)]
struct Patience {
    failures: u32,
    refused_since: Option<Instant>,
}

impl Patience {
    /// One who is refused for long has no more rights there, as when the namespace is gone, and asks calmly.
    fn pause(&mut self, refused: bool, now: Instant) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let pause = BACKOFF.after(self.failures);
        if !refused {
            self.refused_since = None;
            return pause;
        }
        let since = *self.refused_since.get_or_insert(now);
        if now.duration_since(since) < CALM_AFTER { pause } else { CALM }
    }
}

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_OF_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
/// As client-go's.
const PAGE: u32 = 500;
/// Short enough that a policy is repaired within two seconds once the API server answers again.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
/// An API server that has just started refuses everybody for a moment, and a role may come after the policies.
const CALM_AFTER: Duration = Duration::from_secs(30);
const CALM: Duration = Duration::from_secs(30);
/// How long an event that was lost without an error may stay unknown.
const RELIST: Duration = Duration::from_secs(5 * 60);
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
