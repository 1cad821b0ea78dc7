//! The two Deployments, with their Services, ConfigMap, disruption budget and network policy.

use serde_json::{Value, json};

use super::mounted::{Mounted, archived, claim, outside, told};
use super::rbac::{CONTROLLER, WEBHOOK};
use super::{Certificates, Endpoint, SCANS_PORT, Settings, scans, scans_by_jobs};
use crate::policy::{ArchiveDatabase, PolicySet};

/// The labels of everything that is ours.
pub(super) fn labels(component: &str) -> Value {
    json!({
        "app.kubernetes.io/name": "flamewarden",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "flamewarden",
    })
}

/// Adds a text to an object.
pub(super) fn insert(object: &mut Value, key: &str, text: &str) {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), json!(text));
    }
}

/// Everything that runs, the controller first: it makes the certificate that the webhook waits for.
pub(super) fn workloads(settings: &Settings, set: &PolicySet) -> Vec<Value> {
    let orchestrator = set.orchestrator.as_ref();
    let has_api = orchestrator.is_some_and(|orchestrator| orchestrator.api.is_some());
    let mut objects = vec![policies(settings)];
    objects.extend(set.archive().and_then(|archive| claim(settings, archive)));
    objects.push(deployment(settings, &controller(settings, set)));
    objects.extend(has_api.then(|| {
        let port = json!({"name": "rest", "port": REST_PORT, "targetPort": "rest", "protocol": "TCP"});
        service(settings, API, CONTROLLER, &port)
    }));
    objects.extend(set.auditor.pages.is_some().then(|| {
        let port = json!({"name": "pages", "port": 80, "targetPort": "pages", "protocol": "TCP"});
        service(settings, PAGES, CONTROLLER, &port)
    }));
    objects.extend([
        service(
            settings,
            WEBHOOK,
            WEBHOOK,
            &json!({"name": "https", "port": 443, "targetPort": "https", "protocol": "TCP"}),
        ),
        budget(settings),
        network_policy(settings, set),
        deployment(settings, &webhook()),
    ]);
    objects
}

/// Secrets that the controller makes: the authority, and the webhook's serving certificate.
pub(super) const SECRETS: &[&str] = &[AUTHORITY_SECRET, SERVING_SECRET];
/// The authority and those before it; only the controller reads it.
pub const AUTHORITY_SECRET: &str = "flamewarden-authority";
/// What the webhook serves; mounted into it.
pub const SERVING_SECRET: &str = "flamewarden-webhook-tls";

const POLICIES: &str = "flamewarden-policies";
const WEBHOOK_PORT: u16 = 9443;
const PROBE_PORT: u16 = 8080;
const REST_PORT: u16 = 8000;
/// Another than that of the REST API, which analyses reach through their gateways.
const PAGES_PORT: u16 = 8001;
/// The REST API's Service, by which gateways and the Hub adapter call it.
const API: &str = "flamewarden-orchestrator";
/// The Service of the pages, for an Ingress.
const PAGES: &str = "flamewarden-pages";

/// What differs between the two Deployments.
struct Part {
    name: &'static str,
    replicas: Replicas,
    arguments: Vec<String>,
    mounted: Vec<Mounted>,
    memory: &'static str,
    grace: u16,
    has_api: bool,
    has_pages: bool,
    has_scans: bool,
}

/// How many pods a part has, and how they follow each other.
enum Replicas {
    /// Two, of which one at least is always there.
    Two,
    /// One: its volume is nobody else's. The next begins when it has ended.
    One,
}

fn webhook() -> Part {
    let arguments =
        ["serve", "--parts=webhook", "--policies=/policies", "--certificates=/certificates", "--listen=0.0.0.0:9443"];
    Part {
        name: WEBHOOK,
        replicas: Replicas::Two,
        arguments: arguments.map(str::to_owned).into(),
        mounted: vec![Mounted::of_secret("certificates", SERVING_SECRET, "/certificates")],
        // 150 MiB of its own and room for the bodies in flight.
        memory: "512Mi",
        // Longer than the drain, which waits for the API server's idle connections (90 s).
        grace: 120,
        has_api: false,
        has_pages: false,
        has_scans: false,
    }
}

fn controller(settings: &Settings, set: &PolicySet) -> Part {
    let orchestrator = set.orchestrator.as_ref();
    let has_api = orchestrator.is_some_and(|orchestrator| orchestrator.api.is_some());
    let namespace = format!("--namespace={}", settings.namespace);
    let arguments = ["serve", "--parts=controller", "--policies=/policies"].map(str::to_owned);
    let source = match settings.certificates {
        Certificates::Own => None,
        Certificates::CertManager => Some("--certificate-source=cert-manager".to_owned()),
        Certificates::Other => Some("--certificate-source=other".to_owned()),
    };
    // What the audit holds the cluster against.
    let image = format!("--installed-image={}", settings.image);
    let url = match &settings.endpoint {
        Endpoint::Service => None,
        Endpoint::Url { base, .. } => Some(format!("--installed-url={base}")),
    };
    let api = has_api.then(|| format!("--api=0.0.0.0:{REST_PORT}"));
    let has_pages = set.auditor.pages.is_some();
    let pages = has_pages.then(|| format!("--pages=0.0.0.0:{PAGES_PORT}"));
    let scans = scans_by_jobs(set).map(|_| format!("--scans=0.0.0.0:{SCANS_PORT}"));
    let mut outside = orchestrator.map(outside).unwrap_or_default();
    outside.extend(set.archive().map(archived));
    let files = outside.iter().map(|(argument, _)| (*argument).to_owned());
    let file = set.archive().filter(|archive| archive.database == ArchiveDatabase::Sqlite);
    // What workers bring stands there until it is read, four bodies at a time; and what SQLite sorts, and needs to take a
    // statement back, without which larger ones fail.
    let room = scans.as_ref().map(|_| "received").or(file.map(|_| "temporary"));
    let room = room.map(|name| Mounted::of_room(name, "1Gi", "/tmp"));
    Part {
        name: CONTROLLER,
        replicas: if file.is_some() { Replicas::One } else { Replicas::Two },
        arguments: arguments
            .into_iter()
            .chain([namespace])
            .chain([image])
            .chain(url)
            .chain(source)
            .chain(api)
            .chain(pages)
            .chain(scans.clone())
            .chain(files)
            .collect(),
        mounted: outside.into_iter().map(|(_, mounted)| mounted).chain(room).chain(told(&set.auditor)).collect(),
        memory: "256Mi",
        grace: 30,
        has_api,
        has_pages,
        has_scans: scans.is_some(),
    }
}

fn policies(settings: &Settings) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": POLICIES, "namespace": settings.namespace, "labels": labels("policies")},
        "data": settings.files,
    })
}

fn deployment(settings: &Settings, part: &Part) -> Value {
    let mut selector = labels(part.name);
    insert(&mut selector, "app.kubernetes.io/instance", part.name);
    let (replicas, strategy) = match part.replicas {
        Replicas::Two => (2, json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}})),
        Replicas::One => (1, json!({"type": "Recreate"})),
    };
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": part.name, "namespace": settings.namespace, "labels": labels(part.name)},
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": selector},
            "strategy": strategy,
            "template": {"metadata": {"labels": selector}, "spec": pod(settings, part, &selector)},
        },
    })
}

fn pod(settings: &Settings, part: &Part, selector: &Value) -> Value {
    let mut volumes = vec![json!({"name": "policies", "configMap": {"name": POLICIES}})];
    let mut mounts = vec![json!({"name": "policies", "mountPath": "/policies", "readOnly": true})];
    for mounted in &part.mounted {
        volumes.push(mounted.volume());
        mounts.push(mounted.mount());
    }
    let mut arguments = part.arguments.clone();
    arguments.push(format!("--probes=0.0.0.0:{PROBE_PORT}"));
    let mut ports = vec![
        json!({"name": "https", "containerPort": WEBHOOK_PORT}),
        json!({"name": "probes", "containerPort": PROBE_PORT}),
    ];
    ports.extend(part.has_api.then(|| json!({"name": "rest", "containerPort": REST_PORT})));
    ports.extend(part.has_pages.then(|| json!({"name": "pages", "containerPort": PAGES_PORT})));
    ports.extend(part.has_scans.then(|| json!({"name": "scans", "containerPort": SCANS_PORT})));
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "probes"}, "periodSeconds": 5});
    let mut pod = json!({
        "serviceAccountName": part.name,
        "automountServiceAccountToken": true,
        "enableServiceLinks": false,
        "priorityClassName": "system-cluster-critical",
        "terminationGracePeriodSeconds": part.grace,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [{
            "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector},
        }],
        "containers": [{
            "name": part.name,
            "image": settings.image,
            "args": arguments,
            "ports": ports,
            "livenessProbe": probe("/livez"),
            "readinessProbe": probe("/readyz"),
            // No limit on cpu: a throttled webhook is a slow API server.
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": part.memory}},
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": mounts,
        }],
        "volumes": volumes,
    });
    // By a Service a worker might reach a replica that knows nothing of it.
    let own = json!([{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]);
    let container = pod.pointer_mut("/containers/0").and_then(Value::as_object_mut);
    if let Some(container) = container.filter(|_| part.has_scans) {
        container.insert("env".to_owned(), own);
    }
    pod
}

/// A Service of that name for the pods of a part.
fn service(settings: &Settings, name: &str, part: &str, port: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": settings.namespace, "labels": labels(part)},
        "spec": {"selector": {"app.kubernetes.io/instance": part}, "ports": [port]},
    })
}

fn budget(settings: &Settings) -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": WEBHOOK, "namespace": settings.namespace, "labels": labels(WEBHOOK)},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/instance": WEBHOOK}}},
    })
}

/// Only the webhook's port, the probes and, where there are some, the REST API and the pages are open. Who calls cannot be
/// said here: the API server's address differs by cluster, and often is the node's own; the API asks for tokens, the pages
/// for a login unless `login: none` is written. No analysis reaches them: its own policy lets it out to its gateway alone.
fn network_policy(settings: &Settings, set: &PolicySet) -> Value {
    let has_api = set.orchestrator.as_ref().is_some_and(|orchestrator| orchestrator.api.is_some());
    let has_pages = set.auditor.pages.is_some();
    let open = [WEBHOOK_PORT, PROBE_PORT].into_iter();
    let open = open.chain(has_api.then_some(REST_PORT)).chain(has_pages.then_some(PAGES_PORT));
    let ports: Vec<Value> = open.map(|port| json!({"protocol": "TCP", "port": port})).collect();
    let mut ingress = vec![json!({"ports": ports})];
    ingress.extend(scans_by_jobs(set).map(|_| scans::ingress()));
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "flamewarden", "namespace": settings.namespace, "labels": labels("network")},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "flamewarden"}},
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    })
}
