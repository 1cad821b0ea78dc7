//! Edge: lists the objects of a whole cluster, page by page, for commands that nobody waits for.

use std::time::Duration;

use kube::api::{DynamicObject, ListParams};
use serde_json::Value;

use super::{Cluster, ClusterProblem, Kind};

impl Cluster {
    /// Every object of a kind in the whole cluster, as the API server has it now; `labels` is a label selector or
    /// empty. Of each only what `keep` makes of it is kept.
    ///
    /// # Errors
    /// Anything but the list.
    pub async fn list_everywhere<T>(
        &self,
        kind: Kind,
        labels: &str,
        keep: impl Fn(Value) -> Option<T>,
    ) -> Result<Vec<T>, ClusterProblem> {
        let api = self.api::<DynamicObject>(kind, "");
        let mut parameters = ListParams::default().labels(labels).limit(PAGE);
        let mut kept = Vec::new();
        loop {
            let page = tokio::time::timeout(PATIENCE, api.list(&parameters));
            let page = page.await.map_err(|_| ClusterProblem::Late(PATIENCE))?;
            let page = page.map_err(|cause| kind.problem_with_all("list", cause))?;
            let objects = page.items.into_iter().filter_map(|object| serde_json::to_value(object).ok());
            kept.extend(objects.filter_map(&keep));
            match page.metadata.continue_.filter(|next| !next.is_empty()) {
                Some(next) => parameters = parameters.continue_token(&next),
                None => return Ok(kept),
            }
        }
    }
}

/// As client-go's commands.
const PAGE: u32 = 500;
/// The API server's own limit for a request.
const PATIENCE: Duration = Duration::from_secs(60);
