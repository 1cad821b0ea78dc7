//! Which images are to run: by name, by digest, and whose pods run them already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::known::{Known, Tags};
use super::plan::digest_of;
use super::unused::is_own;
use crate::facts::Place;
use crate::model::{Digest, ImageRef};
use crate::policy::PolicySet;

/// What is to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Canonical names, with the pull secrets by which each can be had.
    pub(super) names: BTreeMap<String, BTreeSet<Place>>,
    /// Those of them that objects or settings ask for.
    pub(super) asked: Arc<BTreeSet<String>>,
    /// Digests of manifests and indexes, likewise.
    pub(super) images: BTreeMap<Digest, BTreeSet<Place>>,
    /// Whose pods run a digest.
    pub(super) ran_by: BTreeMap<Digest, BTreeSet<String>>,
}

/// What objects ask to run, what the orchestrator's settings name, and what others want to have scanned and was not yet.
pub(super) fn wanted(known: &Known, policies: &PolicySet, tags: &Tags<'_>) -> Wanted {
    let mut wanted = Wanted::default();
    for used in known.uses() {
        let Some(name) = canonical(&used.image, policies) else { continue };
        if let (Some(digest), Some(uid)) = (digest_of(&name), &used.ran_by) {
            wanted.ran_by.entry(digest).or_default().insert(uid.clone());
        }
        wanted.names.entry(name).or_default().extend(used.secrets.iter().cloned());
    }
    for (image, secrets) in own_images(policies) {
        if let Some(name) = canonical(&image, policies) {
            wanted.names.entry(name).or_default().extend(secrets);
        }
    }
    wanted.asked = Arc::new(wanted.names.keys().cloned().collect());
    let unseen =
        known.scans().values().filter(|scan| scan.status.scanned_at.is_none() && scan.status.manifests.is_empty());
    for name in unseen.filter(|scan| !is_own(scan)).filter_map(|scan| canonical(&scan.image, policies)) {
        wanted.names.entry(name).or_default();
    }
    for (name, secrets) in &wanted.names {
        let tagged = tags.get(name.as_str()).into_iter().flatten().map(|(_, scan)| scan.digest);
        for digest in tagged.chain(digest_of(name)) {
            let parts = known.scans().get(&digest).into_iter().flat_map(|scan| &scan.status.manifests);
            for image in parts.map(|part| part.digest).chain([digest]) {
                wanted.images.entry(image).or_default().extend(secrets.iter().cloned());
            }
        }
    }
    wanted
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

/// The name under which an image is looked up; none where it may not run anyway.
pub(super) fn canonical(image: &str, policies: &PolicySet) -> Option<String> {
    let image = ImageRef::parse(image).ok()?;
    let installation = &policies.installation;
    let mut listed = installation.gateway_images.iter().chain(&installation.sidecar_images);
    let is_allowed = installation.analysis_registries.iter().any(|registry| image.is_below(registry))
        || listed.any(|entry| is_of(&image, entry));
    let repository = format!("{}/{}", image.host, image.path());
    is_allowed.then(|| image.digest.map_or_else(|| image.tagged(), |digest| format!("{repository}@{digest}")))
}

/// Whether an image lies below an entry of a list, or in its repository: which of its tags may run is the rules' to say.
pub(super) fn is_of(image: &ImageRef<'_>, entry: &str) -> bool {
    let same = |entry: ImageRef<'_>| (entry.host, entry.path()) == (image.host, image.path());
    if entry.ends_with('/') { image.is_below(entry) } else { ImageRef::parse(entry).is_ok_and(same) }
}
