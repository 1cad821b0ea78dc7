//! In which indexes an image was found, as the controller has looked them up: whoever signed such an index signed it too.

use std::collections::BTreeMap;

use super::known::Known;
use super::wanted::Wanted;
use crate::model::{Digest, ImageScanObject};

/// The indexes of its own repository that each manifest is in; of very many those that are used, the oldest first. That
/// an index names the manifest still has to be read from its bytes.
pub(super) fn indexes(known: &Known, wanted: &Wanted) -> BTreeMap<Digest, Vec<Digest>> {
    let mut found: BTreeMap<Digest, Vec<&ImageScanObject>> = BTreeMap::new();
    for scan in known.scans().values() {
        for part in &scan.status.manifests {
            let part = known.scans().get(&part.digest);
            if let Some(part) = part.filter(|part| repository(&part.image) == repository(&scan.image)) {
                found.entry(part.digest).or_default().push(scan);
            }
        }
    }
    let ordered = |mut all: Vec<&ImageScanObject>| {
        all.sort_by_key(|scan| (!wanted.images.contains_key(&scan.digest), scan.created, scan.digest));
        all.into_iter().map(|scan| scan.digest).take(MOST).collect()
    };
    found.into_iter().map(|(part, all)| (part, ordered(all))).collect()
}

/// The repository of a canonical name, with a digest or a tag.
pub(super) fn repository(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    match name.rsplit_once(':') {
        // A port stands before a path.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// Whoever may push and deploy could have an image found in any number of them, and each is asked for.
const MOST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_a_name_without_tag_and_digest() {
        for (name, want) in [
            ("r.example/a/b:1", "r.example/a/b"),
            ("r.example:5000/a/b", "r.example:5000/a/b"),
            ("r.example:5000/a/b:1", "r.example:5000/a/b"),
            ("r.example:5000/a/b@sha256:00", "r.example:5000/a/b"),
        ] {
            assert_eq!(repository(name), want);
        }
    }
}
