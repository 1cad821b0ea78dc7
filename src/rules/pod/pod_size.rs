//! How long a guarded pod may be, which rule `fields` says.
//!
//! What is stored of a pod is read again and again by whoever guards it, and who makes it decides how long it is.

use super::fields;
use crate::model::{Finding, Hold, Json, PodView};

/// The finding about a pod that is longer than [`MOST`]; no mode and no exception softens it.
pub(super) fn excess(pod: &PodView<'_>) -> Option<Finding> {
    let all_fit = |length: Length| {
        let mut left = MOST;
        ["metadata", "spec"].into_iter().all(|part| pod.at(&[part]).is_none_or(|part| fits(part, length, &mut left)))
    };
    // Of a pod as pods are, nobody has to look at every letter.
    if all_fit(longest) || all_fit(exact) {
        return None;
    }
    let message = format!("longer than {} KiB of JSON; pass data in another way than by the pod itself", MOST >> 10);
    let finding = fields::RULE.stamped(Finding::new(fields::RULE.id, pod.path(&["spec"]), None, message));
    Some(Finding { hold: Hold::Always, ..finding })
}

/// How long a text is as the API server writes it.
type Length = fn(&str) -> usize;

/// Whether a value, as the API server writes it, is no longer than what is left.
fn fits(json: &Json<'_>, length: Length, left: &mut usize) -> bool {
    let own = match json {
        Json::String(text) => length(text),
        Json::Skipped => 0,
        _ => BRACKETS,
    };
    let Some(rest) = left.checked_sub(own) else { return false };
    *left = rest;
    json.items().iter().all(|item| fits(item, length, left))
        && json.entries().iter().all(|(key, value)| {
            *left = left.saturating_sub(length(key));
            fits(value, length, left)
        })
}

/// With its quotes and what stands behind it. The API server writes some letters as `\\u003c`.
fn exact(text: &str) -> usize {
    let escapes = text.bytes().filter(|byte| *byte < b' ' || b"<>&\"\\".contains(byte)).count();
    text.len() + 3 + 5 * escapes
}

/// No text is longer.
fn longest(text: &str) -> usize {
    6 * text.len() + 3
}

const MOST: usize = 128 << 10;
/// And short words and numbers.
const BRACKETS: usize = 3;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::MOST;
    use crate::policy::Role;
    use crate::rules::pod::Stage;
    use crate::rules::pod::testing::{all_findings, changed, policies};

    fn is_too_long(pointer: &str, value: Value) -> bool {
        let pod = changed(Role::Analysis, &[(pointer, value)]);
        let findings = all_findings(&pod, &policies().analysis, Stage::Create);
        findings.contains(&"fields: spec (absent): no remedy".to_owned())
    }

    #[test]
    fn a_pod_is_short_as_the_api_server_writes_it() {
        for (long, want) in [
            (vec!["x".repeat(MOST - 10_000)], false),
            (vec!["x".repeat(MOST)], true),
            (vec!["<".repeat(MOST / 6 - 1000)], false),
            (vec!["<".repeat(MOST / 6)], true),
            (vec!["x".to_owned(); MOST / 4 - 1000], false),
            (vec!["x".to_owned(); MOST / 4], true),
        ] {
            let shown = (long.len(), long[0].len());
            for pointer in ["/spec/containers/0/args", "/metadata/x"] {
                assert_eq!(is_too_long(pointer, json!(long)), want, "{shown:?} at {pointer}");
            }
        }
        for pointer in ["/metadata/managedFields", "/status"] {
            assert!(!is_too_long(pointer, json!(["x".repeat(MOST)])), "{pointer} is not of who makes it");
        }
    }
}
