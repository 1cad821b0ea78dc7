//! What belongs to an analysis that is not there: FLAME's zombies.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::cluster::Kind;
use crate::model::{AnalysisId, labels};

/// An object that is labelled as an analysis's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Labelled {
    /// Its kind.
    pub(super) kind: Kind,
    /// Its name.
    pub(super) name: String,
    /// Its uid, so that no other is deleted under its name.
    pub(super) uid: String,
    analysis: AnalysisId,
    made: Timestamp,
    is_owned: bool,
    is_controlled: bool,
    goes: bool,
}

/// What is to be deleted, and how many policies have to wait for pods.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Leftovers {
    /// What goes now.
    pub(super) go: Vec<Labelled>,
    /// Policies whose pods are there still: without them the pods would be open.
    pub(super) wait: usize,
}

impl Labelled {
    /// Reads an object's metadata; none where it is not an analysis's by its label, or is the guard's to delete.
    pub(super) fn read(kind: Kind, object: &Value) -> Option<Self> {
        let metadata = object.get("metadata")?;
        let label = |key: &str| metadata.get("labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
        let text = |key: &str| metadata.get(key).and_then(Value::as_str);
        if label(labels::ISOLATES).is_some() {
            return None;
        }
        Some(Labelled {
            kind,
            name: text("name")?.to_owned(),
            uid: text("uid")?.to_owned(),
            analysis: label(labels::ANALYSIS)?.parse().ok()?,
            made: text("creationTimestamp")?.parse().ok()?,
            is_owned: metadata
                .get("ownerReferences")
                .and_then(Value::as_array)
                .is_some_and(|owners| !owners.is_empty()),
            is_controlled: controlled(metadata),
            goes: text("deletionTimestamp").is_some(),
        })
    }

    fn is_gateways(&self) -> bool {
        self.name.starts_with(labels::GATEWAY_PREFIX)
    }
}

/// What of all that is labelled belongs to none of the analyses that are there.
pub(super) fn leftovers(found: Vec<Labelled>, there: &BTreeSet<AnalysisId>, now: Timestamp) -> Leftovers {
    let stray: Vec<Labelled> = found.into_iter().filter(|one| !there.contains(&one.analysis)).collect();
    let run: BTreeSet<AnalysisId> = stray.iter().filter(|one| one.kind == Kind::Pod).map(|one| one.analysis).collect();
    let mut leftovers = Leftovers::default();
    for one in stray {
        // What has a controller comes again unless that goes, and goes with it.
        let is_anothers = one.goes || one.is_controlled;
        // Who asks for an analysis by hand writes its Secrets first.
        let is_early = one.kind == Kind::Secret && !one.is_owned && now.duration_since(one.made) < EARLY;
        match one.kind {
            Kind::NetworkPolicy if !one.goes && run.contains(&one.analysis) => leftovers.wait += 1,
            _ if is_anothers || is_early => {}
            _ => leftovers.go.push(one),
        }
    }
    leftovers
}

/// What is told of them: a line for each kind, as FLAME has them, and one for Secrets.
pub(super) fn text(leftovers: &Leftovers) -> String {
    let count = |kind: Kind, gateways: Option<bool>| {
        let counted =
            |one: &&Labelled| one.kind == kind && gateways.is_none_or(|gateways| one.is_gateways() == gateways);
        leftovers.go.iter().filter(counted).count()
    };
    let mut lines = Vec::new();
    for (kind, word) in [(Kind::Deployment, "deployments"), (Kind::Pod, "pods"), (Kind::Service, "services")] {
        lines.push((count(kind, Some(false)), word.to_owned()));
        lines.push((count(kind, Some(true)), format!("nginx-{word}")));
    }
    for (kind, word) in [
        (Kind::NetworkPolicy, "networkpolicys"),
        (Kind::ConfigMap, "configmaps"),
        (Kind::Secret, "secrets"),
        (Kind::ReplicaSet, "replicasets"),
    ] {
        lines.push((count(kind, None), word.to_owned()));
    }
    let mut text: String = lines.into_iter().map(|(count, word)| format!("Deleted {count} zombie {word}\n")).collect();
    if leftovers.wait > 0 {
        text += &format!("Left {} zombie networkpolicys until their pods are gone\n", leftovers.wait);
    }
    text
}

fn controlled(metadata: &Value) -> bool {
    let owners = metadata.get("ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

/// What may be labelled as an analysis's: what runs first, then what it needs.
pub(super) const KINDS: [Kind; 7] =
    [Kind::Deployment, Kind::ReplicaSet, Kind::Pod, Kind::Service, Kind::ConfigMap, Kind::Secret, Kind::NetworkPolicy];
const EARLY: SignedDuration = SignedDuration::from_mins(10);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::orchestrator::testing::{ID, PROJECT};

    const NOW: &str = "2026-11-21T12:00:00Z";

    /// An object as it is stored, made an hour ago.
    fn object(name: &str, change: &[(&str, Value)]) -> Value {
        let mut metadata = json!({
            "name": name, "uid": format!("uid-{name}"), "creationTimestamp": "2026-11-21T11:00:00Z",
            "labels": {"flamewarden.dev/analysis": ID},
        });
        for (key, value) in change {
            metadata[*key] = value.clone();
        }
        json!({"metadata": metadata})
    }

    fn names(objects: &[(Kind, Value)], there: &[&str]) -> (Vec<String>, usize) {
        let found = objects.iter().filter_map(|(kind, object)| Labelled::read(*kind, object)).collect();
        let there = there.iter().map(|id| id.parse().unwrap()).collect();
        let Leftovers { go, wait } = leftovers(found, &there, NOW.parse().unwrap());
        (go.into_iter().map(|one| format!("{:?} {}", one.kind, one.name)).collect(), wait)
    }

    #[test]
    fn what_belongs_to_an_analysis_that_is_there_stays_and_the_rest_goes_policies_after_their_pods() {
        let deployment = (Kind::Deployment, object("analysis", &[]));
        let policy = (Kind::NetworkPolicy, object("policy", &[]));
        let owner = |controls: bool| json!([{"kind": "X", "name": "x", "uid": "u", "controller": controls}]);
        let pod = |owners: Value| (Kind::Pod, object("pod", &[("ownerReferences", owners)]));
        let going = [("deletionTimestamp", json!(NOW))];
        let nothing: (&[&str], usize) = (&[], 0);
        for (objects, there, (go, wait)) in [
            (vec![deployment.clone(), policy.clone()], vec![ID], nothing),
            (
                vec![deployment.clone(), policy.clone()],
                vec![PROJECT],
                (&["Deployment analysis", "NetworkPolicy policy"], 0),
            ),
            (vec![deployment.clone()], vec![], (&["Deployment analysis"], 0)),
            // Its policy waits for the pod, whoever takes that away.
            (vec![policy.clone(), pod(owner(true))], vec![], (&[], 1)),
            (vec![policy.clone(), pod(json!([]))], vec![], (&["Pod pod"], 1)),
            (vec![policy, (Kind::Pod, object("pod", &going))], vec![], (&[], 1)),
            (vec![(Kind::NetworkPolicy, object("policy", &going))], vec![], nothing),
            (vec![(Kind::ReplicaSet, object("set", &[("ownerReferences", owner(true))]))], vec![], nothing),
            (vec![(Kind::ReplicaSet, object("set", &[]))], vec![], (&["ReplicaSet set"], 0)),
            (vec![(Kind::ConfigMap, object("map", &going))], vec![], nothing),
            // What is labelled otherwise is nobody's that is known.
            (
                vec![(Kind::ConfigMap, object("map", &[("labels", json!({"flamewarden.dev/analysis": "x"}))]))],
                vec![],
                nothing,
            ),
            (vec![(Kind::ConfigMap, object("map", &[("labels", json!({}))]))], vec![], nothing),
            // The guard's own policies are the guard's to delete.
            (
                vec![(
                    Kind::NetworkPolicy,
                    object(
                        "own",
                        &[("labels", json!({"flamewarden.dev/analysis": ID, "flamewarden.dev/isolates": "a"}))],
                    ),
                )],
                vec![],
                nothing,
            ),
        ] {
            let want = (go.iter().map(|name| (*name).to_owned()).collect(), wait);
            assert_eq!(names(&objects, &there), want, "{objects:?} {there:?}");
        }
    }

    #[test]
    fn secrets_that_are_written_before_their_analysis_have_time() {
        let made = |minutes: i64, owners: Value| {
            let made = NOW.parse::<Timestamp>().unwrap() - SignedDuration::from_mins(minutes);
            vec![(
                Kind::Secret,
                object("s", &[("creationTimestamp", json!(made.to_string())), ("ownerReferences", owners)]),
            )]
        };
        let owner = json!([{"kind": "Analysis", "name": ID, "uid": "u"}]);
        for (objects, goes) in [
            (made(9, json!([])), false),
            (made(10, json!([])), true),
            (made(-5, json!([])), false),
            (made(1, owner), true),
        ] {
            assert_eq!(names(&objects, &[]).0.len() == 1, goes, "{objects:?}");
        }
    }

    #[test]
    fn what_is_told_are_flames_lines() {
        let read = |kind, name| Labelled::read(kind, &object(name, &[])).unwrap();
        let go = vec![
            read(Kind::Deployment, "analysis-x"),
            read(Kind::Deployment, "nginx-analysis-x"),
            read(Kind::Service, "nginx-analysis-x"),
            read(Kind::ConfigMap, "nginx-analysis-x-config"),
        ];
        let lines = "Deleted 1 zombie deployments\nDeleted 1 zombie nginx-deployments\nDeleted 0 zombie pods\n\
                     Deleted 0 zombie nginx-pods\nDeleted 0 zombie services\nDeleted 1 zombie nginx-services\n\
                     Deleted 0 zombie networkpolicys\nDeleted 1 zombie configmaps\nDeleted 0 zombie secrets\n\
                     Deleted 0 zombie replicasets\n";
        assert_eq!(text(&Leftovers { go: go.clone(), wait: 0 }), lines);
        let more = format!("{lines}Left 2 zombie networkpolicys until their pods are gone\n");
        assert_eq!(text(&Leftovers { go, wait: 2 }), more);
    }
}
