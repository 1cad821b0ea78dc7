//! The custom resource definitions, with schemas that keep out what makes no sense.

use serde_json::{Value, json};

use super::image_scan_crd::image_scan;
use super::workload;

/// All of them.
pub(super) fn definitions() -> Vec<Value> {
    vec![analysis(), image_scan()]
}

fn analysis() -> Value {
    let names = Names { plural: "analyses", singular: "analysis", kind: "Analysis" };
    definition(&names, "Namespaced", &columns(), &schema())
}

/// What a kind is called.
pub(super) struct Names {
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    pub(super) kind: &'static str,
}

/// The definition of a kind of Flamewarden's, with a status of its own.
pub(super) fn definition(
    Names { plural, singular, kind }: &Names,
    scope: &str,
    columns: &Value,
    schema: &Value,
) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.flamewarden.dev"), "labels": workload::labels(plural)},
        "spec": {
            "group": "flamewarden.dev",
            "scope": scope,
            "names": {"plural": plural, "singular": singular, "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

/// What `kubectl get` shows of a kind in one column.
pub(super) fn column(name: &str, kind: &str, path: &str, description: &str) -> Value {
    json!({"name": name, "type": kind, "jsonPath": path, "description": description})
}

fn columns() -> Value {
    json!([
        column("Phase", "string", ".status.phase", "Where in its life it is, as FLAME names it"),
        column("Progress", "integer", ".status.progress", "In percent"),
        column("Run", "integer", ".status.run", "The number of its last run"),
        column("Restarts", "integer", ".status.restarts", "How often it was started again because it was stuck"),
        column("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status", "Whether all of it is there"),
        column("Age", "date", ".metadata.creationTimestamp", "Since when it is there"),
    ])
}

fn schema() -> Value {
    json!({
        "type": "object",
        "description": "One analysis on this node. Its name is the analysis's id; the Secrets flame-harbor-<id> and \
                        flame-tokens-<id> belong to it.",
        "required": ["spec"],
        "x-kubernetes-validations": [{
            "rule": format!("self.metadata.name.matches('^{ID}$')"),
            "message": "the name must be the analysis's id, a UUID in small letters",
        }],
        "properties": {"spec": spec(), "status": status()},
    })
}

fn spec() -> Value {
    json!({
        "type": "object",
        "required": ["projectId", "image"],
        "properties": {
            "projectId": {
                "type": "string", "pattern": format!("^{ID}$"), "description": "The project that it belongs to.",
                "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "an analysis stays with its project"}],
            },
            "image": {
                "type": "string", "minLength": 1, "maxLength": 512,
                "description": "Its image, from an allowed registry; with a digest, or as the Hub names it.",
            },
            "state": {
                "type": "string", "enum": ["Running", "Stopped"], "default": "Running",
                "description": "Whether it is to run.",
            },
            "run": {
                "type": "integer", "format": "int32", "minimum": 1, "maximum": MOST_RUNS, "default": 1,
                "description": "The run that is wanted; a number above that of the last run starts a new one.",
                "x-kubernetes-validations": [{"rule": "self >= oldSelf", "message": "runs are counted upwards"}],
            },
            "progress": {
                "type": "integer", "format": "int32", "minimum": 0, "maximum": 100, "default": 0,
                "description": "How far an earlier run had come, in percent.",
            },
        },
    })
}

fn status() -> Value {
    let number =
        |description: &str| json!({"type": "integer", "format": "int32", "minimum": 0, "description": description});
    let time = |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    json!({
        "type": "object",
        "description": "How far it has come. Written by Flamewarden's controller alone.",
        "properties": {
            "observedGeneration": {"type": "integer", "format": "int64"},
            "run": number("The number of its last run."),
            "phase": {"type": "string", "enum": PHASES},
            "progress": number("In percent."),
            "reported": {
                "type": "object",
                "description": "What the analysis has said of itself by its log lines.",
                "required": ["run", "phase", "progress"],
                "properties": {
                    "run": number("The number of its last run then."),
                    "phase": {"type": "string", "enum": PHASES},
                    "progress": number("In percent."),
                },
            },
            "restarts": number("How often it was started again because it was stuck."),
            "startedAt": time("When the run began."),
            "endedAt": time("When it ended."),
            "conditions": conditions(),
        },
    })
}

/// By Kubernetes' conventions.
pub(super) fn conditions() -> Value {
    let text = |most: u16| json!({"type": "string", "maxLength": most});
    json!({
        "type": "array", "maxItems": 16,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": text(316),
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": text(1024),
                "message": text(32768),
                "lastTransitionTime": {"type": "string", "format": "date-time", "description": "Since when."},
                "observedGeneration": {"type": "integer", "format": "int64"},
            },
        },
    })
}

/// A UUID in small letters, as `model::AnalysisId` reads and writes it.
const ID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
/// Far more than a restart limit lets one have.
const MOST_RUNS: u32 = 1_000_000;
/// As `model::Phase` writes them.
const PHASES: [&str; 8] = ["starting", "started", "stopping", "stopped", "executing", "executed", "stuck", "failed"];
