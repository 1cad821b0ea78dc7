//! Objects as YAML, one document each, in their order.

use serde_json::Value;

/// The objects as one YAML text that `kubectl apply -f` takes.
///
/// # Errors
/// An object cannot be written as YAML.
pub fn to_yaml(objects: &[Value]) -> Result<String, serde_saphyr::ser::Error> {
    let documents: Result<Vec<String>, _> = objects.iter().map(serde_saphyr::to_string).collect();
    Ok(documents?.join("---\n"))
}
