//! What canaries have told of the network: a fact with an age. What is not read strictly, is from the future or too old
//! says nothing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What one canary, or all that count together, say of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CanaryResult {
    /// It lets nothing out of a sealed pod from the first packet on.
    Enforced,
    /// It let a sealed pod out.
    NotEnforced,
    /// Nobody can say.
    Unknown,
}

/// What stands in the ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryRecord {
    /// What counts.
    pub result: CanaryResult,
    /// When it was found.
    pub at: Timestamp,
    /// The same for people.
    pub detail: String,
    /// What was found last on each node, the newest first.
    pub nodes: Vec<NodeResult>,
    /// A later run that told nothing.
    pub failed: Option<FailedRun>,
}

/// What was found last on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeResult {
    /// Its name.
    pub node: String,
    /// What was found.
    pub result: CanaryResult,
    /// When.
    pub at: Timestamp,
}

/// A run that told nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRun {
    /// When it ended.
    pub at: Timestamp,
    /// Why.
    pub problem: String,
}

/// What is known of the network now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkKnown {
    /// It enforces.
    Enforced {
        /// When that was found.
        at: Timestamp,
    },
    /// It does not.
    NotEnforced {
        /// When that was found.
        at: Timestamp,
        /// How that was seen.
        detail: String,
    },
    /// Nobody can say; says why.
    Unknown(String),
}

impl NetworkKnown {
    /// What is known by the text of the ConfigMap, or by that there is none.
    pub fn read(stored: Option<&str>, holds: SignedDuration, now: Timestamp) -> Self {
        let Some(text) = stored else { return NetworkKnown::Unknown("no canary has told anything yet".to_owned()) };
        let Some(record) = CanaryRecord::read(text) else {
            return NetworkKnown::Unknown("what a canary has told cannot be read".to_owned());
        };
        let CanaryRecord { result, at, detail, .. } = record;
        if at.duration_since(now) > CLOCKS {
            return NetworkKnown::Unknown(format!("what a canary has told is of {at}, which is yet to come"));
        }
        if now.duration_since(at) > holds {
            return NetworkKnown::Unknown(format!("what a canary told last, at {at}, is too old"));
        }
        match result {
            CanaryResult::Enforced => NetworkKnown::Enforced { at },
            CanaryResult::NotEnforced => NetworkKnown::NotEnforced { at, detail },
            CanaryResult::Unknown => NetworkKnown::Unknown(format!("the canary told nothing at {at}: {detail}")),
        }
    }
}

/// The members of the ConfigMap, all texts.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Data {
    result: CanaryResult,
    at: Timestamp,
    detail: String,
    /// A list as JSON.
    nodes: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl CanaryRecord {
    /// Reads a ConfigMap's text; none where anything in it is not as it was written.
    pub fn read(text: &str) -> Option<Self> {
        let object: Value = serde_json::from_str(text).ok()?;
        let Data { result, at, detail, nodes, failed_at, problem } =
            serde_json::from_value(object.get("data")?.clone()).ok()?;
        let failed = match (failed_at, problem) {
            (None, None) => None,
            (Some(at), Some(problem)) => Some(FailedRun { at, problem }),
            _ => return None,
        };
        Some(CanaryRecord { result, at, detail, nodes: serde_json::from_str(&nodes).ok()?, failed })
    }

    /// The ConfigMap's `data`.
    pub fn written(&self) -> Value {
        let (failed_at, problem) = self.failed.as_ref().map(|failed| (failed.at, failed.problem.clone())).unzip();
        let nodes = json!(self.nodes).to_string();
        json!(Data { result: self.result, at: self.at, detail: self.detail.clone(), nodes, failed_at, problem })
    }
}

/// By which clocks may differ.
const CLOCKS: SignedDuration = SignedDuration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    fn known(data: &Value) -> NetworkKnown {
        NetworkKnown::read(Some(&json!({"data": data}).to_string()), SignedDuration::from_mins(180), now())
    }

    fn data(result: &str, at: &str) -> Value {
        json!({"result": result, "at": at, "detail": "as the test says", "nodes": "[]"})
    }

    #[test]
    fn a_result_holds_as_long_as_it_is_written_and_nothing_else_is_one() {
        let noon = || "2026-11-22T12:00:00Z";
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        for (told, want) in [
            (data("enforced", noon()), NetworkKnown::Enforced { at: now() }),
            (data("enforced", "2026-11-22T09:00:00Z"), NetworkKnown::Enforced { at: at("2026-11-22T09:00:00Z") }),
            (data("enforced", "2026-11-22T12:00:30Z"), NetworkKnown::Enforced { at: at("2026-11-22T12:00:30Z") }),
            (
                data("notEnforced", noon()),
                NetworkKnown::NotEnforced { at: now(), detail: "as the test says".to_owned() },
            ),
        ] {
            assert_eq!(known(&told), want, "{told}");
        }
        let with = |key: &str, value: Value| {
            let mut told = data("enforced", noon());
            told[key] = value;
            told
        };
        let mut without = data("enforced", noon());
        without.as_object_mut().unwrap().remove("nodes");
        for (told, why) in [
            (data("unknown", noon()), "told nothing"),
            (data("enforced", "2026-11-22T08:59:59Z"), "too old"),
            (data("notEnforced", "2026-11-22T08:59:59Z"), "too old"),
            (data("enforced", "2026-11-22T12:00:31Z"), "yet to come"),
            (data("Enforced", noon()), "cannot be read"),
            (data("yes", noon()), "cannot be read"),
            (data("enforced", "today"), "cannot be read"),
            (data("enforced", "2026-11-22"), "cannot be read"),
            (with("more", json!("x")), "cannot be read"),
            (with("nodes", json!("node-1")), "cannot be read"),
            (with("problem", json!("without a time")), "cannot be read"),
            (without, "cannot be read"),
            (Value::Null, "cannot be read"),
        ] {
            let NetworkKnown::Unknown(said) = known(&told) else { panic!("{told}") };
            assert!(said.contains(why), "{told}: {said}");
        }
        let none = NetworkKnown::read(None, SignedDuration::from_mins(180), now());
        assert_eq!(none, NetworkKnown::Unknown("no canary has told anything yet".to_owned()));
        let broken = NetworkKnown::read(Some("{"), SignedDuration::from_mins(180), now());
        assert_eq!(broken, NetworkKnown::Unknown("what a canary has told cannot be read".to_owned()));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for failed in [None, Some(FailedRun { at: now(), problem: "no pod".to_owned() })] {
            let node = NodeResult { node: "node-1".to_owned(), result: CanaryResult::NotEnforced, at: now() };
            let (result, detail) = (CanaryResult::NotEnforced, "at first".to_owned());
            let record = CanaryRecord { result, at: now(), detail, nodes: vec![node], failed };
            let written = record.written();
            assert!(written.as_object().unwrap().values().all(Value::is_string), "{written}");
            assert_eq!(CanaryRecord::read(&json!({"data": written}).to_string()), Some(record));
        }
    }
}
