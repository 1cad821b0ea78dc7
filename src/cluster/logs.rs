//! Edge: reads what a container has written.

use kube::Error;
use kube::api::{LogParams, Request};

use super::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;

impl Cluster {
    /// The last lines of a container, at most so many bytes; none where it is gone or has not begun.
    ///
    /// # Errors
    /// Anything but an answer.
    pub async fn log(&self, pod: &Place, container: &str, most: usize) -> Result<Option<String>, ClusterProblem> {
        let parameters = LogParams {
            container: Some(container.to_owned()),
            limit_bytes: Some(i64::try_from(most).unwrap_or(i64::MAX)),
            tail_lines: Some(LINES),
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
        let mut text = Vec::new();
        while text.len() < most {
            let piece = pieces.next_soon().await.map_err(problem)?;
            let Some(piece) = piece else { break };
            text.extend_from_slice(piece);
        }
        text.truncate(most);
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }
}

const LINES: i64 = 10_000;
