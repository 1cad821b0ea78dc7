//! The webhook configurations. They own rules and selectors; `caBundle` is the controller's, by server-side apply.

use serde_json::{Value, json};

use super::certificates::injection;
use super::condition::conditions;
use super::scope::{Entry, MUTATING, VALIDATING};
use super::{Endpoint, Settings};
use crate::policy::{PolicySet, Tenancy};

/// All webhook configurations, one entry to an object so that one who owns a field owns it for one purpose.
pub(super) fn configurations(settings: &Settings, policies: &PolicySet) -> Vec<Value> {
    let mut objects = Vec::new();
    for (side, entries) in [(Side::Mutating, MUTATING), (Side::Validating, VALIDATING)] {
        for tenancy in [Tenancy::Shared, Tenancy::Dedicated] {
            let namespaces: Vec<&str> = namespaces(policies, tenancy);
            if !namespaces.is_empty() {
                let place = Place { side, tenancy, namespaces: &namespaces };
                let made = entries.iter().map(|entry| configuration(&place, entry, settings, policies));
                objects.extend(made);
            }
        }
    }
    objects
}

/// The names of all webhook configurations, for the RBAC of the one who writes their `caBundle`.
pub(super) fn names(policies: &PolicySet) -> [Vec<String>; 2] {
    let all = |entries: &'static [Entry]| {
        let tenancies = [Tenancy::Shared, Tenancy::Dedicated]
            .into_iter()
            .filter(|tenancy| !namespaces(policies, *tenancy).is_empty());
        tenancies.flat_map(|tenancy| entries.iter().map(move |entry| name(tenancy, entry))).collect()
    };
    [all(MUTATING), all(VALIDATING)]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Mutating,
    Validating,
}

fn name(tenancy: Tenancy, entry: &Entry) -> String {
    match tenancy {
        Tenancy::Shared => format!("flamewarden-{}", entry.purpose),
        Tenancy::Dedicated => format!("flamewarden-{}-dedicated", entry.purpose),
    }
}

fn namespaces(policies: &PolicySet, tenancy: Tenancy) -> Vec<&str> {
    let guarded = policies.installation.namespaces.iter().filter(|namespace| namespace.tenancy == tenancy);
    guarded.map(|namespace| namespace.name.as_str()).collect()
}

/// What the configurations of one side and tenancy have in common.
struct Place<'a> {
    side: Side,
    tenancy: Tenancy,
    namespaces: &'a [&'a str],
}

fn configuration(place: &Place<'_>, entry: &Entry, settings: &Settings, policies: &PolicySet) -> Value {
    let rules: Vec<Value> = entry
        .rules
        .iter()
        .map(|rule| {
            json!({
                "operations": rule.operations, "apiGroups": rule.groups, "apiVersions": ["*"],
                "resources": rule.resources, "scope": "Namespaced",
            })
        })
        .collect();
    let (word, kind, path) = match place.side {
        Side::Mutating => ("mutate", "MutatingWebhookConfiguration", "/mutate"),
        Side::Validating => ("validate", "ValidatingWebhookConfiguration", "/validate"),
    };
    let mut webhook = json!({
        "name": format!("{}.{word}.flamewarden.dev", entry.purpose),
        "admissionReviewVersions": ["v1"],
        "clientConfig": client(settings, path),
        "rules": rules,
        "namespaceSelector": {
            "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": place.namespaces}],
        },
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT_SECONDS,
        // Mutating fails open: what it did not mend, the validating side refuses.
        "failurePolicy": if place.side == Side::Mutating { "Ignore" } else { "Fail" },
    });
    let conditions = conditions(entry.condition_in(place.tenancy), policies);
    // An empty list is not stored, and every `kubectl apply` would have something to say about it.
    if let (false, Some(webhook)) = (conditions.is_empty(), webhook.as_object_mut()) {
        webhook.insert("matchConditions".to_owned(), json!(conditions));
    }
    if let (Side::Mutating, Some(webhook)) = (place.side, webhook.as_object_mut()) {
        webhook.insert("reinvocationPolicy".to_owned(), json!("IfNeeded"));
    }
    let mut metadata = json!({"name": name(place.tenancy, entry), "labels": super::workload::labels("webhook")});
    if let (Some((key, from)), Some(metadata)) = (injection(settings), metadata.as_object_mut()) {
        metadata.insert("annotations".to_owned(), json!({key: from}));
    }
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": metadata,
        "webhooks": [webhook],
    })
}

const TIMEOUT_SECONDS: u8 = 5;

fn client(settings: &Settings, path: &str) -> Value {
    match &settings.endpoint {
        Endpoint::Service => {
            json!({"service": {"name": "flamewarden-webhook", "namespace": settings.namespace, "path": path, "port": 443}})
        }
        Endpoint::Url { base, ca_bundle } => json!({"url": format!("{base}{path}"), "caBundle": ca_bundle}),
    }
}
