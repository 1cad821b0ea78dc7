//! Edge: looks up whose the pods of an identity are, and who is remembered as its holder.

use std::collections::BTreeMap;

use super::makeup::{Made, Makeup};
use super::owner::{Over, OwnedPod, Owner, by_its_pods};
use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::model::{Json, parse};

/// Every pod of a list that has not ended, with its topmost owner.
pub(super) async fn owned(
    cluster: &Cluster,
    namespace: &str,
    list: &Json<'_>,
) -> Result<Vec<OwnedPod>, ClusterProblem> {
    let items = list.get("items").map_or(&[][..], |items| items.items());
    let mut owned = Vec::new();
    let mut known: BTreeMap<String, Over> = BTreeMap::new();
    // What has ended holds nothing; only kubelets and the controllers of nodes can say that it has.
    let ended = |pod: &&Json<'_>| matches!(pod.text_at(&["status", "phase"]), Some("Succeeded" | "Failed"));
    for pod in items.iter().filter(|pod| !ended(pod)) {
        let owner = Owner::of(pod);
        if owner.kind == Some(Kind::Pod) {
            owned.push(OwnedPod::new(pod, owner, Made::ByItsOwner));
            continue;
        }
        let over = match known.get(&owner.uid) {
            Some(over) => over.clone(),
            None => over(cluster, namespace, owner.clone()).await?,
        };
        owned.push(OwnedPod::new(pod, over.owner.clone(), over.made(Makeup::of(pod))));
        known.insert(owner.uid, over);
    }
    Ok(owned)
}

async fn over(cluster: &Cluster, namespace: &str, owner: Owner) -> Result<Over, ClusterProblem> {
    let text = read(cluster, namespace, &owner).await?;
    let object = parse(text.as_bytes()).ok();
    let top = match object.as_ref().and_then(|object| owner.above(object)) {
        Some(above) => read(cluster, namespace, &above).await?,
        None => String::new(),
    };
    Ok(owner.over_pods(object.as_ref(), parse(top.as_bytes()).ok().as_ref()))
}

/// An owner as it stands; nothing where it is gone, or of a kind that nobody knows.
async fn read(cluster: &Cluster, namespace: &str, owner: &Owner) -> Result<String, ClusterProblem> {
    let Some(kind) = owner.kind else { return Ok(String::new()) };
    Ok(cluster.read(kind, &place(namespace, &owner.name)).await?.unwrap_or_default())
}

/// Whether an owner is there: it stands where it stood, or a pod of its runs on.
pub(super) async fn is_there(
    cluster: &Cluster,
    namespace: &str,
    owner: &Owner,
    pods: &[OwnedPod],
) -> Result<bool, ClusterProblem> {
    let (None, Some(kind)) = (by_its_pods(pods, owner), owner.kind) else {
        return Ok(by_its_pods(pods, owner) == Some(true));
    };
    let Some(text) = cluster.read(kind, &place(namespace, &owner.name)).await? else { return Ok(false) };
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
