//! What a cleanup consists of, and what is told of it, in FLAME's words.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::model::AnalysisId;

/// One thing that a cleanup may do, in the order in which it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Delete all analyses.
    Analyses,
    /// Delete the message broker's pods, so that they are made anew.
    MessageBroker,
    /// The same of the storage service.
    Storage,
    /// Delete the clients of analyses that are not there.
    Keycloak,
}

/// The types that a caller may name. What belongs to no analysis any more is always cleaned up, by `zombies` as well.
pub(super) const TYPES: [(&str, &[Part]); 7] = [
    ("all", &[Part::Analyses, Part::MessageBroker, Part::Storage, Part::Keycloak]),
    ("analyzes", &[Part::Analyses]),
    ("services", &[Part::MessageBroker, Part::Storage]),
    ("mb", &[Part::MessageBroker]),
    ("rs", &[Part::Storage]),
    ("keycloak", &[Part::Keycloak]),
    (ZOMBIES, &[]),
];

/// What is to be done for types with commas between them, each once.
pub(super) fn parts(types: &str) -> BTreeSet<Part> {
    names(types).filter_map(known).flatten().copied().collect()
}

/// What came of it, by type.
pub(super) fn told(types: &str, done: &BTreeMap<Part, String>, zombies: &str) -> Value {
    let mut told = Map::new();
    for name in names(types) {
        let text = match known(name) {
            Some(parts) => parts.iter().filter_map(|part| done.get(part).cloned()).collect::<Vec<_>>().join("\n"),
            None => format!("Unknown cleanup type: {name} {KNOWN}"),
        };
        told.insert(name.to_owned(), json!(text));
    }
    told.insert(ZOMBIES.to_owned(), json!(zombies));
    Value::Object(told)
}

/// What is told of analyses that were deleted.
pub(super) fn analyses_deleted(ids: &[AnalysisId]) -> String {
    let listed: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
    let (count, listed) = (ids.len(), listed.join(", "));
    format!("Deleted {count} analysis deployments and associated resources from database ([{listed}])")
}

/// What is told of a service's pods that were deleted.
pub(super) fn pods_deleted(service: &str, count: usize) -> String {
    if count == 0 { format!("No pod of the {service} is there") } else { format!("Reset {service}") }
}

fn names(types: &str) -> impl Iterator<Item = &str> {
    types.split(',').map(str::trim)
}

fn known(name: &str) -> Option<&'static [Part]> {
    TYPES.iter().find(|(known, _)| *known == name).map(|(_, parts)| *parts)
}

const ZOMBIES: &str = "zombies";
const KNOWN: &str = "(known types: 'zombies', 'all', 'analyzes', 'keycloak', 'services', 'mb', and 'rs')";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrator::testing::{ID, PROJECT};

    #[test]
    fn each_type_is_what_flame_makes_of_it() {
        use Part::{Analyses, Keycloak, MessageBroker, Storage};
        let text = |part: Part| (part, format!("{part:?} done"));
        let unknown = |name: &str| format!("Unknown cleanup type: {name} {KNOWN}");
        let everything = "Analyses done\nMessageBroker done\nStorage done\nKeycloak done";
        for (types, wanted, want) in [
            ("all", vec![Analyses, MessageBroker, Storage, Keycloak], json!({"all": everything, "zombies": "z"})),
            ("analyzes", vec![Analyses], json!({"analyzes": "Analyses done", "zombies": "z"})),
            (
                "services",
                vec![MessageBroker, Storage],
                json!({"services": "MessageBroker done\nStorage done", "zombies": "z"}),
            ),
            (
                "rs, mb",
                vec![MessageBroker, Storage],
                json!({"mb": "MessageBroker done", "rs": "Storage done", "zombies": "z"}),
            ),
            ("mb,mb", vec![MessageBroker], json!({"mb": "MessageBroker done", "zombies": "z"})),
            ("keycloak", vec![Keycloak], json!({"keycloak": "Keycloak done", "zombies": "z"})),
            ("zombies", vec![], json!({"zombies": "z"})),
            ("All", vec![], json!({"All": unknown("All"), "zombies": "z"})),
            ("", vec![], json!({"": unknown(""), "zombies": "z"})),
            ("x,rs", vec![Storage], json!({"x": unknown("x"), "rs": "Storage done", "zombies": "z"})),
        ] {
            let done = parts(types);
            assert_eq!(done.iter().copied().collect::<Vec<_>>(), wanted, "{types}");
            assert_eq!(told(types, &done.into_iter().map(text).collect(), "z"), want, "{types}");
        }
    }

    #[test]
    fn texts_are_flames() {
        let ids = [ID, PROJECT].map(|id| id.parse().unwrap());
        let listed =
            format!("Deleted 2 analysis deployments and associated resources from database (['{ID}', '{PROJECT}'])");
        assert_eq!(analyses_deleted(&ids), listed);
        assert_eq!(analyses_deleted(&[]), "Deleted 0 analysis deployments and associated resources from database ([])");
        assert_eq!(pods_deleted("message broker", 2), "Reset message broker");
        assert_eq!(pods_deleted("storage service", 0), "No pod of the storage service is there");
    }
}
