//! Pods and templates that no profile guards: analysis images among them, and strangers in a dedicated namespace.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use crate::model::{FieldPath, Finding, Hold, ImageRef, Json, PodView, Severity, labels};
use crate::policy::{PolicySet, Tenancy};
use crate::rules::rule::RequestRule;

pub(super) const IMAGE_LABEL: RequestRule = RequestRule {
    id: "analysis-image-label",
    title: "an image from the analysis registries runs only in a pod that bears the analysis label",
    why: "without the label no rule applies to the same untrusted code",
    severity: Severity::Critical,
    controls: &[],
    hold: Hold::AsProfileSays,
};

pub(in crate::rules) const KNOWN_PART: RequestRule = RequestRule {
    id: "known-part",
    title: "a dedicated namespace holds analyses, gateways and known parts made by creators, and nothing else",
    why: "a stranger next to analyses is outside every rule that contains them",
    severity: Severity::High,
    controls: &[],
    hold: Hold::AsProfileSays,
};

/// Whether somebody answers for what is being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rules) enum Maker {
    /// A creator, or a controller of Kubernetes that follows what a creator made.
    Trusted,
    /// Anybody else, by user name.
    Other(String),
}

/// What is wrong with a pod or template that no profile guards.
pub(in crate::rules) fn unlabelled_findings(
    pod: &PodView<'_>,
    policies: &PolicySet,
    tenancy: Tenancy,
    by: Maker,
) -> Vec<Finding> {
    let mut findings = analysis_images(pod, policies);
    if tenancy == Tenancy::Dedicated {
        findings.extend(stranger(pod, policies, by));
    }
    findings
}

/// Images of the analysis registries, in every place that can name one.
fn analysis_images(pod: &PodView<'_>, policies: &PolicySet) -> Vec<Finding> {
    let containers =
        pod.containers().filter_map(|container| Some((container.path(&["image"]), container.at(&["image"])?)));
    let volumes = pod.spec("volumes").map_or(&[][..], |list| list.items()).iter().enumerate();
    let volumes = volumes.filter_map(|(index, volume)| {
        let image = volume.at(&["image", "reference"])?;
        Some((pod.spec_path("volumes").index(index).keys(&["image", "reference"]), image))
    });
    let registries = &policies.installation.analysis_registries;
    let message = format!("label the pod `{}: {}`", labels::COMPONENT, policies.analysis.guards.component);
    containers
        .chain(volumes)
        .filter(|(_, image)| image.text().is_some_and(|text| registries.iter().any(|at| lies_in(text, at))))
        .map(|(path, image)| IMAGE_LABEL.finds(path, Some(image), message.clone()))
        .collect()
}

/// Whether an image lies in a registry (host, or host and path), however its host is written.
///
/// A rule that lets images through asks for the one canonical form; this one keeps them out,
/// so it also knows the forms that lead to the same registry.
fn lies_in(image: &str, registry: &str) -> bool {
    if ImageRef::parse(image).is_ok_and(|image| image.is_below(registry)) {
        return true;
    }
    let (image, registry) = (plain(image), plain(registry));
    image.strip_prefix(registry.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
}

/// An image or registry with its host written in one way.
fn plain(text: &str) -> String {
    let (place, rest) = text.split_once('/').unwrap_or((text, ""));
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (place, ""),
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')?.parse::<Ipv6Addr>().ok());
    let host = address.map_or(host, |address| format!("[{address}]"));
    match port.trim_start_matches('0') {
        "" | "443" => format!("{host}/{rest}"),
        port => format!("{host}:{port}/{rest}"),
    }
}

fn stranger(pod: &PodView<'_>, policies: &PolicySet, by: Maker) -> Option<Finding> {
    let component = pod.at(&["metadata", "labels", labels::COMPONENT]);
    let known =
        component.and_then(Json::text).is_some_and(|name| policies.installation.known_components.contains(name));
    match by {
        _ if !known => {
            let message = "this namespace holds analyses, gateways and the installation's `knownComponents` only";
            Some(KNOWN_PART.finds(pod.path(&["metadata", "labels", labels::COMPONENT]), component, message))
        }
        Maker::Other(user) => {
            let message = "known parts of this namespace are made and changed by the installation's creators only";
            let user = Json::String(Cow::Owned(user));
            Some(KNOWN_PART.finds(FieldPath::of(&["userInfo", "username"]), Some(&user), message))
        }
        Maker::Trusted => None,
    }
}
