//! What the controller's audit may read: lists of what it judges, and each object that is printed, by its name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::rbac::{CONTROLLER, Grant, granted, granted_everywhere_as};
use super::workload::SERVING_SECRET;
use super::{CANARY, Certificates, Settings};
use crate::model::plural;
use crate::policy::{PolicySet, ReportApi};

/// The roles by which the controller audits, given everything else that is printed.
pub(super) fn access(settings: &Settings, policies: &PolicySet, printed: &[Value]) -> Vec<Value> {
    let mut rules: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (namespace, names) in by_namespace(printed) {
        rules.entry(namespace).or_default().extend(names.into_iter().map(|((group, resource), names)| {
            json!({"apiGroups": [group], "resources": [resource], "resourceNames": names, "verbs": ["get"]})
        }));
    }
    rules.entry("").or_default().extend(everywhere(policies));
    for guarded in &policies.installation.namespaces {
        rules.entry(&guarded.name).or_default().extend(makers());
    }
    rules.entry(&settings.namespace).or_default().extend(own(settings));
    // What is missing of an analysis, or bears its label no more, is asked for by its name.
    if let Some(orchestrator) = &policies.orchestrator {
        let read = json!({"apiGroups": [""], "resources": ["services", "configmaps"], "verbs": ["get"]});
        rules.entry(&orchestrator.namespace).or_default().push(read);
    }
    let mut objects = Vec::new();
    for (namespace, rules) in rules {
        let (grant, rules) = (Grant { name: AUDITOR, to: CONTROLLER }, Value::from(rules));
        match namespace {
            "" => objects.extend(granted_everywhere_as(settings, grant, &rules)),
            namespace => objects.extend(granted(settings, grant, namespace, &rules)),
        }
    }
    objects
}

/// Names of one kind of object.
type Named<'a> = BTreeMap<(&'a str, String), BTreeSet<&'a str>>;

/// What is printed, but for roles and their bindings, which are all read.
fn by_namespace(printed: &[Value]) -> BTreeMap<&str, Named<'_>> {
    let mut all: BTreeMap<&str, Named<'_>> = BTreeMap::new();
    for object in printed {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
        if group != "rbac.authorization.k8s.io" {
            let names = all.entry(text("/metadata/namespace")).or_default();
            names.entry((group, plural(text("/kind")))).or_default().insert(text("/metadata/name"));
        }
    }
    all
}

/// Labelled pods may be anywhere, and so may be those who could go round admission. Policies of other networks are read
/// by the guard, too. Reports are written wherever objects with findings are; RBAC knows no labels, so the right is one to
/// those of other tools, too.
fn everywhere(policies: &PolicySet) -> Vec<Value> {
    let group = |api: &ReportApi| match api {
        ReportApi::OpenReports => ("openreports.io", ["reports", "clusterreports"]),
        ReportApi::PolicyReports => ("wgpolicyk8s.io", ["policyreports", "clusterpolicyreports"]),
    };
    let published = policies.auditor.audit.publish.iter().map(group).map(|(group, resources)| {
        json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "create", "update", "delete"]})
    });
    let read = [
        json!({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}),
        json!({
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
            "verbs": ["get", "list", "watch"],
        }),
    ];
    read.into_iter().chain(published).collect()
}

/// What makes pods and leads to them.
fn makers() -> [Value; 4] {
    let list =
        |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["list"]});
    [
        json!({"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]}),
        list("", &["replicationcontrollers"]),
        list("apps", &["deployments", "replicasets", "statefulsets", "daemonsets"]),
        list("batch", &["jobs", "cronjobs"]),
    ]
}

/// Of the webhook: which replicas there are, and its certificate; and what a canary has told. RBAC knows no parts of a
/// Secret: where cert-manager tells how long it is good, the one with the key is not read.
fn own(settings: &Settings) -> Vec<Value> {
    let named = |resource: &str, name: &str| json!({"apiGroups": [""], "resources": [resource], "resourceNames": [name], "verbs": ["get"]});
    let slices = json!({"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]});
    let reads_it = settings.certificates != Certificates::CertManager;
    let secret = reads_it.then(|| named("secrets", SERVING_SECRET));
    [slices, named("configmaps", CANARY)].into_iter().chain(secret).collect()
}

/// The roles by which the controller audits.
const AUDITOR: &str = "flamewarden-auditor";
