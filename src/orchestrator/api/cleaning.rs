//! Edge: cleans up: analyses, pods of the node's services, clients and objects of analyses that are not there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use tracing::{info, warn};

use super::answer::Answer;
use super::cleanup::{Part, analyses_deleted, parts, pods_deleted, told};
use super::leftovers::{KINDS, Labelled, Leftovers, leftovers, text};
use super::operations::Operations;
use super::route::Which;
use crate::cluster::{ClusterProblem, Kind, List};
use crate::facts::Place;
use crate::keycloak::KeycloakProblem;
use crate::model::{AnalysisId, labels};
use crate::orchestrator::OutsideFiles;
use crate::orchestrator::outside::OutsideProblem;
use crate::orchestrator::tokens::Tokens;
use crate::policy::{Orchestrator, PolicySet, Upstream};
use crate::telemetry::{Metrics, whole};

/// What a cleanup needs.
pub(super) struct Cleaning<'a> {
    pub(super) operations: &'a Operations<'a>,
    /// Which pods are analyses and gateways.
    pub(super) policies: &'a PolicySet,
    /// Which services the node has, and which Keycloak.
    pub(super) settings: &'a Orchestrator,
    /// What reaching Keycloak takes.
    pub(super) files: &'a OutsideFiles,
    /// Where numbers go.
    pub(super) metrics: &'a Arc<Metrics>,
}

/// Why something was not cleaned up.
#[derive(Debug, thiserror::Error)]
enum CleanupProblem {
    #[error(transparent)]
    Cluster(#[from] ClusterProblem),
    #[error(transparent)]
    Keycloak(#[from] KeycloakProblem),
    #[error("Keycloak cannot be asked")]
    Outside(#[from] OutsideProblem),
}

impl Cleaning<'_> {
    /// Does all that the types name and tells what came of it; where a part fails, the others are done all the same.
    pub(super) async fn clean(&self, types: &str) -> Answer {
        let (mut done, mut failed) = (BTreeMap::new(), false);
        for part in parts(types) {
            match self.part(part).await {
                Ok(text) => drop(done.insert(part, text)),
                Err(problem) => {
                    warn!(problem = %whole(&problem), ?part, "not cleaned up");
                    failed = true;
                }
            }
        }
        match self.zombies().await {
            Ok(zombies) if !failed => Answer::ok(told(types, &done, &zombies)),
            Ok(_) => Answer::failed(CLEANING),
            Err(problem) => {
                warn!(problem = %whole(&problem), "what belongs to no analysis was not cleaned up");
                Answer::failed(CLEANING)
            }
        }
    }

    async fn part(&self, part: Part) -> Result<String, CleanupProblem> {
        let upstreams = &self.settings.upstreams;
        match part {
            Part::Analyses => {
                let deleted = self.operations.delete_objects(Which::All).await?;
                Ok(analyses_deleted(&deleted.iter().map(|analysis| analysis.id).collect::<Vec<_>>()))
            }
            Part::MessageBroker => Ok(self.reset("message broker", &upstreams.message_broker).await?),
            Part::Storage => Ok(self.reset("storage service", &upstreams.storage).await?),
            Part::Keycloak => self.forget_clients().await,
        }
    }

    /// Deletes the pods behind a Service; whoever controls them makes them anew.
    async fn reset(&self, called: &str, upstream: &Upstream) -> Result<String, ClusterProblem> {
        let namespace = upstream.namespace.as_deref().unwrap_or(self.operations.namespace);
        let Some(selector) = self.selector(namespace, &upstream.service).await? else {
            return Ok(format!("Service {namespace}/{} is not there, or selects nothing", upstream.service));
        };
        let mut pods = Vec::new();
        let list = List { kind: Kind::Pod, namespace, labels: &selector, fields: "" };
        let guarded: Vec<&str> =
            self.policies.profiles().into_iter().map(|profile| profile.guards.component.as_str()).collect();
        let take = |text: &[u8]| {
            let pod = serde_json::from_slice::<Value>(text).ok();
            pods.extend(pod.and_then(|pod| node_pod(&pod, &guarded)));
        };
        self.operations.cluster.each_part(list, &[&["metadata"]], take).await?;
        let deleted = join_all(pods.iter().map(async |(name, uid)| {
            let place = Place { namespace: namespace.to_owned(), name: name.clone() };
            self.operations.cluster.delete(Kind::Pod, &place, uid).await?;
            info!(namespace, pod = name, "deleted as asked");
            Ok::<_, ClusterProblem>(())
        }));
        let problem = deleted.await.into_iter().filter_map(Result::err).find(|problem| !problem.is_gone());
        problem.map_or_else(|| Ok(pods_deleted(called, pods.len())), Err)
    }

    /// What a Service selects; none where it is not there or selects nothing of its own. Read from the list, which may be
    /// read for the gateways' sake anyway.
    async fn selector(&self, namespace: &str, service: &str) -> Result<Option<String>, ClusterProblem> {
        let mut found = None;
        let list = List { kind: Kind::Service, namespace, labels: "", fields: "" };
        let take = |text: &[u8]| {
            let object: Value = serde_json::from_slice(text).unwrap_or_default();
            if object.pointer("/metadata/name").and_then(Value::as_str) == Some(service) {
                found = object.pointer("/spec/selector").and_then(Value::as_object).cloned();
            }
        };
        self.operations.cluster.each_part(list, &[&["metadata"], &["spec"]], take).await?;
        let pairs = found.into_iter().flatten();
        let pairs: Vec<String> =
            pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        Ok((!pairs.is_empty()).then(|| pairs.join(",")))
    }

    async fn forget_clients(&self) -> Result<String, CleanupProblem> {
        let Some(settings) = &self.settings.tokens else {
            return Ok("Deleted 0 keycloak clients: analyses get none here".to_owned());
        };
        let tokens = Tokens::of(settings, &self.settings.ways, self.files, self.metrics.clone())?;
        // Listed before the analyses: a client that is made meanwhile is not looked at.
        let clients = tokens.clients().await?;
        let there: BTreeSet<String> = self.there().await?.iter().map(ToString::to_string).collect();
        let mut deleted = 0;
        for client in clients.iter().filter(|client| !there.contains(*client)) {
            tokens.forget_client(client).await?;
            info!(client, "deleted as asked");
            deleted += 1;
        }
        Ok(format!("Deleted {deleted} keycloak clients"))
    }

    async fn zombies(&self) -> Result<String, ClusterProblem> {
        let mut found = Vec::new();
        for kind in KINDS {
            let list = List { kind, namespace: self.operations.namespace, labels: labels::ANALYSIS, fields: "" };
            let read = |text: &[u8]| Labelled::read(kind, &serde_json::from_slice(text).ok()?);
            self.operations.cluster.each_part(list, &[&["metadata"]], |text| found.extend(read(text))).await?;
        }
        // Listed after the objects: what belongs to an analysis that is just being made is not looked at.
        let there = self.there().await?;
        let Leftovers { go, wait } = leftovers(found, &there, Timestamp::now());
        for one in &go {
            let place = Place { namespace: self.operations.namespace.to_owned(), name: one.name.clone() };
            match self.operations.cluster.delete(one.kind, &place, &one.uid).await {
                Err(problem) if !problem.is_gone() => return Err(problem),
                _ => info!(kind = ?one.kind, name = one.name, "belonged to no analysis and was deleted"),
            }
        }
        Ok(text(&Leftovers { go, wait }))
    }

    async fn there(&self) -> Result<BTreeSet<AnalysisId>, ClusterProblem> {
        Ok(self.operations.analyses(Which::All).await?.into_iter().map(|analysis| analysis.id).collect())
    }
}

/// Name and uid of a pod that is no analysis and no gateway, whatever a Service selects, and is not on its way already.
fn node_pod(pod: &Value, guarded: &[&str]) -> Option<(String, String)> {
    let metadata = pod.get("metadata")?;
    let is_guarded = |all: &Value| {
        let component = all.get(labels::COMPONENT).and_then(Value::as_str).unwrap_or_default();
        all.get(labels::ANALYSIS).is_some() || guarded.contains(&component)
    };
    if metadata.get("labels").is_some_and(is_guarded) || metadata.get("deletionTimestamp").is_some() {
        return None;
    }
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).map(str::to_owned);
    Some((text("name")?, text("uid")?))
}

const CLEANING: &str = "cleaning up";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::orchestrator::testing::ID;

    /// Components as profiles may name them.
    const GUARDED: &[&str] = &["analysis", "gateway"];

    #[test]
    fn a_pod_of_an_analysis_is_no_service_s_pod_whatever_selects_it() {
        let pod = |labels: Value, deleted: Value| json!({"metadata": {"name": "a", "uid": "u", "labels": labels, "deletionTimestamp": deleted}});
        let named = Some(("a".to_owned(), "u".to_owned()));
        for (labels, want) in [
            (json!({"component": "flame-message-broker"}), named.clone()),
            (json!({}), named),
            (json!({"component": "analysis"}), None),
            (json!({"component": "gateway"}), None),
            (json!({"component": "flame-message-broker", "flamewarden.dev/analysis": ID}), None),
        ] {
            let mut stays = pod(labels.clone(), Value::Null);
            stays["metadata"].as_object_mut().unwrap().remove("deletionTimestamp");
            assert_eq!(node_pod(&stays, GUARDED), want, "{labels}");
            assert_eq!(node_pod(&pod(labels, json!("2026-11-21T12:00:00Z")), GUARDED), None);
        }
    }
}
