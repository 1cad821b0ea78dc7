//! Edge: reads lists whose items others have made, item by item: whatever they store, little of it is held at a time.

use std::io;
use std::pin::pin;
use std::time::Duration;

use futures::AsyncReadExt;
use kube::Error;
use kube::api::{ListParams, Request};
use tokio::sync::Semaphore;

use super::{Cluster, ClusterProblem, Kind};
use crate::model::{ItemCutter, parse};

impl Cluster {
    /// Calls `judge` with the text of every object of a kind in a namespace (empty: in all), as the API server has
    /// them now (a quorum read); `labels` is a label selector or empty. Gives the version of the list. A text longer
    /// than [`ITEM`] breaks off.
    ///
    /// # Errors
    /// Anything but the whole list.
    pub async fn each(
        &self,
        kind: Kind,
        namespace: &str,
        labels: &str,
        judge: impl FnMut(&[u8]) + Send,
    ) -> Result<String, ClusterProblem> {
        let path = kind.url(namespace);
        let list = Request::new(path.as_str()).list(&ListParams::default().labels(labels));
        let path = list.map_err(|cause| problem(&path, Error::BuildRequest(cause)))?.uri().to_string();
        let version = self.each_at(&path, judge).await?;
        version.ok_or_else(|| problem(&path, Error::Service("there is no such list".into())))
    }

    /// The same for a list at a path; none where nothing stands there.
    pub(super) async fn each_at(
        &self,
        path: &str,
        judge: impl FnMut(&[u8]) + Send,
    ) -> Result<Option<String>, ClusterProblem> {
        let read = tokio::time::timeout(PATIENCE, self.read_items(path, judge));
        match read.await.map_err(|_| ClusterProblem::Late(PATIENCE))? {
            Ok(around) => {
                let list = parse(&around).ok();
                let list = list.filter(|list| !list.entries().is_empty());
                let broken = || problem(path, Error::Service("the list is not acceptable JSON".into()));
                let list = list.ok_or_else(broken)?;
                Ok(Some(list.text_at(&["metadata", "resourceVersion"]).unwrap_or_default().to_owned()))
            }
            Err(Error::Api(status)) if status.code == 404 => Ok(None),
            Err(cause) => Err(problem(path, cause)),
        }
    }

    /// The list without its items.
    async fn read_items(&self, path: &str, mut judge: impl FnMut(&[u8]) + Send) -> Result<Vec<u8>, Error> {
        let request = http::Request::get(path).body(Vec::new()).map_err(Error::HttpError)?;
        let mut body = pin!(self.client.request_stream(request).await?);
        let mut cutter = ItemCutter::new(ITEM);
        let mut piece = vec![0; PIECE];
        loop {
            let read = tokio::time::timeout(PAUSE, body.read(&mut piece));
            let late = |_| Error::ReadEvents(io::ErrorKind::TimedOut.into());
            let length = read.await.map_err(late)?.map_err(Error::ReadEvents)?;
            let Some(piece) = piece.get(..length).filter(|piece| !piece.is_empty()) else {
                return Ok(cutter.around());
            };
            // What an item becomes while it is judged is many times its text: one at a time. It is never closed.
            let _turn = TURN.acquire().await;
            cutter.feed(piece, &mut judge);
        }
    }
}

fn problem(path: &str, source: Error) -> ClusterProblem {
    ClusterProblem::Path { path: path.to_owned(), source: Box::new(source) }
}

static TURN: Semaphore = Semaphore::const_new(1);
/// More than etcd takes of an object; what the API server makes of it can be longer.
const ITEM: usize = 2 << 20;
const PIECE: usize = 64 << 10;
/// For a whole list: there is no limit to what a namespace holds, but to how long a step may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two pieces of it.
const PAUSE: Duration = Duration::from_secs(4);
