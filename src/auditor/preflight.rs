//! Edge: reads from a cluster what stands in the way of an installation, and what policies are compared on.

use jiff::Timestamp;
use serde_json::Value;

use super::hindrance::{Observed, Preflight, cluster_problem};
use super::{Problem, Subject};
use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::isolation::{FOREIGN, Scope};
use crate::model::{labels, parse};
use crate::policy::PolicySet;

/// Looks at a cluster; what cannot be read is a problem of the answer.
pub async fn preflight(cluster: &Cluster, policies: &PolicySet, now: Timestamp) -> Preflight {
    let mut seen = Observed::default();
    seen.version = document(cluster, "/version", &mut seen.problems).await;
    seen.schema = document(cluster, "/openapi/v3/api/v1", &mut seen.problems).await;
    for guarded in &policies.installation.namespaces {
        let list = cluster.list(Kind::NetworkPolicy, &guarded.name, "").await;
        seen.policies.extend(kept(list, &mut seen.problems));
        for kind in FOREIGN.iter().filter(|kind| kind.scope == Scope::Namespaced) {
            let lists = cluster.list_foreign(kind.group, kind.resource, Some(&guarded.name)).await;
            seen.foreign.extend(kept(lists, &mut seen.problems).into_iter().flatten().map(|list| (kind, list)));
        }
        let pods = cluster.list(Kind::Pod, &guarded.name, "").await;
        seen.pods.extend(kept(pods, &mut seen.problems));
    }
    for kind in FOREIGN.iter().filter(|kind| kind.scope == Scope::Cluster) {
        let lists = cluster.list_foreign(kind.group, kind.resource, None).await;
        seen.foreign.extend(kept(lists, &mut seen.problems).into_iter().flatten().map(|list| (kind, list)));
    }
    seen.pods.extend(elsewhere(cluster, policies, &mut seen.problems).await);
    Preflight::of(seen, policies, now)
}

/// Labelled pods of namespaces that are not guarded; those of guarded ones are read there, whatever their labels.
async fn elsewhere(cluster: &Cluster, policies: &PolicySet, problems: &mut Vec<Problem>) -> Option<String> {
    let components: Vec<&str> =
        policies.profiles().into_iter().map(|profile| profile.guards.component.as_str()).collect();
    let selector = format!("{} in ({})", labels::COMPONENT, components.join(","));
    let text = kept(cluster.list(Kind::Pod, "", &selector).await, problems)?;
    let mut list: Value = match serde_json::from_str(&text) {
        Ok(list) => list,
        Err(problem) => {
            problems.push(cluster_problem(format!("cannot read the list of pods: {problem}")));
            return None;
        }
    };
    if let Some(items) = list.get_mut("items").and_then(Value::as_array_mut) {
        items.retain(|pod| {
            let namespace = pod.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
            policies.tenancy(namespace).is_none()
        });
    }
    Some(list.to_string())
}

/// The pods, workloads and network policies of guarded namespaces, as they would be created today.
pub async fn live_subjects(cluster: &Cluster, policies: &PolicySet) -> Vec<Result<Subject, Problem>> {
    let mut found = Vec::new();
    for guarded in &policies.installation.namespaces {
        for kind in COMPARED {
            match cluster.list(*kind, &guarded.name, "").await {
                Ok(list) => found.extend(objects(*kind, &list)),
                Err(problem) => found.push(Err(cluster_problem(shown(&problem)))),
            }
        }
    }
    found
}

fn objects(kind: Kind, list: &str) -> Vec<Result<Subject, Problem>> {
    let list = match parse(list.as_bytes()) {
        Ok(list) => list,
        Err(problem) => return vec![Err(cluster_problem(problem.to_string()))],
    };
    let (version, name) = kind.type_names();
    let items = list.get("items").map_or(&[][..], |items| items.items()).iter();
    let made = items.map(|item| {
        let mut value = item.to_value();
        if let Value::Object(members) = &mut value {
            members.insert("apiVersion".to_owned(), version.clone().into());
            members.insert("kind".to_owned(), name.into());
            members.remove("status");
        }
        // What the scheduler wrote is nothing that a creator asks for.
        if let Some(Value::Object(spec)) = value.get_mut("spec") {
            spec.remove("nodeName");
        }
        Ok(Subject { file: "cluster".to_owned(), document: 1, line: 1, json: value.to_string() })
    });
    made.collect()
}

async fn document(cluster: &Cluster, path: &str, problems: &mut Vec<Problem>) -> Option<Value> {
    let text = kept(cluster.read_path(path).await, problems)?;
    let read = text.and_then(|text| serde_json::from_str(&text).ok());
    if read.is_none() {
        problems.push(cluster_problem(format!("the API server publishes nothing that can be read at {path}")));
    }
    read
}

fn kept<T>(read: Result<T, ClusterProblem>, problems: &mut Vec<Problem>) -> Option<T> {
    read.map_err(|problem| problems.push(cluster_problem(shown(&problem)))).ok()
}

/// A problem with its causes, on one line.
fn shown(problem: &ClusterProblem) -> String {
    let mut text = problem.to_string();
    let mut cause = std::error::Error::source(problem);
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
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
