//! Edge: reads one object, and holds of it only what the caller names: others decide how long the rest is.

use kube::Error;
use kube::api::{GetParams, Request};

use super::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::model::{Keep, Sieve};

impl Cluster {
    /// An object's text as the API server has it now (a quorum read), without `managedFields`; none where there is no
    /// such object.
    ///
    /// # Errors
    /// Anything but an answer that it is there or isn't; that it is larger than [`OBJECT`].
    pub async fn read(&self, kind: Kind, place: &Place) -> Result<Option<String>, ClusterProblem> {
        self.read_part(kind, place, &[&[]], OBJECT).await
    }

    /// The text of these members of an object.
    ///
    /// # Errors
    /// As for the whole; that they are more than `most` bytes.
    pub async fn read_part(
        &self,
        kind: Kind,
        place: &Place,
        keep: Keep,
        most: usize,
    ) -> Result<Option<String>, ClusterProblem> {
        let request = Request::new(kind.url(&place.namespace)).get(&place.name, &GetParams::default());
        let request = request.map_err(|cause| kind.problem("read", place, Error::BuildRequest(cause)))?;
        let text = match self.in_time(self.sieved(&request.uri().to_string(), keep, most)).await? {
            Ok(text) => text,
            Err(Error::Api(status)) if status.code == 404 => return Ok(None),
            Err(cause) => return Err(kind.problem("read", place, cause)),
        };
        let Place { namespace, name } = place.clone();
        text.map(Some).ok_or(ClusterProblem::Large { kind, namespace, name, most })
    }

    /// None where it is too much.
    async fn sieved(&self, path: &str, keep: Keep, most: usize) -> Result<Option<String>, Error> {
        let mut pieces = self.pieces(path).await?;
        let mut sieve = Sieve::of_objects(keep, most.saturating_add(1));
        while let Some(piece) = pieces.next().await? {
            if sieve.feed(piece).is_some() {
                let text = sieve.taken();
                let fits = text.len() <= most;
                return fits.then(|| String::from_utf8(text)).transpose().map_err(Error::FromUtf8);
            }
        }
        Err(Error::Service("the answer is no whole object".into()))
    }
}

/// More than etcd takes of an object without what the API server makes of it.
const OBJECT: usize = 2 << 20;
