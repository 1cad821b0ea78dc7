//! Edge: reads lists whose items others have made, item by item: whatever they store, little of it is held at a time.

use std::time::Duration;

use kube::Error;
use kube::api::{ListParams, Request};
use tokio::sync::Semaphore;

use super::{Cluster, ClusterProblem, Kind};
use crate::model::{ItemCutter, Keep, parse};

/// Which objects are read.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    /// Their kind.
    pub kind: Kind,
    /// Their namespace; empty for all.
    pub namespace: &'a str,
    /// A label selector, or empty.
    pub labels: &'a str,
    /// A field selector, or empty.
    pub fields: &'a str,
}

impl Cluster {
    /// Calls `judge` with the text of every object of a kind in a namespace (empty: in all), as the API server has
    /// them now (a quorum read), without `managedFields`; `labels` is a label selector or empty. Gives the version of
    /// the list. A text longer than [`ITEM`] breaks off.
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
        self.each_part(List { kind, namespace, labels, fields: "" }, &[&[]], judge).await
    }

    /// The same with the text of these members of every object.
    ///
    /// # Errors
    /// Anything but the whole list.
    pub async fn each_part(
        &self,
        list: List<'_>,
        keep: Keep,
        judge: impl FnMut(&[u8]) + Send,
    ) -> Result<String, ClusterProblem> {
        let List { kind, namespace, labels, fields } = list;
        let path = kind.url(namespace);
        let list = Request::new(path.as_str()).list(&ListParams::default().labels(labels).fields(fields));
        let path = list.map_err(|cause| problem(&path, Error::BuildRequest(cause)))?.uri().to_string();
        let version = self.each_at(&path, keep, judge).await?;
        version.ok_or_else(|| problem(&path, Error::Service("there is no such list".into())))
    }

    /// The same page by page, for lists that may be longer than anybody waits for; gives how many pages there were.
    ///
    /// # Errors
    /// Anything but the whole list. What was judged before is not taken back.
    pub async fn each_paged(
        &self,
        list: List<'_>,
        keep: Keep,
        mut judge: impl FnMut(&[u8]) + Send,
    ) -> Result<usize, ClusterProblem> {
        let base = list.kind.url(list.namespace);
        let mut parameters = ListParams::default().labels(list.labels).fields(list.fields).limit(PAGE);
        for page in 1.. {
            let request = Request::new(base.as_str()).list(&parameters);
            let path = request.map_err(|cause| problem(&base, Error::BuildRequest(cause)))?.uri().to_string();
            let around = self.around_at(&path, keep, &mut judge).await?;
            let around = around.ok_or_else(|| problem(&path, Error::Service("there is no such list".into())))?;
            match around.go_on.filter(|go_on| !go_on.is_empty()) {
                Some(go_on) => parameters = parameters.continue_token(&go_on),
                None => return Ok(page),
            }
        }
        Ok(0)
    }

    /// The same for a list at a path; none where nothing stands there.
    pub(super) async fn each_at(
        &self,
        path: &str,
        keep: Keep,
        judge: impl FnMut(&[u8]) + Send,
    ) -> Result<Option<String>, ClusterProblem> {
        Ok(self.around_at(path, keep, judge).await?.map(|around| around.version))
    }

    async fn around_at(
        &self,
        path: &str,
        keep: Keep,
        judge: impl FnMut(&[u8]) + Send,
    ) -> Result<Option<Around>, ClusterProblem> {
        let read = tokio::time::timeout(PATIENCE, self.read_items(path, keep, judge));
        match read.await.map_err(|_| ClusterProblem::Late(PATIENCE))? {
            Ok(around) => {
                let list = parse(&around).ok();
                let list = list.filter(|list| !list.entries().is_empty());
                let broken = || problem(path, Error::Service("the list is not acceptable JSON".into()));
                let list = list.ok_or_else(broken)?;
                let said = |key: &str| list.text_at(&["metadata", key]).map(str::to_owned);
                let version = said("resourceVersion").unwrap_or_default();
                Ok(Some(Around { version, go_on: said("continue") }))
            }
            Err(Error::Api(status)) if status.code == 404 => Ok(None),
            Err(cause) => Err(problem(path, cause)),
        }
    }

    /// The list without its items.
    async fn read_items(&self, path: &str, keep: Keep, mut judge: impl FnMut(&[u8]) + Send) -> Result<Vec<u8>, Error> {
        let mut pieces = self.pieces(path).await?;
        let mut cutter = ItemCutter::new(keep, ITEM);
        while let Some(piece) = pieces.next_soon().await? {
            // What an item becomes while it is judged is many times its text: one at a time. It is never closed.
            let _turn = TURN.acquire().await;
            cutter.feed(piece, &mut judge);
        }
        Ok(cutter.around())
    }
}

/// What a list says besides its items.
struct Around {
    version: String,
    /// Where the next page begins.
    go_on: Option<String>,
}

fn problem(path: &str, source: Error) -> ClusterProblem {
    ClusterProblem::Path { path: path.to_owned(), source: source.into() }
}

static TURN: Semaphore = Semaphore::const_new(1);
/// More than etcd takes of an object; what the API server makes of its texts can be six times as long.
const ITEM: usize = 2 << 20;
/// For a whole list: there is no limit to what a namespace holds, but to how long a step may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// As client-go's commands.
const PAGE: u32 = 500;
