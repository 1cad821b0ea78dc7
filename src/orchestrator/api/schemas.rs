//! What is sent and answered, as JSON Schema: the component schemas of the OpenAPI document.

use serde_json::{Value, json};

use super::cleanup::TYPES;
use super::creation::LONGEST_IMAGE;
use super::line::{LOG_TYPES, REPORTED};
use crate::bundle::MOST_RESTARTS;
use crate::model::Phase;

/// Points to a schema.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// All of them.
pub(super) fn schemas() -> Value {
    json!({
        "AnalysisId": {"type": "string", "format": "uuid", "pattern": UUID, "description": "In any case; it is answered in small letters."},
        "AnalysisStatus": {
            "type": "object", "required": ["status", "progress"],
            "properties": {"status": reference("Phase"), "progress": percent()},
        },
        "CleanupTypes": cleanup_types(),
        "Cleaned": {
            "type": "object", "required": ["zombies"], "additionalProperties": {"type": "string"},
            "examples": [{"analyzes": "Deleted 3 analysis deployments and associated resources", "zombies": "Deleted 0 zombie deployments\n…"}],
        },
        "CreateAnalysis": create_analysis(),
        "CreateLogEntity": create_log_entity(),
        "Created": by_id(&reference("Phase")),
        "Deleted": by_id(&json!({"type": "null"})),
        "Error": {
            "type": "object", "required": ["detail"], "properties": {"detail": {"type": "string"}},
            "examples": [{"detail": "Not authenticated"}],
        },
        "HTTPValidationError": {
            "type": "object", "required": ["detail"],
            "properties": {"detail": {"type": "array", "minItems": 1, "items": reference("ValidationError")}},
        },
        "Health": {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}},
        "Logs": {
            "type": "object", "required": ["analysis", "nginx"],
            "properties": {"analysis": reference("Texts"), "nginx": reference("Texts")},
        },
        "Nothing": {"type": "null"},
        "Phase": {"type": "string", "enum": PHASES},
        "Pods": {
            "description": "Each item is the text of a JSON list of names.",
            "examples": [{ID: [format!("[\"analysis-{ID}-1-5d9c7b6f4-x2x7q\"]")]}],
            "allOf": [reference("Texts")],
        },
        "Statuses": by_id(&reference("AnalysisStatus")),
        "Stopped": by_id(&reference("Phase")),
        "Texts": by_id(&json!({"type": "array", "items": {"type": "string"}})),
        "ValidationError": {
            "type": "object", "required": ["type", "loc", "msg"],
            "properties": {
                "type": {"type": "string"},
                "loc": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
                "msg": {"type": "string"},
                "input": {"description": "What was given, where it is an id; nothing else is repeated."},
            },
        },
    })
}

fn create_analysis() -> Value {
    let secret = |description: &str| json!({"type": "string", "format": "password", "writeOnly": true, "description": description});
    json!({
        "type": "object",
        "required": ["analysis_id", "project_id", "registry_url", "image_url", "registry_user", "registry_password", "kong_token"],
        "properties": {
            "analysis_id": reference("AnalysisId"),
            "project_id": reference("AnalysisId"),
            "registry_url": {"type": "string", "description": "The host of the image's registry."},
            "image_url": {"type": "string", "maxLength": LONGEST_IMAGE, "description": "From a registry that the policies name; `:latest` where it has neither tag nor digest."},
            "registry_user": {"type": "string"},
            "registry_password": secret("Of the registry's user."),
            "kong_token": secret("The analysis's key to its data; `none_needed` where it needs none."),
            "restart_counter": optional(MOST_RESTARTS),
            "progress": optional(100),
        },
        "description": "Other fields are ignored.",
        "examples": [{
            "analysis_id": ID, "project_id": "7b1c9d20-5a4e-4f6b-9c3d-2e1f0a9b8c7d", "registry_url": "harbor.example.org",
            "image_url": format!("harbor.example.org/node/{ID}"), "registry_user": "robot$node",
            "registry_password": "…", "kong_token": "none_needed",
        }],
    })
}

fn create_log_entity() -> Value {
    let reported: Vec<&str> = REPORTED.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "required": ["log", "log_type", "analysis_id", "status"],
        "properties": {
            "log": {"type": "string"},
            "log_type": {"type": "string", "enum": LOG_TYPES},
            "analysis_id": reference("AnalysisId"),
            "status": {"type": "string", "enum": reported},
            "progress": optional(100),
        },
        "description": "Other fields are ignored.",
        "examples": [{"log": "epoch 1", "log_type": "info", "analysis_id": ID, "status": "executing", "progress": 40}],
    })
}

/// Types of a cleanup, separated by commas.
fn cleanup_types() -> Value {
    let description = "One of the types, or several with commas between: `all`; `analyzes` deletes all analyses; `services` \
                       deletes the pods of the message broker (`mb`) and of the storage service (`rs`), so that they are made \
                       anew; `keycloak` deletes the clients of analyses that are not there; `zombies`, which is always \
                       done, deletes what belongs to an analysis that is not there.";
    json!({"type": "string", "minLength": 1, "description": description, "examples": TYPES.map(|(name, _)| name)})
}

fn by_id(value: &Value) -> Value {
    json!({"type": "object", "propertyNames": {"pattern": UUID}, "additionalProperties": value})
}

fn percent() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 100})
}

fn optional(most: u32) -> Value {
    json!({"type": ["integer", "null"], "minimum": 0, "maximum": most, "default": 0})
}

const ID: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";
const UUID: &str = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";
const PHASES: [Phase; 8] = [
    Phase::Starting,
    Phase::Started,
    Phase::Executing,
    Phase::Executed,
    Phase::Stuck,
    Phase::Stopping,
    Phase::Stopped,
    Phase::Failed,
];
