//! Which images stored objects ask to run, and by which pull secrets these can be had.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::cluster::Kind;
use crate::facts::Place;
use crate::model::labels::{APP, COMPONENT, SCAN_GATE};
use crate::model::{AnalysisObject, Keep, PolicyHash};
use crate::policy::{PolicySet, Profile};

/// One image that an object asks to run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Use {
    /// As it is written there.
    pub(super) image: String,
    /// The pull secrets by which it can be had.
    pub(super) secrets: BTreeSet<Place>,
    /// The uid of whoever's pod it is, where it is a pod that runs.
    pub(super) ran_by: Option<String>,
}

/// The kinds of objects that ask for images, with those of their members that are looked at.
pub(super) const WATCHED: &[(Kind, Keep)] = &[
    (
        Kind::Analysis,
        &[
            &["metadata", "name"],
            &["metadata", "namespace"],
            &["metadata", "resourceVersion"],
            &["metadata", "uid"],
            &["spec"],
        ],
    ),
    (Kind::Pod, POD),
    (Kind::Deployment, TEMPLATE),
    (Kind::StatefulSet, TEMPLATE),
    (Kind::DaemonSet, TEMPLATE),
    (Kind::ReplicaSet, TEMPLATE),
    (Kind::ReplicationController, TEMPLATE),
    (Kind::Job, TEMPLATE),
    (Kind::CronJob, CRON),
];

/// The members of an object of `$at` that say which images it runs.
macro_rules! kept {
    ($($at:literal),*) => {
        &[
            &["metadata", "name"],
            &["metadata", "namespace"],
            &["metadata", "resourceVersion"],
            &["metadata", "uid"],
            &["metadata", "deletionTimestamp"],
            &["metadata", "ownerReferences"],
            &[$($at,)* "metadata", "labels"],
            &[$($at,)* "spec", "containers"],
            &[$($at,)* "spec", "initContainers"],
            &[$($at,)* "spec", "ephemeralContainers"],
            &[$($at,)* "spec", "volumes"],
            &[$($at,)* "spec", "imagePullSecrets"],
            &[$($at,)* "spec", "nodeName"],
            &[$($at,)* "spec", "schedulingGates"],
        ]
    };
}

const POD: Keep = kept![];
const TEMPLATE: Keep = kept!["spec", "template"];
const CRON: Keep = kept!["spec", "jobTemplate", "spec", "template"];

/// A pod that waits for verdicts on its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// Its uid.
    pub(super) uid: String,
    /// Its images, as they are written there.
    pub(super) images: Vec<String>,
    /// The hash of the limits that it is held to.
    pub(super) policy: PolicyHash,
}

/// The pod, if it is one that waits.
pub(super) fn held(kind: Kind, object: &Value, policies: &PolicySet) -> Option<Held> {
    let gates = object.pointer("/spec/schedulingGates")?.as_array()?;
    let has_gate = gates.iter().any(|gate| gate.get("name").and_then(Value::as_str) == Some(SCAN_GATE));
    if kind != Kind::Pod || !has_gate || object.pointer("/metadata/deletionTimestamp").is_some_and(Value::is_string) {
        return None;
    }
    let label = |key: &str| object.pointer("/metadata/labels")?.get(key)?.as_str();
    let profile = policies.profile_for(label(COMPONENT), label(APP))?;
    let uid = object.pointer("/metadata/uid")?.as_str()?.to_owned();
    Some(Held { uid, images: images(object).collect(), policy: profile.scan_hash() })
}

/// The images that an object asks to run, if it is one that a profile guards.
pub(super) fn uses(kind: Kind, namespace: &str, object: &Value, policies: &PolicySet) -> Vec<Use> {
    let template = match kind {
        Kind::Analysis => return analysis(namespace, object).into_iter().collect(),
        Kind::Pod => Some(object),
        Kind::CronJob => object.pointer("/spec/jobTemplate/spec/template"),
        _ => object.pointer("/spec/template"),
    };
    let Some(template) = template else { return Vec::new() };
    let label = |key: &str| template.pointer("/metadata/labels")?.get(key)?.as_str();
    let Some(profile) = policies.profile_for(label(COMPONENT), label(APP)) else { return Vec::new() };
    let secrets = secrets(namespace, template, profile);
    let is_bound = kind == Kind::Pod && template.pointer("/spec/nodeName").is_some_and(Value::is_string);
    let ran_by = is_bound.then(|| owner(object)).flatten();
    images(template).map(|image| Use { image, secrets: secrets.clone(), ran_by: ran_by.clone() }).collect()
}

/// Every image that a pod or template names, wherever it may.
fn images(template: &Value) -> impl Iterator<Item = String> {
    let listed = |key: &str| template.pointer("/spec").and_then(|spec| spec.get(key)?.as_array()).into_iter().flatten();
    let containers = ["containers", "initContainers", "ephemeralContainers"].into_iter().flat_map(listed);
    let named = containers.filter_map(|container| container.get("image"));
    let mounted = listed("volumes").filter_map(|volume| volume.pointer("/image/reference"));
    named.chain(mounted).filter_map(Value::as_str).map(str::to_owned)
}

/// Those that it names, and the one that the profile gives to pods that name none.
fn secrets(namespace: &str, template: &Value, profile: &Profile) -> BTreeSet<Place> {
    let named = template.pointer("/spec/imagePullSecrets").and_then(Value::as_array).into_iter().flatten();
    let named = named.filter_map(|secret| secret.get("name")?.as_str());
    let given = profile.pull_secret.iter().map(|secret| secret.name.as_str());
    let fits = |name: &&str| profile.pull_secret.as_ref().is_none_or(|secret| secret.pattern.fits(name));
    let place = |name: &str| Place { namespace: namespace.to_owned(), name: name.to_owned() };
    named.filter(fits).chain(given).map(place).collect()
}

fn analysis(namespace: &str, object: &Value) -> Option<Use> {
    let analysis = AnalysisObject::read(object).ok()?;
    let secret = Place { namespace: namespace.to_owned(), name: format!("flame-harbor-{}", analysis.id) };
    Some(Use { image: analysis.spec.image, secrets: [secret].into(), ran_by: None })
}

/// The uid of the controller among an object's owners.
pub(super) fn owner(object: &Value) -> Option<String> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))?;
    owner.get("uid")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policies() -> PolicySet {
        PolicySet::parse([
            ("a", include_str!("../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../tests/fixtures/installation.yaml")),
        ])
        .unwrap()
    }

    fn pod(component: &str) -> Value {
        json!({
            "metadata": {"name": "p", "labels": {"component": component, "app": "analysis-1"},
                "ownerReferences": [{"uid": "o"}, {"uid": "rs", "controller": true}]},
            "spec": {
                "nodeName": "n",
                "containers": [{"image": "r/a"}, {}],
                "initContainers": [{"image": "r/b"}],
                "ephemeralContainers": [{"image": "r/c"}],
                "volumes": [{"emptyDir": {}}, {"image": {"reference": "r/d"}}],
                "imagePullSecrets": [{"name": "flame-harbor-0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f"}, {"name": "others"}],
            },
        })
    }

    #[test]
    fn every_place_that_can_name_an_image_is_looked_at() {
        let place = |name: &str| Place { namespace: "flame".to_owned(), name: name.to_owned() };
        let both = ["flame-harbor-0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f", "flame-harbor-credentials"].map(place);
        let of = |ran_by: Option<&str>| {
            let used = |image: &str| Use {
                image: image.to_owned(),
                secrets: both.clone().into(),
                ran_by: ran_by.map(str::to_owned),
            };
            ["r/a", "r/b", "r/c", "r/d"].map(used).to_vec()
        };
        let analysis = pod("flame-analysis");
        let mut waiting = analysis.clone();
        waiting["spec"].as_object_mut().unwrap().remove("nodeName");
        let template = json!({"spec": {"template": analysis}});
        let cron = json!({"spec": {"jobTemplate": {"spec": {"template": analysis}}}});
        let policies = policies();
        for (what, kind, object, want) in [
            ("a pod that runs", Kind::Pod, &analysis, of(Some("rs"))),
            ("one that waits", Kind::Pod, &waiting, of(None)),
            ("a workload", Kind::Deployment, &template, of(None)),
            ("a Job", Kind::Job, &template, of(None)),
            ("a CronJob", Kind::CronJob, &cron, of(None)),
            ("others' pod", Kind::Pod, &json!({"metadata": {}, "spec": {"containers": [{"image": "r/a"}]}}), vec![]),
            ("no template", Kind::Deployment, &json!({"spec": {}}), vec![]),
        ] {
            assert_eq!(uses(kind, "flame", object, &policies), want, "{what}");
        }
    }

    #[test]
    fn an_analysis_s_image_is_had_by_its_own_secret() {
        let id = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
        let object = json!({
            "metadata": {"name": id, "namespace": "flame", "resourceVersion": "1"},
            "spec": {"projectId": id, "image": "r/a:1"},
        });
        let secret = Place { namespace: "flame".to_owned(), name: format!("flame-harbor-{id}") };
        let want = Use { image: "r/a:1".to_owned(), secrets: [secret].into(), ran_by: None };
        assert_eq!(uses(Kind::Analysis, "flame", &object, &policies()), [want]);
    }
}
