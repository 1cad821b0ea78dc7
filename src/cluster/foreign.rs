//! Edge: lists policies of other networks, whose kinds come and go with their CRDs.

use serde_json::Value;

use super::{Cluster, ClusterProblem};

impl Cluster {
    /// Calls `judge` with the text of every item of each list that the API server has of a kind, one list for each
    /// version that it serves; with none where it does not know the kind. Without a namespace, the objects of the
    /// whole cluster.
    ///
    /// # Errors
    /// The API server knows the kind and does not list it, or cannot say whether it knows it.
    pub async fn each_foreign(
        &self,
        group: &str,
        resource: &str,
        namespace: Option<&str>,
        mut judge: impl FnMut(&[u8]) + Send,
    ) -> Result<(), ClusterProblem> {
        for path in self.foreign_paths(group, resource, namespace).await? {
            self.each_at(&path, &[&[]], &mut judge).await?;
        }
        Ok(())
    }

    /// Where lists of a kind could stand.
    async fn foreign_paths(
        &self,
        group: &str,
        resource: &str,
        namespace: Option<&str>,
    ) -> Result<Vec<String>, ClusterProblem> {
        let Some(found) = self.read_path(&format!("/apis/{group}")).await? else { return Ok(Vec::new()) };
        let found: Value = serde_json::from_str(&found).map_err(|_| ClusterProblem::Shape(group.to_owned()))?;
        let versions = found.get("versions").and_then(Value::as_array).into_iter().flatten();
        let versions = versions.filter_map(|version| version.get("version").and_then(Value::as_str));
        let scope = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
        Ok(versions.map(|version| format!("/apis/{group}/{version}{scope}/{resource}")).collect())
    }

    /// What stands at a path; none where nothing does.
    ///
    /// # Errors
    /// Anything but an answer that it is there or isn't.
    pub async fn read_path(&self, path: &str) -> Result<Option<String>, ClusterProblem> {
        let problem = |cause: kube::Error| ClusterProblem::Path { path: path.to_owned(), source: cause.into() };
        let request = http::Request::get(path).body(Vec::new());
        let request = request.map_err(|cause| problem(kube::Error::HttpError(cause)))?;
        match self.in_time(self.client.request_text(request)).await? {
            Ok(text) => Ok(Some(text)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(cause) => Err(problem(cause)),
        }
    }
}
