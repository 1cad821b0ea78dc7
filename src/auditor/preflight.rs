//! Edge: reads from a cluster what stands in the way of an installation, and what policies are compared on.

use jiff::Timestamp;
use serde_json::Value;

use super::Subject;
use super::hindrance::Preflight;
use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::isolation::{FOREIGN, Scope};
use crate::model::{Json, labels, parse};
use crate::policy::PolicySet;
use crate::report::Problem;
use crate::telemetry::whole;

/// Looks at a cluster; what cannot be read is a problem of the answer.
pub async fn preflight(cluster: &Cluster, policies: &PolicySet, now: Timestamp) -> Preflight {
    let mut seen = Preflight::new();
    // Whoever does not get as far as that gets nowhere, and would be told so of everything.
    let Some(version) = document(cluster, "/version", &mut seen).await else { return seen };
    seen.judge_version(&version);
    if let Some(schema) = document(cluster, "/openapi/v3/api/v1", &mut seen).await {
        seen.judge_schema(&schema);
    }
    for guarded in &policies.installation.namespaces {
        let namespace = guarded.name.as_str();
        let place = Place { namespace: String::new(), name: namespace.to_owned() };
        let read = cluster.read(Kind::Namespace, &place).await;
        if matches!(read, Ok(None)) {
            seen.miss_namespace(namespace);
            continue;
        }
        seen.note(read);
        let judge = |text: &[u8]| seen.judge_policy(text, policies);
        let read = cluster.each(Kind::NetworkPolicy, namespace, "", judge).await;
        seen.note(read);
        foreign(cluster, Scope::Namespaced, Some(namespace), policies, &mut seen).await;
        let read = cluster.each(Kind::Pod, namespace, "", |text| seen.judge_pod(text, policies, now)).await;
        seen.note(read);
    }
    foreign(cluster, Scope::Cluster, None, policies, &mut seen).await;
    elsewhere(cluster, policies, now, &mut seen).await;
    seen
}

async fn foreign(cluster: &Cluster, scope: Scope, namespace: Option<&str>, policies: &PolicySet, seen: &mut Preflight) {
    for kind in FOREIGN.iter().filter(|kind| kind.scope == scope) {
        let judge = |text: &[u8]| seen.judge_foreign(kind, text, policies);
        let read = cluster.each_foreign(kind.group, kind.resource, namespace, judge).await;
        seen.note(read);
    }
}

/// Labelled pods of namespaces that are not guarded; those of guarded ones are read there, whatever their labels.
async fn elsewhere(cluster: &Cluster, policies: &PolicySet, now: Timestamp, seen: &mut Preflight) {
    let components: Vec<&str> =
        policies.profiles().into_iter().map(|profile| profile.guards.component.as_str()).collect();
    let selector = format!("{} in ({})", labels::COMPONENT, components.join(","));
    let judge = |text: &[u8]| {
        let guarded = parse(text).is_ok_and(|pod| {
            let namespace = pod.text_at(&["metadata", "namespace"]);
            namespace.is_some_and(|namespace| policies.tenancy(namespace).is_some())
        });
        if !guarded {
            seen.judge_pod(text, policies, now);
        }
    };
    let read = cluster.each(Kind::Pod, "", &selector, judge).await;
    seen.note(read);
}

impl Preflight {
    /// Adds what kept a list from being read.
    fn note<T>(&mut self, read: Result<T, ClusterProblem>) {
        if let Err(problem) = read {
            self.problem(whole(&problem));
        }
    }
}

/// The pods, workloads and network policies of guarded namespaces, as they would be created today.
pub async fn live_subjects(cluster: &Cluster, policies: &PolicySet) -> Vec<Result<Subject, Problem>> {
    let mut found = Vec::new();
    for guarded in &policies.installation.namespaces {
        for kind in COMPARED {
            let read = cluster.each(*kind, &guarded.name, "", |text| found.push(subject(*kind, text))).await;
            found.extend(read.err().map(|problem| Err(Problem::of_cluster(whole(&problem)))));
        }
    }
    found
}

fn subject(kind: Kind, text: &[u8]) -> Result<Subject, Problem> {
    let object = parse(text).map_err(|problem| Problem::of_cluster(problem.to_string()))?;
    Ok(Subject { place: None, json: typed(kind, &object).to_string() })
}

/// An object of a list, which does not say what kind it is, as its maker would send it.
pub(super) fn typed(kind: Kind, object: &Json<'_>) -> Value {
    let (version, name) = kind.type_names();
    let mut value = object.to_value();
    if let Value::Object(members) = &mut value {
        members.insert("apiVersion".to_owned(), version.into());
        members.insert("kind".to_owned(), name.into());
        members.remove("status");
    }
    // What the scheduler wrote is nothing that a creator asks for.
    if let Some(Value::Object(spec)) = value.get_mut("spec") {
        spec.remove("nodeName");
    }
    value
}

async fn document(cluster: &Cluster, path: &str, seen: &mut Preflight) -> Option<Value> {
    let text = match cluster.read_path(path).await {
        Ok(text) => text,
        Err(problem) => {
            seen.problem(whole(&problem));
            return None;
        }
    };
    let read = text.and_then(|text| serde_json::from_str(&text).ok());
    if read.is_none() {
        seen.problem(format!("the API server publishes nothing that can be read at {path}"));
    }
    read
}

const COMPARED: &[Kind] = &[
    Kind::Pod,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::Job,
    Kind::CronJob,
    Kind::ReplicationController,
    Kind::NetworkPolicy,
];
