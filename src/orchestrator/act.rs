//! Edge: carries out one step.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, TestOperation};
use serde_json::{Value, json};
use tracing::warn;

use super::archived::Tried;
use super::keeper::Keeper;
use super::plan::{LogsOf, Step};
use super::secrets::Secrets;
use super::token_rest::TokenTrouble;
use super::tokens::Tokens;
use super::unwritten::How;
use crate::bundle::{differences, token_secret_name};
use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::model::{AnalysisObject, AnalysisStatus, labels};
use crate::telemetry::whole;

/// What a step has changed in what is known.
#[derive(Debug)]
pub(super) enum Outcome {
    /// This is stored now.
    Stored(Kind, Place, Value),
    /// This was not written as it was to be; what is stored now, where that is known.
    Unwritten(Kind, Place, How, Option<Value>),
    /// Its effect will be told by the watch.
    Settling,
    /// The same, of a token.
    Token,
    /// Keycloak did not do what was asked of it, or its token was not taken; the analysis goes on with what it has.
    NoToken(TokenTrouble),
    /// It was tried for the object of that uid, and is not tried again.
    Tried(String, Tried),
    /// It was not done, or nobody knows whether it was; says why.
    NotDone(String),
}

/// Does what a step says for an analysis.
pub(super) async fn act(
    cluster: &Cluster,
    (tokens, keeper): (Option<&Tokens>, Option<&Keeper>),
    analysis: &AnalysisObject,
    step: Step,
) -> Outcome {
    let own = Place { namespace: analysis.namespace.clone(), name: analysis.id.to_string() };
    let done = match step {
        Step::Wait => return Outcome::Settling,
        Step::Write(kind, object) => {
            let place = beside(&own, &object);
            let done = cluster.apply(kind, &place, &object).await;
            written(kind, place, done, &object)
        }
        Step::Amend(kind, object, patch) => {
            let place = beside(&own, &object);
            let done = cluster.change(kind, &place, patch).await;
            written(kind, place, done, &object)
        }
        Step::Report(status) => {
            let stored = cluster.apply_status(Kind::Analysis, &own, &reported(analysis, &status)).await;
            stored.map(|stored| Outcome::Stored(Kind::Analysis, own, stored))
        }
        Step::Token(uid) => {
            let Some(tokens) = tokens else { return Outcome::NoToken(TokenTrouble::NotSetUp) };
            let secret = match tokens.secret(analysis, &uid).await {
                Ok(secret) => secret,
                Err(trouble) => return Outcome::NoToken(trouble),
            };
            let place = Place { namespace: own.namespace.clone(), name: token_secret_name(analysis.id) };
            token_written(analysis, cluster.apply(Kind::Secret, &place, &secret).await, &secret)
        }
        Step::KeepLogs(logs) => return Outcome::Tried(analysis.uid.clone(), keep_logs(cluster, keeper, &logs).await),
        Step::Forget => return Outcome::Tried(analysis.uid.clone(), forget(keeper, analysis).await),
        Step::Expire => {
            let deleted = cluster.delete_version(Kind::Analysis, &own, &analysis.uid, &analysis.resource_version).await;
            deleted.map(|()| Outcome::Settling)
        }
        Step::Delete(kind, name, uid) => {
            let place = Place { namespace: own.namespace.clone(), name };
            cluster.delete(kind, &place, &uid).await.map(|()| Outcome::Settling)
        }
        Step::Hold => cluster.change(Kind::Analysis, &own, hold(analysis)).await.map(|_| Outcome::Settling),
        Step::LetGo { has_client } => {
            // What is left in Keycloak then would be left for ever.
            if has_client && let Err(trouble) = forgotten(tokens, analysis).await {
                return Outcome::NoToken(trouble);
            }
            match let_go(analysis) {
                Some(patch) => cluster.change(Kind::Analysis, &own, patch).await.map(|_| Outcome::Settling),
                None => Ok(Outcome::Settling),
            }
        }
    };
    match done {
        Ok(outcome) => outcome,
        // Gone in the meantime, which the watch tells.
        Err(problem) if problem.is_gone() => Outcome::Settling,
        Err(problem) => Outcome::NotDone(whole(&problem)),
    }
}

/// Where an object stands that is in the same namespace.
fn beside(own: &Place, object: &Value) -> Place {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    Place { namespace: own.namespace.clone(), name: name.to_owned() }
}

/// What came of writing an object.
fn written(
    kind: Kind,
    place: Place,
    done: Result<Value, ClusterProblem>,
    object: &Value,
) -> Result<Outcome, ClusterProblem> {
    match done {
        Ok(stored) => {
            let fields = differences(&stored, object);
            Ok(if fields.is_empty() {
                Outcome::Stored(kind, place, stored)
            } else {
                Outcome::Unwritten(kind, place, How::Altered(fields), Some(stored))
            })
        }
        Err(problem) if problem.is_gone() => Err(problem),
        Err(problem) => match problem.refusal() {
            Some(why) => Ok(Outcome::Unwritten(kind, place, How::Refused(why.to_owned()), None)),
            None => Err(problem),
        },
    }
}

/// Where no Secret is taken, the analysis goes on with the token that it has.
fn token_written(
    analysis: &AnalysisObject,
    done: Result<Value, ClusterProblem>,
    secret: &Value,
) -> Result<Outcome, ClusterProblem> {
    match done {
        Ok(_) => Ok(Outcome::Token),
        Err(problem) if problem.is_gone() => Err(problem),
        Err(problem) => {
            let Some(why) = problem.refusal() else { return Err(problem) };
            // Whoever refuses it has seen the token.
            let problem = match Secrets::of(Some(&secret.to_string())) {
                Ok(secrets) => secrets.clean_line(why),
                Err(_) => String::new(),
            };
            warn!(analysis = %analysis.id, problem, "the Secret with its token is refused");
            Ok(Outcome::NoToken(TokenTrouble::SecretRefused))
        }
    }
}

async fn keep_logs(cluster: &Cluster, keeper: Option<&Keeper>, logs: &LogsOf) -> Tried {
    let kept = match keeper {
        Some(keeper) => keeper.keep_logs(cluster, logs).await,
        None => false,
    };
    Tried::Logs(logs.run.number, kept)
}

async fn forget(keeper: Option<&Keeper>, analysis: &AnalysisObject) -> Tried {
    if let Some(keeper) = keeper
        && !keeper.forget(analysis.id).await
    {
        warn!(analysis = %analysis.id, "the archive has not forgotten an analysis that is deleted; it is told again");
    }
    Tried::Forgetting
}

async fn forgotten(tokens: Option<&Tokens>, analysis: &AnalysisObject) -> Result<(), TokenTrouble> {
    tokens.ok_or(TokenTrouble::NotSetUp)?.forget(analysis).await
}

fn reported(analysis: &AnalysisObject, status: &AnalysisStatus) -> Value {
    json!({
        "apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis",
        // Of this object, and of none that was made under its name since.
        "metadata": {"name": analysis.id.to_string(), "namespace": analysis.namespace, "uid": analysis.uid},
        "status": status,
    })
}

fn hold(analysis: &AnalysisObject) -> Patch {
    let mut finalizers = analysis.finalizers.clone();
    finalizers.push(labels::ANALYSIS_FINALIZER.to_owned());
    Patch(vec![
        same_version(analysis),
        PatchOperation::Add(AddOperation { path: at(&["metadata", "finalizers"]), value: json!(finalizers) }),
    ])
}

fn let_go(analysis: &AnalysisObject) -> Option<Patch> {
    let index = analysis.finalizers.iter().position(|finalizer| finalizer == labels::ANALYSIS_FINALIZER)?;
    let path = at(&["metadata", "finalizers", &index.to_string()]);
    Some(Patch(vec![same_version(analysis), PatchOperation::Remove(RemoveOperation { path })]))
}

fn same_version(analysis: &AnalysisObject) -> PatchOperation {
    let path = at(&["metadata", "resourceVersion"]);
    PatchOperation::Test(TestOperation { path, value: json!(analysis.resource_version) })
}

fn at(keys: &[&str]) -> PointerBuf {
    PointerBuf::from_tokens(keys.iter().copied())
}
