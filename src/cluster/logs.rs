//! Edge: reads what a container has written.

use kube::Error;
use kube::api::{LogParams, Request};

use super::ends::{Ends, LogBounds};
use super::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;

impl Cluster {
    /// What a container has written, as much of its beginning and its end as is asked for; none where it is gone or has
    /// not begun.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn log(&self, pod: &Place, container: &str, bounds: LogBounds) -> Result<Option<String>, ClusterProblem> {
        let parameters = LogParams {
            container: Some(container.to_owned()),
            tail_lines: (bounds.head == 0).then_some(LINES),
            limit_bytes: (bounds.head > 0).then_some(MOST),
            ..LogParams::default()
        };
        let problem = |cause| Kind::Pod.problem("read the log of", pod, cause);
        let request = Request::new(Kind::Pod.url(&pod.namespace)).logs(&pod.name, &parameters);
        let request = request.map_err(|cause| problem(Error::BuildRequest(cause)))?;
        let mut pieces = match self.in_time(self.pieces(&request.uri().to_string())).await? {
            Ok(pieces) => pieces,
            // 400: the container waits to be started.
            Err(Error::Api(status)) if matches!(status.code, 400 | 404) => return Ok(None),
            Err(cause) => return Err(problem(cause)),
        };
        let mut ends = Ends::new(bounds);
        while let Some(piece) = pieces.next_soon().await.map_err(problem)? {
            ends.push(piece);
        }
        Ok(Some(ends.text()))
    }
}

/// Where only the end is asked for: a kubelet that cuts by bytes cuts the end off.
const LINES: i64 = 10_000;
/// Bytes that are read at most. Kubelets keep 10 MiB of a log if nobody says otherwise.
const MOST: i64 = 64 << 20;
