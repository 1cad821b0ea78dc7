//! What the Hub is told and what it answers, as FLAME's hub-python-client has it.

use serde::Deserialize;
use serde::de::{Deserializer, Error};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::model::{AnalysisId, Phase};
use crate::policy::FieldNames;

/// How an analysis is doing, in the Hub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcessStatus {
    /// It is being made.
    Starting,
    /// It is there.
    Started,
    /// It is being taken away.
    Stopping,
    /// It was stopped.
    Stopped,
    /// It works.
    Executing,
    /// It has come to its end.
    Executed,
    /// It has failed.
    Failed,
}

impl ProcessStatus {
    /// What the Hub is told of a phase. It has no word for an analysis that is stuck; FLAME says that it failed.
    pub fn of(phase: Phase) -> Self {
        match phase {
            Phase::Starting => ProcessStatus::Starting,
            Phase::Started => ProcessStatus::Started,
            Phase::Stopping => ProcessStatus::Stopping,
            Phase::Stopped => ProcessStatus::Stopped,
            Phase::Executing => ProcessStatus::Executing,
            Phase::Executed => ProcessStatus::Executed,
            Phase::Stuck | Phase::Failed => ProcessStatus::Failed,
        }
    }

    /// The word itself.
    pub fn word(self) -> &'static str {
        match self {
            ProcessStatus::Starting => "starting",
            ProcessStatus::Started => "started",
            ProcessStatus::Stopping => "stopping",
            ProcessStatus::Stopped => "stopped",
            ProcessStatus::Executing => "executing",
            ProcessStatus::Executed => "executed",
            ProcessStatus::Failed => "failed",
        }
    }

    /// Whether nothing comes after it.
    pub fn is_end(self) -> bool {
        matches!(self, ProcessStatus::Stopped | ProcessStatus::Executed | ProcessStatus::Failed)
    }

    fn read(word: &str) -> Option<Self> {
        ALL.into_iter().find(|status| status.word() == word)
    }
}

const ALL: [ProcessStatus; 7] = [
    ProcessStatus::Starting,
    ProcessStatus::Started,
    ProcessStatus::Stopping,
    ProcessStatus::Stopped,
    ProcessStatus::Executing,
    ProcessStatus::Executed,
    ProcessStatus::Failed,
];

/// A name, written in small letters with `_` here, as the Hub has it.
pub(super) fn written(name: &str, names: FieldNames) -> String {
    if names == FieldNames::Snake {
        return name.to_owned();
    }
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        name + &initial.to_ascii_uppercase() + rest
    })
}

/// An object of these fields.
pub(super) fn object(fields: &[(&str, Value)], names: FieldNames) -> Value {
    let field = |(name, value): &(&str, Value)| (written(name, names), value.clone());
    Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
}

/// One page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
}

/// A node.
#[derive(Debug, Deserialize)]
pub(super) struct Node {
    #[serde(deserialize_with = "uuid")]
    pub(super) id: Uuid,
    /// Whose node it is.
    #[serde(default, alias = "client_id", rename = "clientId")]
    pub(super) client: Option<String>,
}

/// One analysis on one node.
#[derive(Debug, Deserialize)]
pub(super) struct AnalysisNode {
    #[serde(deserialize_with = "uuid")]
    pub(super) id: Uuid,
    #[serde(alias = "analysis_id", rename = "analysisId", deserialize_with = "analysis")]
    pub(super) analysis: AnalysisId,
    #[serde(alias = "node_id", rename = "nodeId", deserialize_with = "uuid")]
    pub(super) node: Uuid,
    /// None where it was never started, or in a word that nobody knows.
    #[serde(default, alias = "execution_status", rename = "executionStatus", deserialize_with = "status")]
    pub(super) status: Option<ProcessStatus>,
}

/// One analysis on one node, with the analysis itself.
#[derive(Debug, Deserialize)]
pub(super) struct BuiltNode {
    #[serde(alias = "node_id", rename = "nodeId", deserialize_with = "uuid")]
    pub(super) node: Uuid,
    #[serde(default, rename = "analysis")]
    pub(super) built: Option<Built>,
}

/// What the Hub has built of an analysis.
#[derive(Debug, Deserialize)]
pub(super) struct Built {
    #[serde(rename = "id", deserialize_with = "analysis")]
    pub(super) analysis: AnalysisId,
    /// None where nothing was built yet.
    #[serde(default, alias = "build_hash", rename = "buildHash")]
    pub(super) hash: Option<String>,
}

fn uuid<'de, D: Deserializer<'de>>(from: D) -> Result<Uuid, D::Error> {
    Uuid::parse_str(&String::deserialize(from)?).map_err(D::Error::custom)
}

fn analysis<'de, D: Deserializer<'de>>(from: D) -> Result<AnalysisId, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn status<'de, D: Deserializer<'de>>(from: D) -> Result<Option<ProcessStatus>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.and_then(|word| ProcessStatus::read(&word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_the_hub_writes_them() {
        for (name, camel) in
            [("id", "id"), ("client_id", "clientId"), ("execution_progress", "executionProgress"), ("a_b_c", "aBC")]
        {
            assert_eq!(written(name, FieldNames::Camel), camel);
            assert_eq!(written(name, FieldNames::Snake), name);
        }
    }

    #[test]
    fn every_phase_is_told_in_a_word_that_the_hub_knows() {
        use Phase::{Executed, Executing, Failed, Started, Starting, Stopped, Stopping, Stuck};
        for (phase, word) in [
            (Starting, "starting"),
            (Started, "started"),
            (Stopping, "stopping"),
            (Stopped, "stopped"),
            (Executing, "executing"),
            (Executed, "executed"),
            (Stuck, "failed"),
            (Failed, "failed"),
        ] {
            let status = ProcessStatus::of(phase);
            assert_eq!((status.word(), ProcessStatus::read(word)), (word, Some(status)));
        }
        assert_eq!(ProcessStatus::read("stuck"), None);
    }

    #[test]
    fn both_ways_to_write_a_name_are_read() {
        let id = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
        for text in [
            format!(
                r#"{{"id": "{id}", "analysisId": "{id}", "nodeId": "{id}", "executionStatus": "executing", "x": 1}}"#
            ),
            format!(r#"{{"id": "{id}", "analysis_id": "{id}", "node_id": "{id}", "execution_status": "executing"}}"#),
        ] {
            let node: AnalysisNode = serde_json::from_str(&text).unwrap();
            assert_eq!(
                (node.id.to_string(), node.analysis.to_string(), node.node.to_string()),
                (id.into(), id.into(), id.into())
            );
            assert_eq!(node.status, Some(ProcessStatus::Executing));
        }
        for text in [
            format!(r#"{{"nodeId": "{id}", "analysis": {{"id": "{id}", "buildHash": "sha256:1", "x": 1}}}}"#),
            format!(r#"{{"node_id": "{id}", "analysis": {{"id": "{id}", "build_hash": "sha256:1"}}}}"#),
        ] {
            let node: BuiltNode = serde_json::from_str(&text).unwrap();
            let built = node.built.unwrap();
            assert_eq!((node.node.to_string(), built.analysis.to_string()), (id.into(), id.into()));
            assert_eq!(built.hash.as_deref(), Some("sha256:1"));
        }
        let bare: BuiltNode = serde_json::from_str(&format!(r#"{{"nodeId": "{id}", "analysis": null}}"#)).unwrap();
        assert!(bare.built.is_none());
        for (status, want) in [("null", None), (r#""stuck""#, None), (r#""failed""#, Some(ProcessStatus::Failed))] {
            let text =
                format!(r#"{{"id": "{id}", "analysisId": "{id}", "nodeId": "{id}", "executionStatus": {status}}}"#);
            assert_eq!(serde_json::from_str::<AnalysisNode>(&text).unwrap().status, want);
        }
    }
}
