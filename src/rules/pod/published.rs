//! The fields of pods that an API server publishes, held against the classification.

use serde_json::Value;

use super::field_table::{Class, Field, SPEC, Shape, row};

/// The fields of PodSpec in an OpenAPI v3 document of core/v1 that no row classifies, and places that it does
/// not describe as we know them; none where the document has no PodSpec.
pub fn unclassified_fields(document: &Value) -> Option<Vec<String>> {
    let spec = document.pointer("/components/schemas/io.k8s.api.core.v1.PodSpec")?;
    let mut found = Vec::new();
    walk_object(document, spec, SPEC, "spec", &mut found);
    Some(found)
}

/// Goes as deep as the table does, which has an end whatever the document says.
fn walk(document: &Value, schema: &Value, shape: &'static Shape, path: &str, found: &mut Vec<String>) {
    let schema = resolved(document, schema);
    match shape {
        Shape::Object(fields) => walk_object(document, schema, fields, path, found),
        Shape::List(item) => match schema.get("items") {
            Some(schema) => walk(document, schema, item, &format!("{path}[]"), found),
            None => found.push(path.to_owned()),
        },
        Shape::Map(member) => match schema.get("additionalProperties") {
            Some(schema) => walk(document, schema, member, &format!("{path}{{}}"), found),
            None => found.push(path.to_owned()),
        },
        Shape::Text | Shape::Integer | Shape::Boolean | Shape::Amount | Shape::Port | Shape::Any => {}
    }
}

fn walk_object(document: &Value, schema: &Value, fields: &'static [Field], path: &str, found: &mut Vec<String>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        found.push(path.to_owned());
        return;
    };
    for (key, schema) in properties {
        let path = format!("{path}.{key}");
        match row(fields, key) {
            None => found.push(path),
            Some(Field { class: Class::Refused(_), .. }) => {}
            Some(field) => walk(document, schema, &field.shape, &path, found),
        }
    }
}

/// What a schema refers to: `$ref`, or the one `$ref` of an `allOf` that gives it a default.
fn resolved<'v>(document: &'v Value, schema: &'v Value) -> &'v Value {
    let reference = schema.get("$ref").or_else(|| schema.pointer("/allOf/0/$ref")).and_then(Value::as_str);
    let pointer = reference.and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(schema)
}
