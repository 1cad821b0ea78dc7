//! Whether a pod's gate may open: everything judged again from a consistent read.

use std::collections::BTreeMap;

use json_patch::jsonptr::PointerBuf;
use json_patch::{Patch, PatchOperation, RemoveOperation, TestOperation};
use serde_json::json;

use crate::model::labels::NETWORK_GATE;
use crate::model::{Finding, Json};

/// Why a gate stays.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// The pod itself, or the policies that select it.
    Findings(Vec<Finding>),
    /// Another owner has this identity; holds that owner's uid.
    Taken(String),
    /// The pod is not what its controllers make.
    Strange,
    /// The network is not known to enforce what the policies say; says how it stands and what to do.
    Network(String),
    /// What was read is not what it should be; says what.
    Unreadable(String),
}

/// The patch that opens the gate of exactly the version that was judged; none where the gate is open already.
pub(super) fn opening(pod: &Json<'_>) -> Option<Patch> {
    let version = pod.text_at(&["metadata", "resourceVersion"])?;
    let gates = pod.at(&["spec", "schedulingGates"])?.items();
    let index = gates.iter().position(|gate| gate.text_at(&["name"]) == Some(NETWORK_GATE))?;
    let gate = PointerBuf::from_tokens(["spec", "schedulingGates", &index.to_string()]);
    let version_at = PointerBuf::from_tokens(["metadata", "resourceVersion"]);
    Some(Patch(vec![
        PatchOperation::Test(TestOperation { path: version_at, value: json!(version) }),
        PatchOperation::Test(TestOperation { path: gate.clone(), value: json!({"name": NETWORK_GATE}) }),
        PatchOperation::Remove(RemoveOperation { path: gate }),
    ]))
}

/// One text for a refusal's log line and Event: rules with their fields, never values.
pub(super) fn summary(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Taken(owner) => format!("pods of another owner (uid {owner}) have this identity and were first"),
        Refusal::Strange => "what the pod runs is not what its controllers' templates say: they adopted it, \
                             or they have changed since"
            .to_owned(),
        Refusal::Network(what) | Refusal::Unreadable(what) => what.clone(),
        Refusal::Findings(findings) => {
            let mut rules: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for finding in findings {
                rules.entry(finding.rule.as_ref()).or_default().push(finding.path.to_string());
            }
            let rules: Vec<String> =
                rules.into_iter().map(|(rule, paths)| format!("{rule} ({})", paths.join(", "))).collect();
            rules.join("; ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse;

    #[test]
    fn opening_is_bound_to_the_version_that_was_judged() {
        let text = format!(
            r#"{{"metadata":{{"resourceVersion":"7"}},
                "spec":{{"schedulingGates":[{{"name":"x"}},{{"name":"{NETWORK_GATE}"}}]}}}}"#
        );
        let pod = parse(text.as_bytes()).unwrap();
        assert_eq!(
            serde_json::to_value(opening(&pod).unwrap()).unwrap(),
            json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
                {"op": "test", "path": "/spec/schedulingGates/1", "value": {"name": NETWORK_GATE}},
                {"op": "remove", "path": "/spec/schedulingGates/1"},
            ])
        );
        assert_eq!(opening(&parse(br#"{"metadata":{"resourceVersion":"7"},"spec":{}}"#).unwrap()), None);
    }
}
