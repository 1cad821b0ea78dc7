//! Whether a selector could match a guarded pod that could exist.

use std::collections::BTreeSet;

use super::selector::{Present, Selector, Values};
use crate::model::{Json, labels};
use crate::policy::Profile;

/// The guarded pods that a selector could match, by the value of their label `app`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Apps {
    /// None that could exist.
    None,
    /// At most those with one of these values.
    Only(BTreeSet<String>),
    /// Endlessly many, or nobody knows.
    Any,
}

/// The profile's pods that a LabelSelector could match. Absent is empty, which matches all.
pub fn could_match(selector: Option<&Json<'_>>, profile: &Profile) -> Apps {
    matched_apps(&Selector::read(selector), profile)
}

/// The profile's pods that a plain map of labels could match. A Service without one selects nothing.
pub fn could_match_map(map: Option<&Json<'_>>, profile: &Profile) -> Apps {
    match map {
        Some(Json::Object(labels)) if labels.is_empty() => Apps::None,
        None => Apps::None,
        _ => matched_apps(&Selector::read_map(map), profile),
    }
}

impl Apps {
    /// Whether no guarded pod could be matched.
    pub fn is_none(&self) -> bool {
        *self == Apps::None
    }

    /// The one value of `app`, where there is exactly one.
    pub fn single(&self) -> Option<&str> {
        match self {
            Apps::Only(apps) if apps.len() == 1 => apps.first().map(String::as_str),
            _ => None,
        }
    }
}

/// The profile's pods have the fixed `component`, an `app` of its pattern (taken as endless),
/// perhaps the other known keys with any value, and no other key.
pub(super) fn matched_apps(selector: &Selector, profile: &Profile) -> Apps {
    let Some(terms) = selector.terms() else { return Apps::Any };
    let other_keys = terms.iter().filter(|(key, _)| key.as_str() != labels::APP);
    let mut could = other_keys.map(|(key, values)| could_have(key, values, profile));
    if !could.all(|possible| possible) {
        return Apps::None;
    }
    let Some(Present::Only(apps)) = terms.get(labels::APP).map(Values::present) else { return Apps::Any };
    let fitting: BTreeSet<_> = apps.iter().filter(|app| profile.analysis_of(app).is_some()).cloned().collect();
    if fitting.is_empty() { Apps::None } else { Apps::Only(fitting) }
}

fn could_have(key: &str, values: &Values, profile: &Profile) -> bool {
    if key == labels::COMPONENT {
        return values.accept(Some(&profile.guards.component));
    }
    let known = profile.metadata.labels.iter().any(|label| label == key);
    values.accept(None) || (known && !values.is_never_present())
}

/// The labels by which Kubernetes' controllers know and number their pods; they put them there and nobody else does.
pub const CONTROLLERS_LABELS: &[&str] = &[
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "job-name",
    "batch.kubernetes.io/job-name",
    "batch.kubernetes.io/job-completion-index",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
];
