//! Which images of an index the cluster's nodes may choose.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::{ImageScanObject, Keep, PlatformManifest};

/// Of a node.
pub(super) const KEPT: Keep = &[
    &["metadata", "name"],
    &["metadata", "resourceVersion"],
    &["metadata", "labels", OS],
    &["metadata", "labels", ARCHITECTURE],
];

/// What a node runs on, as `linux/amd64`, by the labels that its kubelet gives it.
pub(super) fn of_node(node: &Value) -> Option<String> {
    let label = |key: &str| node.pointer("/metadata/labels")?.get(key)?.as_str();
    Some(format!("{}/{}", label(OS)?, label(ARCHITECTURE)?))
}

/// Those that nodes of these platforms may choose, and the others.
pub(super) fn fitting(
    manifests: impl IntoIterator<Item = PlatformManifest>,
    nodes: &BTreeSet<String>,
) -> (Vec<PlatformManifest>, Vec<PlatformManifest>) {
    manifests.into_iter().partition(|one| runs_on(&one.platform, nodes))
}

/// The same of an index that is stored, where its nodes are others now than when that was written. Where none fits it
/// stays as it is: what nothing is needed of would have passed.
pub(super) fn fitted(
    scan: &ImageScanObject,
    nodes: &BTreeSet<String>,
) -> Option<(Vec<PlatformManifest>, Vec<PlatformManifest>)> {
    let (here, elsewhere) = (&scan.status.manifests, &scan.status.other_manifests);
    let stays = here.iter().all(|one| runs_on(&one.platform, nodes))
        && !elsewhere.iter().any(|one| runs_on(&one.platform, nodes));
    if here.is_empty() || stays {
        return None;
    }
    Some(fitting(here.iter().chain(elsewhere).cloned(), nodes)).filter(|(here, _)| !here.is_empty())
}

/// Why an index can run nowhere.
pub(super) fn none_fits(given: &[PlatformManifest], nodes: &BTreeSet<String>) -> String {
    let given: Vec<&str> = given.iter().map(|one| one.platform.as_str()).collect();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    format!(
        "the image is for {}, and the cluster's nodes are {}; push it for one of these",
        given.join(", "),
        nodes.join(", ")
    )
}

/// Whether a node may choose an image of a platform. Variants are left to the node, and so are the older architectures
/// that its processor knows: containerd's `platforms` takes these where an index has nothing better.
fn runs_on(platform: &str, nodes: &BTreeSet<String>) -> bool {
    let mut parts = platform.split('/');
    let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let known = match architecture {
        "386" => "amd64",
        "arm" => "arm64",
        same => same,
    };
    [architecture, known].into_iter().any(|architecture| nodes.contains(&format!("{os}/{architecture}")))
}

const OS: &str = "kubernetes.io/os";
const ARCHITECTURE: &str = "kubernetes.io/arch";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nodes(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_node_runs_its_own_platform_with_its_variants_and_older_ones() {
        for (platform, node, want) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64/v2", "linux/amd64", true),
            ("linux/386", "linux/amd64", true),
            ("linux/arm/v7", "linux/arm64", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64", "linux/arm", false),
            ("linux/arm64", "linux/amd64", false),
            ("windows/amd64", "linux/amd64", false),
            ("linux", "linux/amd64", false),
        ] {
            assert_eq!(runs_on(platform, &nodes(&[node])), want, "{platform} {node}");
        }
        assert!(runs_on("linux/arm64", &nodes(&["linux/amd64", "linux/arm64"])));
        assert!(!runs_on("linux/amd64", &nodes(&[])));
    }

    #[test]
    fn a_nodes_platform_stands_in_its_labels() {
        let labels = json!({"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"});
        assert_eq!(of_node(&json!({"metadata": {"labels": labels}})).as_deref(), Some("linux/arm64"));
        assert_eq!(of_node(&json!({"metadata": {"labels": {"kubernetes.io/os": "linux"}}})), None);
    }

    #[test]
    fn an_index_fits_the_nodes_that_there_are_and_is_never_left_without_any() {
        let digits = "ab".repeat(32);
        let one = |platform: &str| json!({"digest": format!("sha256:{digits}"), "platform": platform});
        let named = |all: &[PlatformManifest]| all.iter().map(|one| one.platform.clone()).collect::<Vec<_>>();
        let stored = |here: &[&str], others: &[&str]| {
            let of = |names: &[&str]| names.iter().map(|name| one(name)).collect::<Vec<_>>();
            let object = json!({
                "metadata": {"name": format!("sha256-{digits}")},
                "spec": {"image": format!("r.example/a@sha256:{digits}")},
                "status": {"manifests": of(here), "otherManifests": of(others)},
            });
            ImageScanObject::read(&object).unwrap()
        };
        let (amd, arm, both) = (&["linux/amd64"][..], &["linux/arm64"][..], &["linux/amd64", "linux/arm64"][..]);
        for (what, here, others, there, want) in [
            ("as it was", amd, arm, amd, None),
            ("a node of another platform comes", amd, arm, both, Some((both, &[][..]))),
            ("one that it is not for", amd, &["windows/amd64"][..], both, None),
            ("it goes", both, &[][..], amd, Some((amd, arm))),
            ("other nodes alone", amd, arm, arm, Some((arm, amd))),
            ("no node that it is for", amd, arm, &["linux/s390x"][..], None),
            ("no index", &[][..], &[][..], both, None),
        ] {
            let found = fitted(&stored(here, others), &nodes(there));
            let found = found.map(|(here, others)| (named(&here), named(&others)));
            let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            assert_eq!(found, want.map(|(here, others)| (named(here), named(others))), "{what}");
        }
    }
}
