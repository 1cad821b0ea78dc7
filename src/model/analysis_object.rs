//! The custom resource `Analysis`: what is wanted of an analysis, and how far it has come.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AnalysisId, ProjectId};

/// What is wanted of an analysis. Its id is the object's name; which Secrets it uses follows from the id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisSpec {
    /// The project that it belongs to.
    pub project_id: ProjectId,
    /// Its image: a name as the Hub gives it, or with a digest.
    pub image: String,
    /// Whether it is to run.
    #[serde(default)]
    pub state: WantedState,
    /// The run that is wanted; a number above that of the last run starts a new one.
    #[serde(default = "first")]
    pub run: u32,
    /// How far an earlier run elsewhere had come, in percent.
    #[serde(default)]
    pub progress: u8,
}

/// Whether an analysis is to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WantedState {
    /// It is to run.
    #[default]
    Running,
    /// It is not to run; what it was stays known.
    Stopped,
}

/// How far an analysis has come. Only Flamewarden's controller writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisStatus {
    /// The generation of the spec that this speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// The run that is or was the last one; 0 before the first.
    #[serde(default)]
    pub run: u32,
    /// As FLAME names it; none before the first run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// In percent.
    #[serde(default)]
    pub progress: u8,
    /// How often it was started again because it was stuck.
    #[serde(default)]
    pub restarts: u32,
    /// When the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Conditions by Kubernetes' conventions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// What an analysis has said of itself by its log lines. It is nobody's word but its own; the REST API stores it, so that
/// the controller can decide what comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The run that was the last one then.
    pub run: u32,
    /// How it says it is.
    pub phase: Phase,
    /// How far it says it is, in percent.
    pub progress: u8,
}

/// Where in its life an analysis is: FLAME's `PodStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Its objects are being made.
    Starting,
    /// Its objects are there; it has not answered yet.
    Started,
    /// Its objects are being taken away.
    Stopping,
    /// It was stopped.
    Stopped,
    /// It answers that it works.
    Executing,
    /// It has come to its end.
    Executed,
    /// It does not go on, and is started again.
    Stuck,
    /// It has failed.
    Failed,
}

impl AnalysisStatus {
    /// The condition of that type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }
}

impl Phase {
    /// Whether a run in it is over.
    pub fn is_over(self) -> bool {
        matches!(self, Phase::Stopped | Phase::Executed | Phase::Failed)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Started => "started",
            Phase::Stopping => "stopping",
            Phase::Stopped => "stopped",
            Phase::Executing => "executing",
            Phase::Executed => "executed",
            Phase::Stuck => "stuck",
            Phase::Failed => "failed",
        }
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it speaks of, such as `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, in a sentence.
    pub message: String,
    /// Since when.
    pub last_transition_time: Timestamp,
    /// The generation that it speaks of.
    pub observed_generation: i64,
}

/// One `Analysis` as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnalysisObject {
    /// Its id, which is its name.
    pub id: AnalysisId,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
    /// The generation of its spec.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// What is wanted.
    pub spec: AnalysisSpec,
    /// How far it has come.
    pub status: AnalysisStatus,
    /// What it has said of itself last.
    pub reported: Option<Report>,
}

/// Why a stored object is no analysis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnalysisProblem {
    /// Its name is no id.
    #[error("the name `{0}` is no analysis id")]
    Name(String),
    /// A field is missing or not of its type.
    #[error("not an Analysis: {0}")]
    Shape(String),
}

impl AnalysisObject {
    /// The owner reference of what belongs to it, so that this goes with it even where nobody takes it away.
    pub fn owner_reference(&self) -> serde_json::Value {
        serde_json::json!({
            "apiVersion": "flamewarden.dev/v1alpha1", "kind": "Analysis", "name": self.id.to_string(), "uid": self.uid,
        })
    }

    /// Reads an object as the API server stores it.
    ///
    /// # Errors
    /// Its name is no id, or a field is not of its type. Its schema should have kept it out.
    pub fn read(object: &serde_json::Value) -> Result<Self, AnalysisProblem> {
        let stored: Stored =
            Stored::deserialize(object).map_err(|problem| AnalysisProblem::Shape(problem.to_string()))?;
        let Metadata { name, namespace, uid, resource_version, generation, deletion_timestamp, finalizers } =
            stored.metadata;
        let id: AnalysisId = name.parse().map_err(|_| AnalysisProblem::Name(name.clone()))?;
        if id.to_string() != name {
            return Err(AnalysisProblem::Name(name));
        }
        let deleting = deletion_timestamp.is_some();
        let (spec, StoredStatus { status, reported }) = (stored.spec, stored.status);
        Ok(AnalysisObject {
            id,
            namespace,
            uid,
            resource_version,
            generation,
            deleting,
            finalizers,
            spec,
            status,
            reported,
        })
    }
}

#[derive(Deserialize)]
struct Stored {
    metadata: Metadata,
    spec: AnalysisSpec,
    #[serde(default)]
    status: StoredStatus,
}

/// The report is no part of the status that the controller writes: whoever writes a field by server-side apply owns it.
#[derive(Default, Deserialize)]
struct StoredStatus {
    #[serde(flatten)]
    status: AnalysisStatus,
    reported: Option<Report>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    generation: i64,
    deletion_timestamp: Option<String>,
    #[serde(default)]
    finalizers: Vec<String>,
}

fn first() -> u32 {
    1
}
