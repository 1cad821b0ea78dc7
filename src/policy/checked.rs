//! Values of policy files that are checked while they are read, so that a fault is told with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::{Mode, Namespace, ResourceRule};
use crate::model::{ImageRef, registry_problem};

/// Guarded namespaces: at least one, each once, with names that namespaces can have.
pub(super) fn namespaces<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Namespace>, D::Error> {
    let namespaces = some(Vec::<Namespace>::deserialize(from)?, "namespaces", "name the namespace where analyses run")?;
    let mut seen = BTreeSet::new();
    for Namespace { name, .. } in &namespaces {
        if !is_label(name) {
            return Err(wrong(
                "namespaces",
                name,
                "is no name of a namespace; small letters, digits and `-`, at most 63",
            ));
        }
        if !seen.insert(name) {
            return Err(wrong("namespaces", name, "stands there twice; name it once, with one tenancy"));
        }
    }
    Ok(namespaces)
}

/// Registries, each a host or host and path.
pub(super) fn registries<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let registries =
        some(Vec::<String>::deserialize(from)?, "analysisRegistries", "name where analysis images come from")?;
    for registry in &registries {
        if let Some(problem) = registry_problem(registry) {
            return Err(wrong("registry", registry, problem));
        }
    }
    Ok(registries)
}

/// Images, each an exact reference, or everything below a path that ends in `/`.
pub(super) fn images<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let images =
        some(Vec::<String>::deserialize(from)?, "images", "name at least one, or leave the field out where it may be")?;
    for image in &images {
        if let Some(problem) = image_problem(image) {
            return Err(wrong("image", image, problem));
        }
    }
    Ok(images)
}

/// What is wrong with an entry of a list of images.
pub(super) fn image_problem(image: &str) -> Option<String> {
    match image.strip_suffix('/') {
        Some(folder) => registry_problem(folder).map(str::to_owned),
        None => ImageRef::parse(image).err().map(|problem| problem.to_string()),
    }
}

/// User names; at least one.
pub(super) fn users<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<String>, D::Error> {
    let users = some(Vec::<String>::deserialize(from)?, "users", "name at least one user")?;
    users.into_iter().map(checked_user).collect()
}

/// One user name.
pub(super) fn user<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    checked_user(String::deserialize(from)?)
}

fn checked_user<E: Error>(user: String) -> Result<String, E> {
    let problem = if user.is_empty() || user.contains(char::is_whitespace) {
        Some("must be the name of a user, as the API server knows it, without spaces")
    } else if user.contains('*') {
        Some("is compared as it is, a `*` matches nothing; name each user")
    } else if let Some(account) = user.strip_prefix("system:serviceaccount:") {
        let parts: Vec<&str> = account.split(':').collect();
        let fits = matches!(parts[..], [namespace, name] if is_label(namespace) && !name.is_empty());
        (!fits).then_some("is no service account; write system:serviceaccount:NAMESPACE:NAME")
    } else {
        None
    };
    match problem {
        Some(problem) => Err(wrong("user", &user, problem)),
        None => Ok(user),
    }
}

/// The resources that a user's rule judges; at least one, each of a kind that can be sent.
pub(super) fn resource_rules<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ResourceRule>, D::Error> {
    let rules = some(
        Vec::<ResourceRule>::deserialize(from)?,
        "resourceRules",
        "name what the rule judges, or leave matchConstraints out for guarded pods",
    )?;
    match rules.iter().find_map(ResourceRule::problem) {
        Some(problem) => Err(D::Error::custom(problem)),
        None => Ok(rules),
    }
}

/// The modes of rules, all of them built in and none of a rule that always enforces.
pub(super) fn modes<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Mode>, D::Error> {
    let modes = BTreeMap::<Softened, Mode>::deserialize(from)?;
    if let Some(rule) = modes.keys().find(|rule| !SOFTER.contains(&rule.0.as_str())) {
        let problem = "is no built-in rule; see policies/rules.md (the mode of a rule of your own stands in itself)";
        return Err(wrong("modes: rule", &rule.0, problem));
    }
    Ok(modes.into_iter().map(|(rule, mode)| (rule.0, mode)).collect())
}

/// The rule of an exception, which must not be one that always enforces.
pub(super) fn softened<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Softened::deserialize(from).map(|rule| rule.0)
}

/// The id of a rule that may be softened.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Softened(String);

impl<'de> Deserialize<'de> for Softened {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let rule = String::deserialize(from)?;
        if ALWAYS.contains(&rule.as_str()) {
            let problem =
                "always enforces, since isolation, gates and identity rest on it; leave it out of modes and exceptions";
            return Err(wrong("rule", &rule, problem));
        }
        Ok(Softened(rule))
    }
}

/// The rules that no mode and no exception softens; a test holds this against the rules themselves.
pub const ALWAYS: &[&str] = &[
    "identity",
    "labels",
    "image-scan",
    "network-gate",
    "grace-period",
    "host-namespaces",
    "request-form",
    "identity-change",
    "gate-lift",
    "isolation-finalizer",
    "owner-reference",
    "gateway-creator",
    "pod-status",
    "final-phase",
    "forced-deletion",
    "binding",
    "target-known",
    "analysis-writer",
    "analysis-status",
    "image-scan-writer",
    "image-scan-status",
    "service-creator",
    "service-shape",
    "service-status",
    "endpoints-writer",
    "isolation-policy",
    "network-policy",
];

/// All other built-in rules, which modes and exceptions may soften; the same test holds this against them.
pub const SOFTER: &[&str] = &[
    "containers",
    "fields",
    "privileged",
    "run-as-non-root",
    "capabilities",
    "privilege-escalation",
    "seccomp",
    "apparmor",
    "proc-mount",
    "read-only-root",
    "user-namespace",
    "runtime-class",
    "resources",
    "volumes",
    "env-sources",
    "image-registry",
    "image-digest",
    "image-pull-policy",
    "pull-secret",
    "ephemeral-containers",
    "host-ports",
    "container-ports",
    "probes",
    "dns",
    "service-account",
    "service-account-token",
    "service-links",
    "scheduling",
    "node-name",
    "annotations",
    "finalizers",
    "image-change",
    "analysis-image-label",
    "known-part",
    "connection",
    "service-account-token-request",
    "configuration-creator",
];

/// The value of a label, not empty.
pub(super) fn label_value<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let value = String::deserialize(from)?;
    let edge = |c: char| c.is_ascii_alphanumeric();
    let fits = value.len() <= 63 && value.starts_with(edge) && value.ends_with(edge);
    if fits && value.chars().all(|c| edge(c) || matches!(c, '-' | '_' | '.')) {
        return Ok(value);
    }
    let problem =
        "is no value that labels have: at most 63 letters, digits, `-`, `_`, `.`, with a letter or digit at both ends";
    Err(wrong("component", &value, problem))
}

/// A text that must say something.
pub(super) fn said<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.trim().is_empty() { Err(D::Error::custom("`owner` and `reason` must not be empty")) } else { Ok(text) }
}

/// A moment, with its time of day and zone.
pub(super) fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| wrong("expires", &text, "is no moment; write it like 2027-01-31T00:00:00Z"))
}

fn some<T, E: Error>(items: Vec<T>, field: &str, advice: &str) -> Result<Vec<T>, E> {
    if items.is_empty() { Err(E::custom(format!("{field}: the list is empty; {advice}"))) } else { Ok(items) }
}

pub(super) fn wrong<E: Error>(what: &str, value: &str, problem: impl Display) -> E {
    E::custom(format!("{what} `{value}` {problem}"))
}

/// A DNS label.
pub(crate) fn is_label(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-') && !text.ends_with('-')
}
