//! Edge: writes the status of objects, which the API server keeps apart from the rest.

use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;

impl Cluster {
    /// Writes the status of an object by server-side apply; gives what is stored then.
    ///
    /// # Errors
    /// It was not stored.
    pub async fn apply_status(&self, kind: Kind, place: &Place, object: &Value) -> Result<Value, ClusterProblem> {
        self.may_write("apply the status of", kind, place)?;
        let parameters = PatchParams::apply(self.manager).force();
        let api = self.api::<DynamicObject>(kind, &place.namespace);
        let patch = Patch::Apply(object);
        let stored = self.in_time(api.patch_status(&place.name, &parameters, &patch)).await?;
        let stored = stored.map_err(|cause| kind.problem("apply the status of", place, cause))?;
        serde_json::to_value(stored).map_err(|_| ClusterProblem::Shape(place.name.clone()))
    }

    /// Changes the status of the version of an object that is named, by JSON merge patch; gives what is stored then.
    ///
    /// # Errors
    /// It was not changed; another wrote first among the reasons.
    pub async fn merge_status(
        &self,
        kind: Kind,
        place: &Place,
        version: &str,
        status: &Value,
    ) -> Result<Value, ClusterProblem> {
        self.may_write("change the status of", kind, place)?;
        let parameters = PatchParams { field_manager: Some(self.manager.to_owned()), ..PatchParams::default() };
        let api = self.api::<DynamicObject>(kind, &place.namespace);
        let object = json!({"metadata": {"resourceVersion": version}, "status": status});
        let patch = Patch::Merge(&object);
        let stored = self.in_time(api.patch_status(&place.name, &parameters, &patch)).await?;
        let stored = stored.map_err(|cause| kind.problem("change the status of", place, cause))?;
        serde_json::to_value(stored).map_err(|_| ClusterProblem::Shape(place.name.clone()))
    }
}
