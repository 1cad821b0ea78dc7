//! Edge: deletes objects, and never another than was meant.

use kube::api::{DeleteParams, DynamicObject, Preconditions};

use super::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;

impl Cluster {
    /// Deletes the object of that uid; one that is gone is deleted.
    ///
    /// # Errors
    /// It is still there, or another of that name is.
    pub async fn delete(&self, kind: Kind, place: &Place, uid: &str) -> Result<(), ClusterProblem> {
        self.delete_if(kind, place, Preconditions { uid: Some(uid.to_owned()), resource_version: None }).await
    }

    /// The same of nothing but that version of it.
    ///
    /// # Errors
    /// It is still there, perhaps in another version, or another of that name is.
    pub async fn delete_version(
        &self,
        kind: Kind,
        place: &Place,
        uid: &str,
        version: &str,
    ) -> Result<(), ClusterProblem> {
        let (uid, version) = (Some(uid.to_owned()), Some(version.to_owned()));
        self.delete_if(kind, place, Preconditions { uid, resource_version: version }).await
    }

    /// The same with all that it owns, which otherwise what belongs to a Job outlives.
    ///
    /// # Errors
    /// It is still there, or another of that name is.
    pub async fn delete_with_dependents(&self, kind: Kind, place: &Place, uid: &str) -> Result<(), ClusterProblem> {
        let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        self.delete_by(kind, place, DeleteParams::background().preconditions(preconditions)).await
    }

    /// The same of whatever has that name, where nobody knows its uid, and nobody else gives such names.
    ///
    /// # Errors
    /// It is still there.
    pub async fn delete_by_name_with_dependents(&self, kind: Kind, place: &Place) -> Result<(), ClusterProblem> {
        self.delete_by(kind, place, DeleteParams::background()).await
    }

    async fn delete_if(&self, kind: Kind, place: &Place, preconditions: Preconditions) -> Result<(), ClusterProblem> {
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        self.delete_by(kind, place, parameters).await
    }

    async fn delete_by(&self, kind: Kind, place: &Place, parameters: DeleteParams) -> Result<(), ClusterProblem> {
        self.may_write("delete", kind, place)?;
        match self.in_time(self.api::<DynamicObject>(kind, &place.namespace).delete(&place.name, &parameters)).await? {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(cause) => Err(kind.problem("delete", place, cause)),
        }
    }
}
