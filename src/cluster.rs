//! Edge: everything that is asked of the API server. Only here `kube` is named.

mod deletion;
mod ends;
mod events;
mod failure;
mod foreign;
mod items;
mod kind;
mod lease;
mod logs;
mod pages;
mod pieces;
mod reading;
mod scans;
mod status;
mod watch;
mod watched;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{DynamicResourceScope, Request, Status};
use kube::{Client, Config, Resource};
use serde_json::Value;

pub use ends::LogBounds;
pub use events::{Asker, Event, Often, Recorder};
pub use failure::Failure;
use failure::{no_pod, unreachable, unusable};
pub use items::List;
pub use kind::Kind;
pub use lease::{Leadership, LeaseTiming, campaign, leader, resign};
pub use scans::{SCAN_TOLD, follow_scans};
pub use watch::{Change, Interest, watch};
pub use watched::{FEW_BYTES, MANY_BYTES, kept};

use crate::facts::Place;
use crate::telemetry::whole;

/// A connection to one API server, writing under one field manager.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    manager: &'static str,
    /// By which every write is asked about; none for whoever writes without being elected.
    leadership: Option<Leadership>,
}

/// What went wrong between us and the API server.
#[derive(Debug, thiserror::Error)]
pub enum ClusterProblem {
    /// No way to it at all.
    #[error("cannot find out how to reach the API server")]
    Config {
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// It refused or could not be reached.
    #[error("cannot {verb} {kind:?} {namespace}/{name}")]
    Call {
        /// What we were doing.
        verb: &'static str,
        /// With which kind.
        kind: Kind,
        /// In which namespace.
        namespace: String,
        /// With which object; empty for lists.
        name: String,
        /// Why it failed.
        source: Failure,
    },
    /// It refused or could not be reached, at a path that is no kind's of ours.
    #[error("cannot read {path}")]
    Path {
        /// The path.
        path: String,
        /// Why it failed.
        source: Failure,
    },
    /// It did not answer in time.
    #[error("the API server did not answer within {0:?}")]
    Late(Duration),
    /// Another leads, or may lead by now: nothing was sent.
    #[error("cannot {verb} {kind:?} {namespace}/{name}: this process does not lead")]
    NotLeading {
        /// What we were about to do.
        verb: &'static str,
        /// With which kind.
        kind: Kind,
        /// In which namespace.
        namespace: String,
        /// With which object.
        name: String,
    },
    /// More of it was asked for than is held of any object.
    #[error("{kind:?} {namespace}/{name} is larger than {most} bytes")]
    Large {
        /// Its kind.
        kind: Kind,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The most that is held.
        most: usize,
    },
    /// What we would write is no object.
    #[error("cannot write {0}: it is no Kubernetes object")]
    Shape(String),
}

impl Cluster {
    /// Connects by a kubeconfig file, or as a pod does.
    ///
    /// # Errors
    /// The file cannot be read, or there is no service account to use.
    pub async fn connect(kubeconfig: Option<&Path>, manager: &'static str) -> Result<Self, ClusterProblem> {
        let config = match kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path).map_err(|cause| unusable(path, cause))?;
                let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await;
                config.map_err(|cause| unusable(path, cause))?
            }
            None => Config::incluster().map_err(|cause| no_pod(&cause))?,
        };
        let client = Client::try_from(config).map_err(|cause| unreachable(whole(&cause)))?;
        Ok(Cluster { client, manager, leadership: None })
    }

    /// The same connection for a leader's work: from now on every write asks first whether this process leads.
    #[must_use]
    pub fn led_by(self, leadership: Leadership) -> Self {
        Cluster { leadership: Some(leadership), ..self }
    }

    /// The text of a whole list as the API server has it now (a quorum read); `labels` is a label selector or empty.
    ///
    /// # Errors
    /// Anything but the list.
    pub async fn list(&self, kind: Kind, namespace: &str, labels: &str) -> Result<String, ClusterProblem> {
        let place = Place { namespace: namespace.to_owned(), name: String::new() };
        let request = Request::new(kind.url(namespace)).list(&ListParams::default().labels(labels));
        let request = request.map_err(|cause| kind.problem("list", &place, kube::Error::BuildRequest(cause)))?;
        self.in_time(self.client.request_text(request)).await?.map_err(|cause| kind.problem("list", &place, cause))
    }

    /// Writes an object by server-side apply, taking over the fields that we own; gives what is stored then.
    ///
    /// # Errors
    /// It was not stored.
    pub async fn apply(&self, kind: Kind, place: &Place, object: &Value) -> Result<Value, ClusterProblem> {
        self.may_write("apply", kind, place)?;
        let parameters = PatchParams::apply(self.manager).force();
        let patch = Patch::Apply(object);
        let stored = self
            .in_time(self.api::<DynamicObject>(kind, &place.namespace).patch(&place.name, &parameters, &patch))
            .await?;
        let stored = stored.map_err(|cause| kind.problem("apply", place, cause))?;
        serde_json::to_value(stored).map_err(|_| ClusterProblem::Shape(place.name.clone()))
    }

    /// Creates an object, or replaces the version of it that it names.
    ///
    /// # Errors
    /// It was not stored; another wrote first among the reasons.
    pub async fn store(&self, kind: Kind, place: &Place, object: &Value) -> Result<(), ClusterProblem> {
        self.stored(kind, place, object).await.map(drop)
    }

    /// The same; gives what is stored then.
    ///
    /// # Errors
    /// As [`Cluster::store`].
    pub async fn stored(&self, kind: Kind, place: &Place, object: &Value) -> Result<Value, ClusterProblem> {
        self.may_write("store", kind, place)?;
        let shape = || ClusterProblem::Shape(place.name.clone());
        let object: DynamicObject = serde_json::from_value(object.clone()).map_err(|_| shape())?;
        let parameters = PostParams { field_manager: Some(self.manager.to_owned()), ..PostParams::default() };
        let api = self.api::<DynamicObject>(kind, &place.namespace);
        let stored = if object.metadata.resource_version.is_some() {
            self.in_time(api.replace(&place.name, &parameters, &object)).await?
        } else {
            self.in_time(api.create(&parameters, &object)).await?
        };
        let stored = stored.map_err(|cause| kind.problem("store", place, cause))?;
        serde_json::to_value(stored).map_err(|_| shape())
    }

    /// Changes an object by JSON Patch; gives what is stored then.
    ///
    /// # Errors
    /// It was not changed, a failed `test` operation among the reasons.
    pub async fn change(&self, kind: Kind, place: &Place, patch: json_patch::Patch) -> Result<Value, ClusterProblem> {
        self.may_write("change", kind, place)?;
        let parameters = PatchParams { field_manager: Some(self.manager.to_owned()), ..PatchParams::default() };
        let patch = Patch::<()>::Json(patch);
        let changed = self
            .in_time(self.api::<DynamicObject>(kind, &place.namespace).patch(&place.name, &parameters, &patch))
            .await?;
        let changed = changed.map_err(|cause| kind.problem("change", place, cause))?;
        serde_json::to_value(changed).map_err(|_| ClusterProblem::Shape(place.name.clone()))
    }

    fn may_write(&self, verb: &'static str, kind: Kind, place: &Place) -> Result<(), ClusterProblem> {
        if self.leadership.as_ref().is_none_or(Leadership::holds) {
            return Ok(());
        }
        let Place { namespace, name } = place.clone();
        Err(ClusterProblem::NotLeading { verb, kind, namespace, name })
    }

    fn api<K>(&self, kind: Kind, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        match namespace {
            "" => Api::all_with(self.client.clone(), &kind.resource()),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &kind.resource()),
        }
    }

    /// Every call ends in time: a write that hangs could otherwise be carried out after the lease has passed on.
    async fn in_time<T>(&self, call: impl Future<Output = T>) -> Result<T, ClusterProblem> {
        tokio::time::timeout(CALL, call).await.map_err(|_| ClusterProblem::Late(CALL))
    }
}

impl ClusterProblem {
    /// Whether the object to write to is gone, or its namespace is going and takes nothing any more.
    pub fn is_gone(&self) -> bool {
        let ends = |status: &Status| {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            status.code == 403 && causes.into_iter().any(|cause| cause.reason == NAMESPACE_ENDS)
        };
        self.status().is_some_and(|status| status.code == 404 || ends(status))
    }

    /// Whether the API server has answered that this is not ours to do.
    pub fn is_forbidden(&self) -> bool {
        self.status().is_some_and(|status| status.code == 403)
    }

    /// Why the API server, or somebody whom it asked, takes no such object, if that is it.
    pub fn refusal(&self) -> Option<&str> {
        let status = self.status().filter(|status| matches!(status.code, 400 | 403 | 413 | 422))?;
        Some(&status.message)
    }

    /// Whether an object of that name is there already.
    pub fn is_there_already(&self) -> bool {
        self.status().is_some_and(|status| status.reason == "AlreadyExists")
    }

    /// Whether another has written the object since it was read, so that it is to be read again.
    pub fn may_be_outdated(&self) -> bool {
        // 422 is also how a failed `test` of a patch is told.
        self.status().is_some_and(|status| matches!(status.code, 409 | 422))
    }

    /// Whether the same call may succeed a moment later: the API server did not answer, or was too busy to, or
    /// nobody knows yet who leads.
    pub fn may_pass(&self) -> bool {
        match self {
            ClusterProblem::Config { .. } | ClusterProblem::Large { .. } | ClusterProblem::Shape(_) => false,
            ClusterProblem::Late(_) | ClusterProblem::NotLeading { .. } => true,
            ClusterProblem::Call { .. } | ClusterProblem::Path { .. } => {
                self.status().is_none_or(|status| status.code == 429 || status.code >= 500)
            }
        }
    }

    /// What the API server answered, if it did.
    fn status(&self) -> Option<&Status> {
        match self {
            ClusterProblem::Call { source, .. } | ClusterProblem::Path { source, .. } => source.status(),
            _ => None,
        }
    }
}

/// The cause that the API server names where it refuses a write into a namespace that ends.
const NAMESPACE_ENDS: &str = "NamespaceTerminating";
/// Less than what lies between the end of a leader's writing and the end of its lease.
const CALL: Duration = Duration::from_secs(4);

impl Kind {
    fn problem_with_all(self, verb: &'static str, source: kube::Error) -> ClusterProblem {
        self.problem(verb, &Place { namespace: String::new(), name: String::new() }, source)
    }

    fn problem(self, verb: &'static str, place: &Place, source: kube::Error) -> ClusterProblem {
        ClusterProblem::Call {
            verb,
            kind: self,
            namespace: place.namespace.clone(),
            name: place.name.clone(),
            source: source.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A connection to where nobody listens: what is sent fails otherwise than what is not.
    fn cluster() -> Cluster {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = Config::new("http://127.0.0.1:1".parse().unwrap());
        Cluster { client: Client::try_from(config).unwrap(), manager: "test", leadership: None }
    }

    async fn writes(cluster: &Cluster) -> [Result<(), ClusterProblem>; 4] {
        let place = Place { namespace: "flame".to_owned(), name: "x".to_owned() };
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}});
        [
            cluster.apply(Kind::Pod, &place, &object).await.map(drop),
            cluster.store(Kind::Pod, &place, &object).await,
            cluster.change(Kind::Pod, &place, json_patch::Patch::default()).await.map(drop),
            cluster.delete(Kind::Pod, &place, "uid").await,
        ]
    }

    #[tokio::test]
    async fn every_write_of_a_leader_asks_whether_it_leads() {
        let timing = Duration::from_secs(3600);
        for (cluster, sent) in [
            (cluster(), true),
            (cluster().led_by(Leadership::default()), false),
            (cluster().led_by(Leadership::lasting(timing)), true),
            (cluster().led_by(Leadership::lasting(Duration::ZERO)), false),
        ] {
            let verbs = writes(&cluster).await.map(|written| match written.unwrap_err() {
                ClusterProblem::Call { verb, .. } => (verb, true),
                ClusterProblem::NotLeading { verb, .. } => (verb, false),
                other => panic!("{other}"),
            });
            assert_eq!(verbs, ["apply", "store", "change", "delete"].map(|verb| (verb, sent)));
        }
    }

    #[tokio::test]
    async fn problems_say_whether_they_pass_and_whether_the_object_is_gone() {
        let place = Place { namespace: "flame".to_owned(), name: "x".to_owned() };
        let call = |status: Value| {
            let status: Status = serde_json::from_value(status).unwrap();
            Kind::Pod.problem("change", &place, kube::Error::Api(status.boxed()))
        };
        let not_leading = cluster().led_by(Leadership::default()).may_write("apply", Kind::Pod, &place).unwrap_err();
        let ends =
            json!({"code": 403, "reason": "Forbidden", "details": {"causes": [{"reason": "NamespaceTerminating"}]}});
        let said = json!({"code": 403, "reason": "Forbidden", "message": "pods \"being terminated\" is forbidden"});
        for (problem, passes, gone) in [
            (call(json!({"code": 404, "reason": "NotFound"})), false, true),
            (call(ends), false, true),
            (call(said), false, false),
            (call(json!({"code": 409, "reason": "Conflict"})), false, false),
            (call(json!({"code": 429, "reason": "TooManyRequests"})), true, false),
            (call(json!({"code": 500, "reason": "InternalError"})), true, false),
            (ClusterProblem::Late(CALL), true, false),
            (not_leading, true, false),
            (ClusterProblem::Shape("x".to_owned()), false, false),
            (unreachable("x".to_owned()), false, false),
        ] {
            assert_eq!((problem.may_pass(), problem.is_gone()), (passes, gone), "{problem:?}");
        }
    }
}
