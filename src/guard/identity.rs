//! Edge: looks up whose the pods of an identity are, and who is remembered as its holder.

use std::collections::BTreeMap;

use super::makeup::{Made, Makeup};
use super::owner::{Over, OwnedPod, Owner, by_its_pods};
use crate::cluster::{Cluster, ClusterProblem, Kind, List};
use crate::facts::Place;
use crate::model::{Json, Keep, parse, part};

/// Every pod of an identity that has not ended, with its topmost owner. One is held at a time.
pub(super) async fn owned(
    cluster: &Cluster,
    namespace: &str,
    selector: &str,
) -> Result<Result<Vec<OwnedPod>, Unreadable>, ClusterProblem> {
    let mut found = Vec::new();
    let mut unreadable = false;
    let mut keep = |pod: &Json<'_>| {
        if !has_ended(pod) {
            found.push((OwnedPod::new(pod, Owner::of(pod), Made::ByItsOwner), Makeup::of(pod)));
        }
    };
    let read = |text: &[u8]| match (parse(text), part(text, &["metadata"], OWNERS)) {
        (Ok(pod), _) => keep(&pod),
        // One of which the end is missing waits for nothing, as far as anybody can see.
        (Err(_), Some(metadata)) => keep(&Json::Object(vec![("metadata".into(), metadata)])),
        (Err(_), None) => unreadable = true,
    };
    cluster.each_part(List { kind: Kind::Pod, namespace, labels: selector, fields: "" }, OWNED, read).await?;
    if unreadable {
        return Ok(Err(Unreadable));
    }
    let mut known: BTreeMap<String, Over> = BTreeMap::new();
    let mut owned = Vec::new();
    for (pod, makeup) in found {
        if pod.owner.kind == Some(Kind::Pod) {
            owned.push(pod);
            continue;
        }
        let over = match known.remove(&pod.owner.uid) {
            Some(over) => over,
            None => over(cluster, namespace, pod.owner.clone()).await?,
        };
        let uid = pod.owner.uid.clone();
        owned.push(OwnedPod { owner: over.owner.clone(), made: over.made(&makeup), ..pod });
        known.insert(uid, over);
    }
    Ok(Ok(owned))
}

/// Whose a pod is cannot be seen.
pub(super) struct Unreadable;

/// What has ended holds nothing; only kubelets and the controllers of nodes can say that it has.
fn has_ended(pod: &Json<'_>) -> bool {
    matches!(pod.text_at(&["status", "phase"]), Some("Succeeded" | "Failed"))
}

/// What says whose a pod is, whether it waits, and what runs in it.
const OWNED: Keep = &[
    &["metadata", "name"],
    &["metadata", "uid"],
    &["metadata", "creationTimestamp"],
    &["metadata", "ownerReferences"],
    &["spec", "initContainers"],
    &["spec", "containers"],
    &["spec", "schedulingGates"],
    &["status", "phase"],
];
/// The most values of that metadata.
const OWNERS: usize = 10_000;

async fn over(cluster: &Cluster, namespace: &str, owner: Owner) -> Result<Over, ClusterProblem> {
    let text = read(cluster, namespace, &owner).await?.unwrap_or_default();
    let object = parse(text.as_bytes()).ok();
    let top = match object.as_ref().and_then(|object| owner.above(object)) {
        Some(above) => read(cluster, namespace, &above).await?.unwrap_or_default(),
        None => String::new(),
    };
    Ok(owner.over_pods(object.as_ref(), parse(top.as_bytes()).ok().as_ref()))
}

/// An owner as it stands; none where it is gone, or of a kind that nobody knows. Of what is too large it is known only
/// that it is there.
async fn read(cluster: &Cluster, namespace: &str, owner: &Owner) -> Result<Option<String>, ClusterProblem> {
    let Some(kind) = owner.kind else { return Ok(None) };
    match cluster.read_part(kind, &place(namespace, &owner.name), OWNER, MOST).await {
        Err(ClusterProblem::Large { .. }) => Ok(Some(String::new())),
        read => read,
    }
}

/// What says which owner an object is, whose it is in turn, and what it makes.
const OWNER: Keep = &[
    &["metadata", "uid"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "ownerReferences"],
    &["spec", "template", "spec", "initContainers"],
    &["spec", "template", "spec", "containers"],
];
const MOST: usize = 1 << 20;

/// Whether an owner is there: it stands where it stood, or a pod of its runs on.
pub(super) async fn is_there(
    cluster: &Cluster,
    namespace: &str,
    owner: &Owner,
    pods: &[OwnedPod],
) -> Result<bool, ClusterProblem> {
    let (None, Some(_)) = (by_its_pods(pods, owner), owner.kind) else {
        return Ok(by_its_pods(pods, owner) == Some(true));
    };
    let Some(text) = read(cluster, namespace, owner).await? else { return Ok(false) };
    // What cannot be read is there.
    Ok(parse(text.as_bytes()).map_or(true, |object| owner.is(&object)))
}

/// The annotation by which the first of these policies that has one remembers its holder.
pub(super) async fn remembered(
    cluster: &Cluster,
    namespace: &str,
    policies: impl Iterator<Item = &String>,
) -> Result<Option<Owner>, ClusterProblem> {
    for name in policies {
        let text = cluster.read(Kind::NetworkPolicy, &place(namespace, name)).await?.unwrap_or_default();
        if let Some(owner) = parse(text.as_bytes()).ok().as_ref().and_then(Owner::remembered) {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

fn place(namespace: &str, name: &str) -> Place {
    Place { namespace: namespace.to_owned(), name: name.to_owned() }
}
