//! The webhook configurations. They own rules and selectors; `caBundle` is the controller's, by server-side apply.

use serde_json::{Value, json};

use super::certificates::injection;
use super::condition::conditions;
use super::scope::{CLUSTER, Entry, MUTATING, Rule, VALIDATING};
use super::{Endpoint, Registered, Settings, own_rules};
use crate::policy::{PolicySet, Tenancy};

/// All webhook configurations, one entry to an object so that one who owns a field owns it for one purpose.
pub(super) fn configurations(settings: &Settings, policies: &PolicySet) -> Vec<Value> {
    let mut objects = Vec::new();
    for (side, entries) in [(Registered::Mutating, MUTATING), (Registered::Validating, VALIDATING)] {
        for tenancy in tenancies(policies) {
            let place = Place { side, scope: Scope::Namespaced(tenancy), namespaces: &namespaces(policies, tenancy) };
            let made = entries.iter().map(|entry| configuration(&place, &Hook::of(entry, &place, policies), settings));
            objects.extend(made);
        }
    }
    let place = Place { side: Registered::Validating, scope: Scope::Cluster, namespaces: &[] };
    objects.extend(CLUSTER.iter().map(|entry| configuration(&place, &Hook::of(entry, &place, policies), settings)));
    // Last, so that an installation from before the first such rule has all that it has at the same places.
    let rows = own_rules::rows(policies);
    for tenancy in tenancies(policies).filter(|_| !rows.is_empty()) {
        let namespaces = namespaces(policies, tenancy);
        let place = Place { side: Registered::Validating, scope: Scope::Namespaced(tenancy), namespaces: &namespaces };
        // Whom a rule concerns only its own conditions say, and those are the webhook's to evaluate.
        let hook = Hook { purpose: OWN_RULES, rows: rows.clone(), conditions: Vec::new() };
        objects.push(configuration(&place, &hook, settings));
    }
    objects
}

/// The names of all webhook configurations, for the RBAC of the one who writes their `caBundle`.
pub(super) fn names(policies: &PolicySet) -> [Vec<String>; 2] {
    let all = |entries: &'static [Entry]| -> Vec<String> {
        let scopes = tenancies(policies).map(Scope::Namespaced);
        scopes.flat_map(|scope| entries.iter().map(move |entry| name(scope, entry.purpose))).collect()
    };
    let mut validating = all(VALIDATING);
    validating.extend(CLUSTER.iter().map(|entry| name(Scope::Cluster, entry.purpose)));
    if !own_rules::rows(policies).is_empty() {
        validating.extend(tenancies(policies).map(|tenancy| name(Scope::Namespaced(tenancy), OWN_RULES)));
    }
    [all(MUTATING), validating]
}

/// The purpose of the configuration for the users' own rules.
const OWN_RULES: &str = "rules";

/// The tenancies that a guarded namespace has.
fn tenancies(policies: &PolicySet) -> impl Iterator<Item = Tenancy> {
    let both = [Tenancy::Shared, Tenancy::Dedicated].into_iter();
    both.filter(|tenancy| !namespaces(policies, *tenancy).is_empty())
}

fn name(scope: Scope, purpose: &str) -> String {
    match scope {
        Scope::Cluster | Scope::Namespaced(Tenancy::Shared) => format!("flamewarden-{purpose}"),
        Scope::Namespaced(Tenancy::Dedicated) => format!("flamewarden-{purpose}-dedicated"),
    }
}

fn namespaces(policies: &PolicySet, tenancy: Tenancy) -> Vec<&str> {
    let guarded = policies.installation.namespaces.iter().filter(|namespace| namespace.tenancy == tenancy);
    guarded.map(|namespace| namespace.name.as_str()).collect()
}

/// Where the objects are that a configuration is about.
#[derive(Clone, Copy)]
enum Scope {
    /// In guarded namespaces of that tenancy.
    Namespaced(Tenancy),
    /// In none.
    Cluster,
}

/// What the configurations of one side and scope have in common.
struct Place<'a> {
    side: Registered,
    scope: Scope,
    namespaces: &'a [&'a str],
}

/// What one configuration is for.
struct Hook {
    purpose: &'static str,
    rows: Vec<Value>,
    conditions: Vec<Value>,
}

impl Hook {
    fn of(entry: &Entry, place: &Place<'_>, policies: &PolicySet) -> Self {
        let (scope, condition) = match place.scope {
            Scope::Namespaced(tenancy) => ("Namespaced", entry.condition_in(tenancy)),
            Scope::Cluster => ("Cluster", entry.condition),
        };
        let row = |rule: &Rule| {
            json!({
                "operations": rule.operations, "apiGroups": rule.groups, "apiVersions": ["*"],
                "resources": rule.resources, "scope": scope,
            })
        };
        Hook {
            purpose: entry.purpose,
            rows: entry.rules.iter().map(row).collect(),
            conditions: conditions(condition, policies),
        }
    }
}

fn configuration(place: &Place<'_>, hook: &Hook, settings: &Settings) -> Value {
    let (word, path) = match place.side {
        Registered::Mutating => ("mutate", "/mutate"),
        Registered::Validating => ("validate", "/validate"),
    };
    let mut webhook = json!({
        "name": format!("{}.{word}.flamewarden.dev", hook.purpose),
        "admissionReviewVersions": ["v1"],
        "clientConfig": client(settings, path),
        "rules": hook.rows,
        "namespaceSelector": match place.scope {
            Scope::Namespaced(_) => json!({"matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "In", "values": place.namespaces},
            ]}),
            // As the API server writes it where nothing is said.
            Scope::Cluster => json!({}),
        },
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "timeoutSeconds": TIMEOUT_SECONDS,
        // Mutating fails open: what it did not mend, the validating side refuses.
        "failurePolicy": if place.side == Registered::Mutating { "Ignore" } else { "Fail" },
    });
    // An empty list is not stored, and every `kubectl apply` would have something to say about it.
    if let (false, Some(webhook)) = (hook.conditions.is_empty(), webhook.as_object_mut()) {
        webhook.insert("matchConditions".to_owned(), json!(hook.conditions));
    }
    if let (Registered::Mutating, Some(webhook)) = (place.side, webhook.as_object_mut()) {
        webhook.insert("reinvocationPolicy".to_owned(), json!("IfNeeded"));
    }
    let mut metadata = json!({"name": name(place.scope, hook.purpose), "labels": super::workload::labels("webhook")});
    if let (Some((key, from)), Some(metadata)) = (injection(settings), metadata.as_object_mut()) {
        metadata.insert("annotations".to_owned(), json!({key: from}));
    }
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": place.side.kind(),
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
