//! Edge: looks up whose the pods of an identity are, and who is remembered as its holder.

use super::owner::{OwnedPod, Owner, by_its_pods};
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
    // What has ended holds nothing; only kubelets and the controllers of nodes can say that it has.
    let ended = |pod: &&Json<'_>| matches!(pod.text_at(&["status", "phase"]), Some("Succeeded" | "Failed"));
    for pod in items.iter().filter(|pod| !ended(pod)) {
        owned.push(OwnedPod::new(pod, topmost(cluster, namespace, Owner::of(pod)).await?));
    }
    Ok(owned)
}

async fn topmost(cluster: &Cluster, namespace: &str, owner: Owner) -> Result<Owner, ClusterProblem> {
    let Some(kind) = owner.kind.filter(|_| owner.may_be_under().is_some()) else { return Ok(owner) };
    let text = cluster.read(kind, &place(namespace, &owner.name)).await?.unwrap_or_default();
    Ok(match parse(text.as_bytes()) {
        Ok(object) => owner.topmost(&object),
        Err(_) => owner,
    })
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
