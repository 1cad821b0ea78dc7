//! Which images are to run: by name, by digest, and whose pods run them already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::indexes::repository;
use super::known::{Known, Tags};
use super::plan::digest_of;
use super::unused::is_own;
use crate::facts::Place;
use crate::model::{Digest, ImageRef};
use crate::policy::PolicySet;
use crate::registry::Reach;

/// What is to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Canonical names, with the pull secrets by which each can be had.
    pub(super) names: BTreeMap<String, BTreeSet<Place>>,
    /// Those of them that objects or settings ask for.
    pub(super) asked: Arc<BTreeSet<String>>,
    /// Digests of manifests and indexes: the repositories that each is asked for from, likewise.
    pub(super) images: BTreeMap<Digest, BTreeMap<String, BTreeSet<Place>>>,
    /// Whose pods run a digest.
    pub(super) ran_by: BTreeMap<Digest, BTreeSet<String>>,
}

/// What objects ask to run, what the orchestrator's settings name, and what others want to have scanned and was not yet.
pub(super) fn wanted(known: &Known, policies: &PolicySet, tags: &Tags<'_>) -> Wanted {
    let (mut wanted, reach) = (Wanted::default(), reach(policies));
    let beyond = beyond(known, &reach);
    for (_, used) in known.uses() {
        let Some(name) = canonical(&used.image, &reach).filter(|name| !beyond.contains(name)) else { continue };
        if let (Some(digest), Some(uid)) = (digest_of(&name), &used.ran_by) {
            wanted.ran_by.entry(digest).or_default().insert(uid.clone());
        }
        wanted.names.entry(name).or_default().extend(used.secrets.iter().cloned());
    }
    for (image, secrets) in own_images(policies) {
        if let Some(name) = canonical(&image, &reach) {
            wanted.names.entry(name).or_default().extend(secrets);
        }
    }
    wanted.asked = Arc::new(wanted.names.keys().cloned().collect());
    let unseen =
        known.scans().values().filter(|scan| scan.status.scanned_at.is_none() && scan.status.manifests.is_empty());
    for name in unseen.filter(|scan| !is_own(scan)).filter_map(|scan| canonical(&scan.image, &reach)) {
        wanted.names.entry(name).or_default();
    }
    for (name, secrets) in &wanted.names {
        let tagged = tags.get(name.as_str()).into_iter().flatten().map(|(_, scan)| scan.digest);
        for digest in tagged.chain(digest_of(name)) {
            let parts = known.scans().get(&digest).into_iter().flat_map(|scan| &scan.status.manifests);
            for image in parts.map(|part| part.digest).chain([digest]) {
                let places = wanted.images.entry(image).or_default();
                // That somebody has made an object for an image does not say that it is to be had there.
                if wanted.asked.contains(name) {
                    places.entry(repository(name).to_owned()).or_default().extend(secrets.iter().cloned());
                }
            }
        }
    }
    wanted
}

/// The names that are not looked up, since the objects of their namespaces ask for too many. What runs comes first, then
/// the first image of each object, the second of each, and so on: an object with many keeps out none with few.
pub(super) fn beyond(known: &Known, reach: &Reach) -> BTreeSet<String> {
    let mut images: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (namespace, used) in known.uses() {
        images.entry(namespace).or_default().insert(&used.image);
    }
    images.retain(|_, images| images.len() > MOST);
    // Nearly always.
    if images.is_empty() {
        return BTreeSet::new();
    }
    let mut ranks: BTreeMap<&str, BTreeMap<String, (bool, usize)>> = BTreeMap::new();
    for (namespace, uses) in known.objects() {
        let named = uses.iter().filter_map(|used| Some((canonical(&used.image, reach)?, used.ran_by.is_none())));
        for (place, (name, waits)) in named.enumerate() {
            let rank = ranks.entry(namespace).or_default().entry(name).or_insert((waits, place));
            *rank = (waits, place).min(*rank);
        }
    }
    let (mut beyond, mut within) = (BTreeSet::new(), BTreeSet::new());
    for names in ranks.into_values() {
        let mut names: Vec<((bool, usize), String)> = names.into_iter().map(|(name, rank)| (rank, name)).collect();
        names.sort();
        beyond.extend(names.split_off(names.len().min(MOST)).into_iter().map(|(_, name)| name));
        within.extend(names.into_iter().map(|(_, name)| name));
    }
    beyond.retain(|name| !within.contains(name));
    beyond
}

/// What the orchestrator makes of its own accord; its gateways are pulled as their profile says.
fn own_images(policies: &PolicySet) -> Vec<(String, BTreeSet<Place>)> {
    let Some(orchestrator) = &policies.orchestrator else { return Vec::new() };
    let secret = policies.gateway.pull_secret.iter();
    let secret = secret.map(|secret| Place { namespace: orchestrator.namespace.clone(), name: secret.name.clone() });
    let secrets: BTreeSet<Place> = secret.collect();
    let images = [Some(&orchestrator.gateway_image), orchestrator.network_statistics_image.as_ref()];
    images.into_iter().flatten().map(|image| (image.clone(), secrets.clone())).collect()
}

/// Which registries and repositories are asked for images: those that the Installation lets run, and no others.
pub(super) fn reach(policies: &PolicySet) -> Reach {
    let installation = &policies.installation;
    let images = installation.gateway_images.iter().chain(&installation.sidecar_images).cloned().collect();
    Reach { registries: installation.analysis_registries.clone(), images, ..Reach::default() }
}

/// The name under which an image is looked up; none where its registry is not asked, and it may not run anyway.
pub(super) fn canonical(image: &str, reach: &Reach) -> Option<String> {
    let image = ImageRef::parse(image).ok().filter(|image| reach.allows(image))?;
    let repository = format!("{}/{}", image.host, image.path());
    Some(image.digest.map_or_else(|| image.tagged(), |digest| format!("{repository}@{digest}")))
}

/// Each name may come to an ImageScan for every platform. Thirty analyses whose Deployments keep eleven revisions, of three
/// images each, name as many.
pub(super) const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::{Change, Kind};

    #[test]
    fn of_a_namespace_so_many_images_are_looked_up_first_those_that_run_and_of_each_object_the_first() {
        let policies = PolicySet::parse([
            ("a", include_str!("../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../tests/fixtures/installation.yaml")),
        ])
        .unwrap();
        let pod = |namespace: &str, name: &str, images: &[String], node: Option<&str>| {
            let containers: Vec<_> = images.iter().map(|image| json!({"image": image})).collect();
            let object = json!({
                "metadata": {"name": name, "labels": {"component": "flame-analysis", "app": "analysis-1"},
                    "ownerReferences": [{"uid": "rs", "controller": true}]},
                "spec": {"containers": containers, "nodeName": node},
            });
            Change::Seen(Place { namespace: namespace.to_owned(), name: name.to_owned() }, object)
        };
        let names = |prefix: &str, count: usize| {
            let name = |number| format!("harbor.example/node/{prefix}:{number:04}");
            (0..count).map(name).collect::<Vec<String>>()
        };
        let (many, few) = (names("a", 1000), names("z", 2));
        let beyond_of = |pods: Vec<Change>| {
            let mut known = Known::default();
            pods.into_iter().for_each(|pod| known.observe((Kind::Pod, "flame".to_owned(), pod), &policies));
            let beyond = beyond(&known, &reach(&policies));
            let wanted = wanted(&known, &policies, &Tags::new());
            assert!(beyond.iter().all(|name| !wanted.names.contains_key(name)));
            beyond.into_iter().collect::<Vec<String>>()
        };
        let all = || pod("flame", "a", &many, None);
        for (what, pods, want) in [
            ("as many as may be", vec![all()], vec![]),
            ("more in another namespace", vec![all(), pod("other", "z", &few, None)], vec![]),
            ("more", vec![all(), pod("flame", "z", &few, None)], many[998..].to_vec()),
            ("those run", vec![pod("flame", "a", &many, Some("n")), pod("flame", "z", &few, None)], few.clone()),
            (
                "another namespace has the room",
                vec![all(), pod("flame", "z", &few, None), pod("other", "y", &many[999..], None)],
                vec![many[998].clone()],
            ),
        ] {
            assert_eq!(beyond_of(pods), want, "{what}");
        }
    }

    #[test]
    fn what_the_installation_lets_run_is_looked_up_by_one_name_and_nothing_else_is() {
        let mut policies = PolicySet::parse([
            ("a", include_str!("../../policies/flame-analysis.yaml")),
            ("g", include_str!("../../policies/flame-gateway.yaml")),
            ("i", include_str!("../../tests/fixtures/installation.yaml")),
        ])
        .unwrap();
        policies.installation.gateway_images = vec!["nginx:1.29.8".to_owned()];
        policies.installation.sidecar_images = vec!["tools.example:5000/node/".to_owned()];
        let reach = reach(&policies);
        let digest = format!("sha256:{}", "ab".repeat(32));
        let pinned = format!("harbor.example/node/a@{digest}");
        for (image, want) in [
            ("harbor.example/node/a", Some("harbor.example/node/a:latest")),
            (format!("harbor.example/node/a:1@{digest}").as_str(), Some(pinned.as_str())),
            ("nginx:other", Some("docker.io/library/nginx:other")),
            ("tools.example:5000/node/stats:1", Some("tools.example:5000/node/stats:1")),
            ("tools.example:5001/node/stats:1", None),
            ("harbor.example/other/a", None),
            ("10.0.0.5:443/node/a:1", None),
            ("docker.io/library/alpine", None),
            ("no image", None),
        ] {
            assert_eq!(canonical(image, &reach).as_deref(), want, "{image}");
        }
    }
}
