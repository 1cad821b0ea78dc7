//! The OpenAPI document of the API, made from the table of its routes.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::route::{Operation, ROUTES, Rest, Row};
use super::schemas::{reference, schemas};

/// The document as it is served.
pub(super) static DOCUMENT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));

/// Everything that can be asked, with what is sent and what is answered.
fn document() -> Value {
    let mut paths = Map::new();
    for row in ROUTES {
        for (path, parameter) in places(row) {
            let method = row.method.to_lowercase();
            paths.insert(path.clone(), json!({method: described(row.operation, &path, parameter)}));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Flamewarden's orchestrator",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Runs analyses, as FLAME's Pod Orchestrator does.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "security": [{"bearer": []}],
    })
}

/// What stands in braces in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parameter {
    None,
    Analysis,
    Types,
}

/// The paths of a row. A slash at the end changes nothing anywhere; where FLAME's own document has it, it is told.
fn places(row: &Row) -> Vec<(String, Parameter)> {
    let path = row.path();
    let with = |rest: &str| format!("{path}/{rest}");
    match (row.operation, row.rest) {
        (Operation::Create, _) => vec![(path.clone(), Parameter::None), (with(""), Parameter::None)],
        (_, Rest::Never) => vec![(path, Parameter::None)],
        (_, Rest::Maybe) => vec![(path.clone(), Parameter::None), (with("{analysis_id}"), Parameter::Analysis)],
        (_, Rest::Always) => vec![(with("{cleanup_type}"), Parameter::Types)],
    }
}

/// One operation at one path.
fn described(operation: Operation, path: &str, parameter: Parameter) -> Value {
    let mut described = json!({
        "operationId": path.trim_start_matches('/').replace('/', "_").replace(['{', '}'], ""),
        "tags": ["po"],
        "summary": summary(operation, parameter),
        "responses": answers(operation, parameter),
    });
    let mut add = |key: &str, value: Value| {
        described.as_object_mut().and_then(|members| members.insert(key.to_owned(), value));
    };
    match parameter {
        Parameter::None => {}
        Parameter::Analysis => add("parameters", json!([in_path("analysis_id", &reference("AnalysisId"))])),
        Parameter::Types => add("parameters", json!([in_path("cleanup_type", &reference("CleanupTypes"))])),
    }
    match operation {
        Operation::Create => add("requestBody", sent("CreateAnalysis")),
        Operation::StreamLogs => add("requestBody", sent("CreateLogEntity")),
        Operation::Healthz => add("security", json!([])),
        _ => {}
    }
    described
}

fn in_path(name: &str, schema: &Value) -> Value {
    json!({"name": name, "in": "path", "required": true, "schema": schema})
}

fn sent(schema: &str) -> Value {
    json!({"required": true, "content": {"application/json": {"schema": reference(schema)}}})
}

fn summary(operation: Operation, parameter: Parameter) -> &'static str {
    let one = parameter == Parameter::Analysis;
    match operation {
        Operation::Create => "Run an analysis; asked again while it runs, nothing changes.",
        Operation::Status if one => "How the analysis is, and how far it says it has come.",
        Operation::Status => "How all analyses are, and how far they say they have come.",
        Operation::Logs if one => "What the analysis and its gateway write, while it executes.",
        Operation::Logs => "What all analyses that execute and their gateways write.",
        Operation::History if one => "What the analysis and its gateway have written, once it has ended.",
        Operation::History => "What all analyses that have ended and their gateways have written.",
        Operation::Pods if one => "The names of the analysis's pods.",
        Operation::Pods => "The names of all analyses' pods.",
        Operation::Stop if one => "Stop the analysis; it is kept.",
        Operation::Stop => "Stop all analyses; they are kept.",
        Operation::Delete if one => "Stop and forget the analysis.",
        Operation::Delete => "Stop and forget all analyses.",
        Operation::Cleanup => "Put things in order: see the types.",
        Operation::StreamLogs => {
            "A log line that an analysis writes; an analysis may write its own with its own token."
        }
        Operation::Healthz => "Whether the API answers; no token is asked for.",
    }
}

/// All that may be answered, by status.
fn answers(operation: Operation, parameter: Parameter) -> Value {
    let (status, schema, means) = success(operation);
    let mut all = Map::new();
    let mut add = |status: u16, schema: &str, means: &str| {
        let content = json!({"application/json": {"schema": reference(schema)}});
        all.insert(status.to_string(), json!({"description": means, "content": content}));
    };
    add(status, schema, means);
    if operation == Operation::Healthz {
        return Value::Object(all);
    }
    add(401, "Error", "no token, or one that counts for nothing");
    add(403, "Error", "a good token, and not for this");
    add(500, "Error", "something went wrong; what, stands in the log");
    add(503, "Error", "nobody can say whether the token is good, or the policies in force have no API");
    let takes = matches!(operation, Operation::Create | Operation::StreamLogs);
    if takes || parameter == Parameter::Analysis {
        add(422, "HTTPValidationError", "what is wrong with what was sent");
    }
    if takes {
        add(400, "Error", "the body is no UTF-8");
        add(408, "Error", "the body did not come in time");
        add(413, "Error", "the body is too large");
    }
    if operation == Operation::Create {
        add(409, "Error", "the analysis belongs to another project, or is being deleted");
    }
    if operation == Operation::StreamLogs {
        add(429, "Error", "the analysis changes its status or progress too often");
    }
    Value::Object(all)
}

fn success(operation: Operation) -> (u16, &'static str, &'static str) {
    match operation {
        Operation::Create => (201, "Created", "it runs, or will"),
        Operation::Status => (200, "Statuses", "by the id of the analysis; one that is not known is left out"),
        Operation::Logs | Operation::History => (200, "Logs", "the pods' logs by the id of the analysis"),
        Operation::Pods => (200, "Pods", "by the id of the analysis"),
        Operation::Stop => (200, "Stopped", "how each is once it is stopped; one that is not known is left out"),
        Operation::Delete => (200, "Deleted", "the ids of those that go"),
        Operation::Cleanup => (200, "Cleaned", "by the type what was done, and always for `zombies`"),
        Operation::StreamLogs => (200, "Nothing", "the line was taken"),
        Operation::Healthz => (200, "Health", "it answers"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::orchestrator::api::route::route;

    const ID: &str = "0d8a1f2e-1c2b-4d3e-8f40-1a2b3c4d5e6f";

    #[test]
    fn what_the_document_says_is_routed_and_every_route_is_in_it() {
        let document = document();
        let mut told = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                let asked = path.replace("{analysis_id}", ID).replace("{cleanup_type}", "all");
                let found = route(&method.to_uppercase(), &asked).unwrap();
                told.insert((format!("{:?}", found.operation), found.rest.is_some()));
            }
        }
        let mut there = BTreeSet::new();
        for row in ROUTES {
            let named = |rest| (format!("{:?}", row.operation), rest);
            match row.rest {
                Rest::Never => drop(there.insert(named(false))),
                Rest::Always => drop(there.insert(named(true))),
                Rest::Maybe => there.extend([named(false), named(true)]),
            }
        }
        assert_eq!(told, there);
        assert_eq!(document["paths"].as_object().unwrap().len(), there.len() + 1, "creation has two paths");
    }

    #[test]
    fn the_document_is_the_one_that_is_committed() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi.json");
        if std::env::var_os("WRITE").is_some() {
            std::fs::write(file, DOCUMENT.as_str()).unwrap();
        }
        let committed = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            committed == *DOCUMENT,
            "the API says something else than {file}; run this test with WRITE=1 and look at the change"
        );
    }

    #[test]
    fn every_schema_that_is_named_is_there_and_every_one_there_is_named() {
        let text = document().to_string();
        let named =
            text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        let there = document()["components"]["schemas"].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(named.collect::<BTreeSet<_>>(), there);
    }
}
