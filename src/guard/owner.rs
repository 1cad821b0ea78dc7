//! Whose a pod is, and who holds an identity.

use jiff::Timestamp;
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, TestOperation};
use serde_json::{Value, json};

use super::makeup::{Made, Makeup};
use crate::cluster::Kind;
use crate::facts::Gate;
use crate::model::labels::{HOLDER, NETWORK_GATE};
use crate::model::{Json, controlling_owner};

/// The topmost controller of a pod; the pod itself where it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// None: a kind that nobody here knows where to look up.
    pub(super) kind: Option<Kind>,
    pub(super) name: String,
    pub(super) uid: String,
}

/// A pod of an identity that has not ended, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnedPod {
    pub(super) created: Option<Timestamp>,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) gate: Gate,
    pub(super) owner: Owner,
    pub(super) made: Made,
}

/// The topmost owner of all pods that say to be a controller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Over {
    pub(super) owner: Owner,
    /// What it makes; none where nobody knows, or the templates of the two differ.
    makes: Option<Makeup>,
}

impl Over {
    /// Whether a pod of that makeup is what it makes.
    pub(super) fn made(&self, pod: &Makeup) -> Made {
        if self.makes.as_ref().is_some_and(|makes| makes.makes(pod)) { Made::ByItsOwner } else { Made::Otherwise }
    }
}

/// The owner that holds an identity: who is remembered and still there, else whose pod is the oldest of those without
/// the gate. A pod that waits holds nothing, however old it is.
pub(super) fn holder<'a>(pods: &'a [OwnedPod], remembered: Option<&'a Owner>) -> Option<&'a Owner> {
    let open = pods.iter().filter(|pod| pod.gate == Gate::Open);
    remembered.or_else(|| open.min_by_key(|pod| (pod.created, &pod.name)).map(|pod| &pod.owner))
}

/// Whether an owner is there, as far as the pods of its identity tell.
pub(super) fn by_its_pods(pods: &[OwnedPod], owner: &Owner) -> Option<bool> {
    // A pod that held the identity by itself does so still where a controller has adopted it since.
    let mut own = pods.iter().filter(|pod| pod.owner.uid == owner.uid || pod.uid == owner.uid);
    match owner.kind {
        _ if own.clone().any(|pod| pod.gate == Gate::Open) => Some(true),
        // One that only waits holds nothing.
        Some(Kind::Pod) => Some(false),
        None => Some(own.next().is_some()),
        Some(_) => None,
    }
}

impl OwnedPod {
    pub(super) fn new(pod: &Json<'_>, owner: Owner, made: Made) -> Self {
        let gates = pod.at(&["spec", "schedulingGates"]).map_or(&[][..], Json::items);
        let held = gates.iter().any(|gate| gate.text_at(&["name"]) == Some(NETWORK_GATE));
        OwnedPod {
            created: pod.text_at(&["metadata", "creationTimestamp"]).and_then(|moment| moment.parse().ok()),
            name: text(pod, "name"),
            uid: text(pod, "uid"),
            gate: if held { Gate::Held } else { Gate::Open },
            owner,
            made,
        }
    }
}

impl Owner {
    /// A pod's controller, or the pod itself.
    pub(super) fn of(pod: &Json<'_>) -> Self {
        Owner::over(pod).unwrap_or_else(|| Owner {
            kind: Some(Kind::Pod),
            name: text(pod, "name"),
            uid: text(pod, "uid"),
        })
    }

    /// The owner over this one, where `object` is what stands under this one's name now. Kubernetes' own controllers
    /// put Deployments over ReplicaSets and CronJobs over Jobs, so whatever else an owner says of itself is a claim.
    pub(super) fn above(&self, object: &Json<'_>) -> Option<Self> {
        let may_be = match self.kind? {
            Kind::ReplicaSet => Kind::Deployment,
            Kind::Job => Kind::CronJob,
            _ => return None,
        };
        Owner::over(object).filter(|above| self.names(object) && above.kind == Some(may_be))
    }

    /// Who is topmost over this owner's pods, and what they are made of, where `object` stands under its name now and
    /// `top` under the name of the one above it. What is not there, or is another, makes nothing.
    pub(super) fn over_pods(self, object: Option<&Json<'_>>, top: Option<&Json<'_>>) -> Over {
        let makes = object.filter(|object| self.names(object)).and_then(template);
        let Some(above) = object.and_then(|object| self.above(object)) else { return Over { owner: self, makes } };
        // A Deployment adopts whatever ReplicaSet its selector matches, and only this tells which are its own. A CronJob
        // adopts nothing, and the Jobs that it made stay as they were made.
        let agrees = |makes: &Makeup| {
            above.kind != Some(Kind::Deployment)
                || top.filter(|top| above.names(top)).and_then(template).as_ref() == Some(makes)
        };
        Over { makes: makes.filter(agrees), owner: above }
    }

    /// Whether an object is this owner. Another of its name is not.
    fn names(&self, object: &Json<'_>) -> bool {
        object.text_at(&["metadata", "uid"]) == Some(&self.uid)
    }

    /// Whether `object` is this owner and stays; one that is being deleted makes no more pods.
    pub(super) fn is(&self, object: &Json<'_>) -> bool {
        self.names(object) && object.at(&["metadata", "deletionTimestamp"]).is_none()
    }

    fn over(object: &Json<'_>) -> Option<Self> {
        let owner = controlling_owner(object)?;
        let group = |version: &str| version.rsplit_once('/').map_or_else(String::new, |(group, _)| group.to_owned());
        let (version, kind) = (owner.text_at(&["apiVersion"])?, owner.text_at(&["kind"])?);
        let known = OWNERS.into_iter().find(|known| {
            let (known_version, known_kind) = known.type_names();
            known_kind == kind && group(&known_version) == group(version)
        });
        Some(Owner {
            kind: known.filter(|known| *known != Kind::Pod),
            name: owner.text_at(&["name"])?.to_owned(),
            uid: owner.text_at(&["uid"])?.to_owned(),
        })
    }

    /// The owner that an isolation policy remembers.
    pub(super) fn remembered(policy: &Json<'_>) -> Option<Self> {
        let mut parts = policy.text_at(&["metadata", "annotations", HOLDER])?.splitn(3, '/');
        let (kind, name, uid) = (parts.next()?, parts.next()?, parts.next()?);
        let known = OWNERS.into_iter().find(|known| known.type_names().1 == kind);
        Some(Owner { kind: known, name: name.to_owned(), uid: uid.to_owned() })
    }

    /// The annotation that remembers it.
    pub(super) fn written(&self) -> String {
        let kind = self.kind.map_or("", |kind| kind.type_names().1);
        format!("{kind}/{}/{}", self.name, self.uid)
    }

    /// The patch that has exactly this version of an isolation policy remember it.
    pub(super) fn remembering(&self, policy: &Json<'_>) -> Option<Patch> {
        let version = policy.text_at(&["metadata", "resourceVersion"])?;
        let (path, value): (&[&str], Value) = match policy.at(&["metadata", "annotations"]) {
            Some(_) => (&["metadata", "annotations", HOLDER], json!(self.written())),
            None => (&["metadata", "annotations"], json!({HOLDER: self.written()})),
        };
        let version_at = PointerBuf::from_tokens(["metadata", "resourceVersion"]);
        Some(Patch(vec![
            PatchOperation::Test(TestOperation { path: version_at, value: json!(version) }),
            PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(path.iter().copied()), value }),
        ]))
    }
}

/// What can own a pod and can be looked up.
const OWNERS: [Kind; 8] = [
    Kind::Pod,
    Kind::ReplicaSet,
    Kind::Deployment,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::ReplicationController,
    Kind::Job,
    Kind::CronJob,
];

fn template(object: &Json<'_>) -> Option<Makeup> {
    object.at(&["spec", "template"]).map(Makeup::of)
}

fn text(object: &Json<'_>, key: &str) -> String {
    object.text_at(&["metadata", key]).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse;

    fn owner(kind: Option<Kind>, name: &str) -> Owner {
        Owner { kind, name: name.to_owned(), uid: format!("uid-{name}") }
    }

    fn pod(second: i64, name: &str, gate: Gate, owner: Owner) -> OwnedPod {
        let (created, uid) = (Timestamp::from_second(second).ok(), format!("uid-{name}"));
        OwnedPod { created, name: name.to_owned(), uid, gate, owner, made: Made::ByItsOwner }
    }

    #[test]
    fn who_is_remembered_holds_the_identity_else_the_oldest_pod_that_does_not_wait() {
        let [first, second] = ["first", "second"].map(|name| owner(Some(Kind::Deployment), name));
        let waits = pod(1, "a", Gate::Held, first.clone());
        let young = pod(3, "b", Gate::Open, first.clone());
        let old = pod(2, "z", Gate::Open, second.clone());
        let twin = pod(2, "zz", Gate::Open, first.clone());
        for (pods, remembered, want) in [
            (vec![waits.clone(), young.clone(), old.clone(), twin], None, Some(&second)),
            (vec![waits.clone(), young, old], Some(&first), Some(&first)),
            (vec![waits.clone()], Some(&second), Some(&second)),
            (vec![waits], None, None),
            (vec![], None, None),
        ] {
            assert_eq!(holder(&pods, remembered), want, "{pods:?}");
        }
    }

    #[test]
    fn an_owner_is_there_while_a_pod_of_its_runs_and_a_pod_only_then() {
        for (kind, gate, want) in [
            (Some(Kind::Job), Some(Gate::Open), Some(true)),
            (Some(Kind::Job), Some(Gate::Held), None),
            (Some(Kind::Job), None, None),
            (Some(Kind::Pod), Some(Gate::Open), Some(true)),
            (Some(Kind::Pod), Some(Gate::Held), Some(false)),
            (Some(Kind::Pod), None, Some(false)),
            (None, Some(Gate::Held), Some(true)),
            (None, None, Some(false)),
        ] {
            let owner = owner(kind, "x");
            let pods: Vec<_> = gate.into_iter().map(|gate| pod(1, "p", gate, owner.clone())).collect();
            assert_eq!(by_its_pods(&pods, &owner), want, "{kind:?} {gate:?}");
        }
        // The pod `p`, which a Deployment has adopted.
        let adopted = |gate| [pod(1, "p", gate, owner(Some(Kind::Deployment), "d"))];
        for (gate, want) in [(Gate::Open, Some(true)), (Gate::Held, Some(false))] {
            assert_eq!(by_its_pods(&adopted(gate), &owner(Some(Kind::Pod), "p")), want, "{gate:?}");
        }
    }

    #[test]
    fn only_deployments_stand_over_replicasets_and_cronjobs_over_jobs() {
        let object = |uid: &str, owner: Option<(&str, &str)>| {
            let owners = owner.map(|(version, kind)| {
                json!([{"apiVersion": "v1", "kind": "Pod", "name": "z", "uid": "uid-z"},
                    {"apiVersion": version, "kind": kind, "name": "top", "uid": "uid-top", "controller": true}])
            });
            json!({"metadata": {"name": "own", "uid": uid, "ownerReferences": owners}}).to_string()
        };
        for (kind, uid, over, want) in [
            (Some(Kind::ReplicaSet), "uid-own", Some(("apps/v1", "Deployment")), Some(Kind::Deployment)),
            (Some(Kind::Job), "uid-own", Some(("batch/v1", "CronJob")), Some(Kind::CronJob)),
            (Some(Kind::ReplicaSet), "uid-other", Some(("apps/v1", "Deployment")), None),
            (Some(Kind::ReplicaSet), "uid-own", None, None),
            (Some(Kind::ReplicaSet), "uid-own", Some(("argoproj.io/v1", "Deployment")), None),
            (Some(Kind::ReplicaSet), "uid-own", Some(("batch/v1", "CronJob")), None),
            (Some(Kind::Job), "uid-own", Some(("apps/v1", "Deployment")), None),
            (Some(Kind::Job), "uid-own", Some(("example.org/v1", "Any")), None),
            (Some(Kind::StatefulSet), "uid-own", Some(("apps/v1", "Deployment")), None),
            (None, "uid-own", Some(("apps/v1", "Deployment")), None),
            (None, "uid-own", Some(("example.org/v1", "Any")), None),
        ] {
            let text = object(uid, over);
            let own = owner(kind, "own");
            let topmost = want.map_or(own.clone(), |kind| owner(Some(kind), "top"));
            let over = own.over_pods(Some(&parse(text.as_bytes()).unwrap()), None);
            assert_eq!(over.owner, topmost, "{kind:?} {uid} {over:?}");
        }
    }

    #[test]
    fn a_pod_is_made_by_its_owner_only_where_both_templates_say_what_it_runs() {
        let of = |image: &str| json!({"spec": {"containers": [{"name": "c", "image": image}]}});
        let object = |uid: &str, over: Option<(&str, &str)>, image: &str| {
            let over = over.map(|(version, kind)| {
                json!([{"apiVersion": version, "kind": kind, "name": "top", "uid": "uid-top", "controller": true}])
            });
            json!({"metadata": {"uid": uid, "ownerReferences": over}, "spec": {"template": of(image)}}).to_string()
        };
        let deployment = Some(("apps/v1", "Deployment"));
        let cronjob = Some(("batch/v1", "CronJob"));
        let own = |over, image| Some(object("uid-own", over, image));
        let top = |uid: &str, image| Some(object(uid, None, image));
        for (kind, stands, above, want) in [
            (Kind::StatefulSet, own(None, "good"), None, Made::ByItsOwner),
            (Kind::StatefulSet, own(None, "evil"), None, Made::Otherwise),
            (Kind::StatefulSet, Some(object("uid-else", None, "good")), None, Made::Otherwise),
            (Kind::StatefulSet, None, None, Made::Otherwise),
            (Kind::ReplicaSet, own(deployment, "good"), top("uid-top", "good"), Made::ByItsOwner),
            (Kind::ReplicaSet, own(deployment, "good"), top("uid-top", "evil"), Made::Otherwise),
            (Kind::ReplicaSet, own(deployment, "good"), top("uid-else", "good"), Made::Otherwise),
            (Kind::ReplicaSet, own(deployment, "good"), None, Made::Otherwise),
            (Kind::ReplicaSet, own(deployment, "evil"), top("uid-top", "evil"), Made::Otherwise),
            (Kind::Job, own(cronjob, "good"), None, Made::ByItsOwner),
            (Kind::Job, own(cronjob, "evil"), None, Made::Otherwise),
        ] {
            let [stands, above] =
                [&stands, &above].map(|text| text.as_ref().map(|text| parse(text.as_bytes()).unwrap()));
            let over = owner(Some(kind), "own").over_pods(stands.as_ref(), above.as_ref());
            let pod = of("good").to_string();
            assert_eq!(over.made(&Makeup::of(&parse(pod.as_bytes()).unwrap())), want, "{stands:?} {above:?}");
        }
    }

    #[test]
    fn an_owner_is_read_as_it_was_written() {
        for owner in OWNERS.map(Some).into_iter().chain([None]).map(|kind| owner(kind, "x")) {
            let policy = json!({"metadata": {"annotations": {HOLDER: owner.written()}}}).to_string();
            assert_eq!(Owner::remembered(&parse(policy.as_bytes()).unwrap()), Some(owner));
        }
        assert_eq!(Owner::remembered(&parse(br#"{"metadata":{"annotations":{"a":"b"}}}"#).unwrap()), None);
    }

    #[test]
    fn remembering_is_bound_to_the_version_that_was_read_and_keeps_other_annotations() {
        let owner = owner(Some(Kind::Job), "x");
        for (annotations, path, value) in [
            (json!({"a": "b"}), "/metadata/annotations/flamewarden.dev~1holder", json!("Job/x/uid-x")),
            (Value::Null, "/metadata/annotations", json!({HOLDER: "Job/x/uid-x"})),
        ] {
            let text = json!({"metadata": {"resourceVersion": "7", "annotations": annotations}}).to_string();
            let patch = owner.remembering(&parse(text.as_bytes()).unwrap()).unwrap();
            let want = json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
                {"op": "add", "path": path, "value": value},
            ]);
            assert_eq!(serde_json::to_value(patch).unwrap(), want);
        }
    }

    #[test]
    fn an_owner_that_is_being_deleted_or_made_again_is_not_there() {
        let owner = owner(Some(Kind::Deployment), "x");
        for (metadata, want) in [
            (json!({"uid": "uid-x"}), true),
            (json!({"uid": "uid-x", "deletionTimestamp": "2026-01-01T00:00:00Z"}), false),
            (json!({"uid": "another"}), false),
        ] {
            let text = json!({"metadata": metadata}).to_string();
            assert_eq!(owner.is(&parse(text.as_bytes()).unwrap()), want, "{text}");
        }
    }
}
