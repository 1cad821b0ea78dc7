//! What a watch keeps of an object: of a pod what the guard plans by, of a policy of Flamewarden's what it is judged
//! by, and of everybody else's policies that they are there. However large an object is, little of it is held.

use kube::Error;
use kube::core::Status;
use serde_json::{Map, Value};

use super::Kind;
use super::watch::Change;
use crate::facts::Place;
use crate::model::labels::{ADOPTED, APP, POLICY_PREFIX};
use crate::model::{Json, Keep, parse, part};

/// The members of objects of that kind that the guard looks at.
pub fn kept(kind: Kind) -> Keep {
    match kind {
        Kind::Pod => &[
            &["metadata", "name"],
            &["metadata", "namespace"],
            &["metadata", "uid"],
            &["metadata", "resourceVersion"],
            &["metadata", "creationTimestamp"],
            &["metadata", "deletionTimestamp"],
            &["metadata", "labels", APP],
            &["spec", "nodeName"],
            &["spec", "terminationGracePeriodSeconds"],
            &["spec", "schedulingGates"],
        ],
        Kind::NetworkPolicy => &[
            &["metadata", "name"],
            &["metadata", "namespace"],
            &["metadata", "uid"],
            &["metadata", "resourceVersion"],
            &["metadata", "deletionTimestamp"],
            &["metadata", "labels"],
            &["metadata", "annotations", ADOPTED],
            &["metadata", "finalizers"],
            &["spec"],
        ],
        _ => &[&[]],
    }
}

/// The most bytes of that which are kept for the guard. What is longer is no policy that Flamewarden has written, and no
/// pod that it has let in.
pub const FEW_BYTES: usize = 64 << 10;

/// The most where all of a pod is kept, which has 128 KiB at most, or all of an `ImageScan` but its report, whose grounds
/// alone may have as much.
pub const MANY_BYTES: usize = 512 << 10;

/// What an event of a watch says.
#[derive(Debug)]
pub(super) struct Told {
    /// None where it says only how far the watch has come.
    pub(super) change: Option<Change>,
    /// The version that the watch has come to.
    pub(super) version: String,
}

/// Reads the text of an object that stands in a list; none where it has no name.
pub(super) fn item(kind: Kind, text: &[u8]) -> Option<Change> {
    seen(kind, &object(text, &[]))
}

/// Reads the text of an event; of one that is cut off it is still known whom it is about.
pub(super) fn event(kind: Kind, text: &[u8]) -> Result<Told, Error> {
    let object = object(text, &["object"]);
    let broken = || Error::Service("an event of the watch is not acceptable JSON".into());
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    let change = match part(text, &["type"], 1).as_ref().and_then(Json::text) {
        Some("ADDED" | "MODIFIED") => seen(kind, &object),
        Some("DELETED") => place(&object).map(Change::Gone),
        Some("BOOKMARK") => None,
        Some("ERROR") => return Err(failure(&object)),
        _ => return Err(broken()),
    };
    Ok(Told { change, version: version.ok_or_else(broken)?.to_owned() })
}

fn failure(status: &Value) -> Error {
    let code = status.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()).unwrap_or_default();
    let message = status.get("message").and_then(Value::as_str).unwrap_or("the watch broke off");
    Error::Api(Status::failure(message, "").with_code(code).boxed())
}

fn seen(kind: Kind, object: &Value) -> Option<Change> {
    let place = place(object)?;
    let is_strange = kind == Kind::NetworkPolicy && !place.name.starts_with(POLICY_PREFIX);
    let object = if is_strange { Value::Object(Map::new()) } else { object.clone() };
    Some(Change::Seen(place, object))
}

fn place(object: &Value) -> Option<Place> {
    let text = |key: &str| object.pointer(key).and_then(Value::as_str).map(str::to_owned);
    Some(Place { namespace: text("/metadata/namespace").unwrap_or_default(), name: text("/metadata/name")? })
}

/// The object that stands in a text; of one that breaks off who it is.
fn object(text: &[u8], at: &[&str]) -> Value {
    if let Ok(whole) = parse(text) {
        return whole.at(at).map(Json::to_value).unwrap_or_default();
    }
    let known = |key: &&str| {
        let value = part(text, &[at, &["metadata", key]].concat(), 1)?;
        Some(((*key).to_owned(), value.to_value()))
    };
    let metadata: Map<String, Value> = WHO.iter().filter_map(known).collect();
    serde_json::json!({"metadata": metadata})
}

/// The API server writes these before all that can be long.
const WHO: [&str; 5] = ["name", "namespace", "uid", "resourceVersion", "deletionTimestamp"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{ItemCutter, Sieve};

    fn listed(kind: Kind, objects: &[Value]) -> Vec<Change> {
        let mut cutter = ItemCutter::new(kept(kind), FEW_BYTES);
        let mut changes = Vec::new();
        let list = json!({"items": objects}).to_string();
        cutter.feed(list.as_bytes(), |text| changes.extend(item(kind, text)));
        changes
    }

    fn told(kind: Kind, event: &Value) -> Result<Told, Error> {
        let mut sieve = Sieve::of_events(kept(kind), FEW_BYTES);
        // In the API server's order.
        let text = format!(r#"{{"type":{},"object":{}}}"#, event["type"], event["object"]);
        assert!(sieve.feed(text.as_bytes()).is_some());
        super::event(kind, &sieve.taken())
    }

    fn seen(name: &str, object: Value) -> Change {
        Change::Seen(Place { namespace: "flame".to_owned(), name: name.to_owned() }, object)
    }

    /// What somebody else decides to be long, in whichever field.
    fn padded(mut object: Value, pointers: &[(&str, Value)]) -> Value {
        for (pointer, value) in pointers {
            *object.pointer_mut(pointer).unwrap() = value.clone();
        }
        object
    }

    #[test]
    fn of_a_pod_that_is_megabytes_long_what_the_guard_plans_by_is_kept() {
        let long = json!("<".repeat(1_200_000));
        let pod = json!({
            "metadata": {"name": "p", "namespace": "flame", "uid": "u", "resourceVersion": "7", "creationTimestamp": "t",
                "labels": {"app": "analysis-a", "other": "x"}, "annotations": {"a": ""}, "managedFields": []},
            "spec": {"containers": [{"args": []}], "nodeName": "n", "terminationGracePeriodSeconds": 5,
                "schedulingGates": [{"name": "g"}]},
            "status": {"phase": ""},
        });
        let pod = padded(
            pod,
            &[
                ("/metadata/annotations/a", long.clone()),
                ("/metadata/managedFields", json!([long])),
                ("/spec/containers/0/args", json!([long])),
                ("/status/phase", long.clone()),
            ],
        );
        let kept = json!({
            "metadata": {"name": "p", "namespace": "flame", "uid": "u", "resourceVersion": "7", "creationTimestamp": "t",
                "labels": {"app": "analysis-a"}},
            "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 5, "schedulingGates": [{"name": "g"}]},
        });
        assert_eq!(listed(Kind::Pod, std::slice::from_ref(&pod)), [seen("p", kept.clone())]);
        let told = told(Kind::Pod, &json!({"type": "MODIFIED", "object": pod})).unwrap();
        assert_eq!((told.change, told.version.as_str()), (Some(seen("p", kept)), "7"));
    }

    #[test]
    fn of_policies_that_are_not_ours_only_who_they_are_is_kept_and_of_one_that_is_too_long() {
        let policy = |name: &str, spec: Value| {
            json!({"metadata": {"name": name, "namespace": "flame", "uid": "u", "resourceVersion": "7",
                "deletionTimestamp": "t", "labels": {"a": "b"},
                "annotations": {ADOPTED: "u=conforming", "c": "d"}, "finalizers": ["e"]}, "spec": spec})
        };
        let spec = json!({"podSelector": {}, "egress": [{}]});
        let mut own = policy("flamewarden-x", spec.clone());
        own["metadata"]["annotations"].as_object_mut().unwrap().remove("c");
        let long = json!({"podSelector": {}, "egress": vec![spec.clone(); 5000]});
        let stump = json!({"metadata": {"name": "flamewarden-x", "namespace": "flame", "uid": "u",
            "resourceVersion": "7", "deletionTimestamp": "t"}});
        for (name, spec, kept) in [
            ("flamewarden-x", spec.clone(), own),
            ("flamewarden-x", long.clone(), stump),
            ("x", spec, json!({})),
            ("x", long, json!({})),
        ] {
            let policy = policy(name, spec);
            assert_eq!(listed(Kind::NetworkPolicy, std::slice::from_ref(&policy)), [seen(name, kept.clone())]);
            for (word, change) in [
                ("ADDED", Some(seen(name, kept))),
                ("DELETED", Some(Change::Gone(Place { namespace: "flame".to_owned(), name: name.to_owned() }))),
                ("BOOKMARK", None),
            ] {
                let told = told(Kind::NetworkPolicy, &json!({"type": word, "object": policy})).unwrap();
                assert_eq!((told.change, told.version.as_str()), (change, "7"), "{word}");
            }
        }
    }

    #[test]
    fn an_event_that_is_none_is_a_failure() {
        let status = json!({"kind": "Status", "metadata": {}, "code": 410, "message": "too old"});
        for (event, code) in [
            (json!({"type": "ERROR", "object": status}), Some(410)),
            (json!({"type": "ERROR", "object": {}}), Some(0)),
            (json!({"type": "OTHER", "object": {"metadata": {"name": "x", "resourceVersion": "7"}}}), None),
            (json!({"type": "ADDED", "object": {"metadata": {"name": "x"}}}), None),
            (json!({"object": {}}), None),
        ] {
            let failed = match told(Kind::Pod, &event).unwrap_err() {
                Error::Api(status) => Some(status.code),
                _ => None,
            };
            assert_eq!(failed, code, "{event}");
        }
    }
}
