//! Service accounts and what each may do: the webhook reads, the controller writes what it owns.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Certificates, Settings, admission, canary, scans, scans_by_jobs, workload};
use crate::isolation::{FOREIGN, Foreign};
use crate::policy::{Orchestrator, PolicySet, Upstreams};

/// Flamewarden's own namespace. Nothing in it is sent to the webhook, so it can always start.
pub(super) fn namespace(settings: &Settings) -> Value {
    let mut labels = workload::labels("namespace");
    workload::insert(&mut labels, "pod-security.kubernetes.io/enforce", "restricted");
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": settings.namespace, "labels": labels}})
}

/// Service accounts, roles and their bindings.
pub(super) fn access(settings: &Settings, policies: &PolicySet) -> Vec<Value> {
    let mut objects: Vec<Value> = [WEBHOOK, CONTROLLER].map(|part| account(settings, part)).into();
    for guarded in &policies.installation.namespaces {
        objects.extend(role(settings, WEBHOOK, &guarded.name, &webhook_rules()));
        objects.extend(role(settings, CONTROLLER, &guarded.name, &controller_rules()));
        if policies.scanner.is_some() {
            let grant = Grant { name: SCANNER, to: CONTROLLER };
            objects.extend(granted(settings, grant, &guarded.name, &scanner_rules()));
        }
    }
    objects.extend(role(settings, CONTROLLER, &settings.namespace, &own_rules(settings, policies)));
    objects.extend(orchestration(settings, policies));
    objects.extend(granted_everywhere(settings, WEBHOOK, &json!([scans_read()])));
    objects.extend(cluster_role(settings, policies));
    objects
}

/// The webhook's Deployment, Service and service account.
pub const WEBHOOK: &str = "flamewarden-webhook";
/// The controller's Deployment, service account and lease.
pub const CONTROLLER: &str = "flamewarden-controller";

/// The roles by which the controller has images scanned.
const SCANNER: &str = "flamewarden-scanner";
/// The roles by which the controller makes analyses.
const ORCHESTRATOR: &str = "flamewarden-orchestrator";

/// The webhook looks up what a CONNECT or an eviction names without bringing it along.
fn webhook_rules() -> Value {
    json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])
}

/// What images' scans say, from memory, decides what runs.
fn scans_read() -> Value {
    json!({"apiGroups": ["flamewarden.dev"], "resources": ["imagescans"], "verbs": ["list", "watch"]})
}

fn controller_rules() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "patch"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"],
         "verbs": ["get", "list", "watch", "create", "patch", "delete"]},
        {"apiGroups": ["apps"], "resources": ["replicasets", "deployments", "statefulsets", "daemonsets"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["replicationcontrollers"], "verbs": ["get"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    ])
}

/// What finding images takes: all that can ask for one, and the pull secrets by which they are had, of which nobody
/// knows the names beforehand.
fn scanner_rules() -> Value {
    json!([
        {"apiGroups": ["flamewarden.dev"], "resources": ["analyses"], "verbs": ["list", "watch"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets", "statefulsets", "daemonsets"], "verbs": ["list", "watch"]},
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["replicationcontrollers"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]},
    ])
}

/// What making analyses takes: everything of a bundle where analyses are made, and to see the node's Services.
fn orchestration(settings: &Settings, policies: &PolicySet) -> Vec<Value> {
    let Some(orchestrator) = &policies.orchestrator else { return Vec::new() };
    let make = ["list", "watch", "create", "patch", "delete"];
    let rules = json!([
        {"apiGroups": ["flamewarden.dev"], "resources": ["analyses"], "verbs": ["get", "list", "watch", "create", "patch", "delete"]},
        {"apiGroups": ["flamewarden.dev"], "resources": ["analyses/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["services", "configmaps"], "verbs": make},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "create", "patch", "delete"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": make},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]);
    let rules: Value = rules.as_array().into_iter().flatten().cloned().chain(cleanup(orchestrator)).collect();
    let grant = || Grant { name: ORCHESTRATOR, to: CONTROLLER };
    let mut objects: Vec<Value> = granted(settings, grant(), &orchestrator.namespace, &rules).into();
    let elsewhere = orchestrator.upstreams.each().into_values().filter_map(|upstream| upstream.namespace.as_ref());
    let elsewhere: BTreeSet<&String> = elsewhere.filter(|namespace| **namespace != orchestrator.namespace).collect();
    for namespace in elsewhere {
        let see = json!({"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]});
        let reset = is_reset(orchestrator, namespace)
            .then(|| json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "delete"]}));
        let rules: Value = [see].into_iter().chain(reset).collect();
        objects.extend(granted(settings, grant(), namespace, &rules));
    }
    objects
}

/// What the REST API's cleanup takes where analyses are made: pods and their ReplicaSets may be left of an analysis that
/// is not there. A deletion can be held neither to a label nor to a name that is not known beforehand.
fn cleanup(orchestrator: &Orchestrator) -> Vec<Value> {
    let rules = [
        json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]}),
        json!({"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list", "delete"]}),
    ];
    orchestrator.api.iter().flat_map(|_| rules.clone()).collect()
}

/// Whether the REST API's cleanup deletes pods of the node's services in this namespace, so that they are made anew.
fn is_reset(orchestrator: &Orchestrator, namespace: &str) -> bool {
    let Upstreams { message_broker, storage, .. } = &orchestrator.upstreams;
    orchestrator.api.is_some()
        && [message_broker, storage].iter().any(|one| one.namespace.as_deref() == Some(namespace))
}

/// In its own namespace: its lease, and, where it makes the certificates, their Secrets and the replicas that know it
/// by them. A creation cannot be held to a name.
fn own_rules(settings: &Settings, policies: &PolicySet) -> Value {
    let lease = [
        json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]}),
        json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [CONTROLLER], "verbs": ["get", "update"]}),
    ];
    let certificates = [
        json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}),
        json!({"apiGroups": [""], "resources": ["secrets"], "resourceNames": workload::SECRETS, "verbs": ["get", "update", "patch"]}),
        json!({"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]}),
    ];
    let own = settings.certificates == Certificates::Own;
    let scans = scans_by_jobs(policies).map(|_| scans::rules());
    let canary = policies.installation.network.as_ref().map(|_| canary::rules());
    let more = scans.into_iter().flatten().chain(canary.into_iter().flatten());
    lease.into_iter().chain(certificates.into_iter().filter(|_| own)).chain(more).collect()
}

fn account(settings: &Settings, part: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": part, "namespace": settings.namespace, "labels": workload::labels(part)},
        "automountServiceAccountToken": false,
    })
}

/// A part's role in a namespace, which bears its name.
fn role(settings: &Settings, part: &str, namespace: &str, rules: &Value) -> [Value; 2] {
    granted(settings, Grant { name: part, to: part }, namespace, rules)
}

/// The name of a role, and the service account that has it.
pub(super) struct Grant<'a> {
    pub(super) name: &'a str,
    pub(super) to: &'a str,
}

pub(super) fn granted(settings: &Settings, grant: Grant<'_>, namespace: &str, rules: &Value) -> [Value; 2] {
    let Grant { name, to } = grant;
    let metadata = json!({"name": name, "namespace": namespace, "labels": workload::labels(to)});
    [
        json!({"apiVersion": RBAC, "kind": "Role", "metadata": metadata, "rules": rules}),
        json!({
            "apiVersion": RBAC, "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [subject(settings, to)],
        }),
    ]
}

/// The controller writes `caBundle` into exactly our configurations, where it makes the certificates.
fn cluster_role(settings: &Settings, policies: &PolicySet) -> [Value; 2] {
    let [mutating, validating] = admission::names(policies);
    let rule = |resource: &str, names: &[String]| {
        json!({
            "apiGroups": ["admissionregistration.k8s.io"], "resources": [resource],
            "resourceNames": names, "verbs": ["get", "patch"],
        })
    };
    let mut rules = Vec::new();
    if settings.certificates == Certificates::Own {
        rules.push(rule("mutatingwebhookconfigurations", &mutating));
        rules.push(rule("validatingwebhookconfigurations", &validating));
    }
    // Policies of other networks keep gates closed, so they are read before one is lifted.
    let listed = |kind: &Foreign| json!({"apiGroups": [kind.group], "resources": [kind.resource], "verbs": ["list"]});
    rules.extend(FOREIGN.iter().map(listed));
    // A namespace that ends takes the role in it away before the policies in it may go; without these rights
    // their finalizer would hold it for ever.
    let guarded: Vec<&str> = policies.installation.namespaces.iter().map(|guarded| guarded.name.as_str()).collect();
    rules.push(json!({"apiGroups": [""], "resources": ["namespaces"], "resourceNames": guarded, "verbs": ["get"]}));
    rules.push(
        json!({"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["get", "list", "patch"]}),
    );
    rules.push(scans_read());
    if policies.scanner.is_some() {
        rules.push(json!({"apiGroups": ["flamewarden.dev"], "resources": ["imagescans"], "verbs": ["get", "create", "delete"]}));
        rules.push(json!({"apiGroups": ["flamewarden.dev"], "resources": ["imagescans/status"], "verbs": ["patch"]}));
        rules.push(json!({"apiGroups": [""], "resources": ["nodes"], "verbs": ["list", "watch"]}));
    }
    granted_everywhere(settings, CONTROLLER, &Value::Array(rules))
}

/// A part's role in the whole cluster, which bears its name.
fn granted_everywhere(settings: &Settings, part: &str, rules: &Value) -> [Value; 2] {
    granted_everywhere_as(settings, Grant { name: part, to: part }, rules)
}

pub(super) fn granted_everywhere_as(settings: &Settings, grant: Grant<'_>, rules: &Value) -> [Value; 2] {
    let Grant { name, to } = grant;
    let metadata = json!({"name": name, "labels": workload::labels(to)});
    [
        json!({"apiVersion": RBAC, "kind": "ClusterRole", "metadata": metadata, "rules": rules}),
        json!({
            "apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [subject(settings, to)],
        }),
    ]
}

fn subject(settings: &Settings, part: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": part, "namespace": settings.namespace})
}

const RBAC: &str = "rbac.authorization.k8s.io/v1";
