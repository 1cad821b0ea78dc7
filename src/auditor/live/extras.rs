//! What a stored object says besides what was printed for it: defaults of the API server's are nothing, all else is.
//! Pure.

use serde_json::{Value, json};

use crate::model::{FieldPath, Segment};

/// The fields that a stored object has and the printed one has not, but for its status, its metadata and the defaults.
/// Of a network policy none: its spec is compared whole.
pub(crate) fn extras(stored: &Value, printed: &Value) -> Vec<FieldPath> {
    if printed.get("kind").is_some_and(|kind| kind == "NetworkPolicy") {
        return Vec::new();
    }
    let (Value::Object(stored), Value::Object(printed)) = (stored, printed) else { return Vec::new() };
    let mut found = Vec::new();
    for (key, stored) in stored.iter().filter(|(key, _)| !LEFT_OUT.contains(&key.as_str())) {
        below(key, stored, printed.get(key), &FieldPath::default(), &mut found);
    }
    found
}

fn below(key: &str, stored: &Value, printed: Option<&Value>, path: &FieldPath, found: &mut Vec<FieldPath>) {
    let path = path.key(key);
    match printed {
        None if is_default(key, stored) => {}
        None => found.push(path),
        Some(printed) => within(stored, printed, &path, found),
    }
}

fn within(stored: &Value, printed: &Value, path: &FieldPath, found: &mut Vec<FieldPath>) {
    match (stored, printed) {
        (Value::Object(stored), Value::Object(printed)) => {
            for (key, stored) in stored {
                below(key, stored, printed.get(key), path, found);
            }
        }
        // Of lists of another length the comparison of what was printed tells.
        (Value::Array(stored), Value::Array(printed)) if stored.len() == printed.len() => {
            for (index, (stored, printed)) in stored.iter().zip(printed).enumerate() {
                within(stored, printed, &path.index(index), found);
            }
        }
        _ => {}
    }
}

/// Whether the API server fills that in by itself, in objects of the kinds that are printed: a value that it is known to
/// give, an object of nothing but such values, or nothing.
fn is_default(key: &str, value: &Value) -> bool {
    if GIVEN.contains(&key) {
        return true;
    }
    match value {
        Value::Null => true,
        // What selects nothing in particular is never added for nothing.
        Value::Object(members) if members.is_empty() => !MEANS_ALL.contains(&key),
        Value::Object(members) => members.iter().all(|(key, value)| is_default(key, value)),
        Value::Array(items) if items.is_empty() => !MEANS_ALL.contains(&key),
        Value::Array(_) => key == "finalizers" && *value == json!(["kubernetes"]),
        Value::String(text) => DEFAULTS.iter().any(|(known, default)| *known == key && text == default),
        Value::Number(_) => NUMBERS.iter().any(|(known, number)| *known == key && *value == json!(number)),
        Value::Bool(value) => key == "preserveUnknownFields" && !value,
    }
}

/// Whether a path of the comparison is one whose value others own.
pub(crate) fn is_others(path: &FieldPath) -> bool {
    path.segments().iter().any(|segment| matches!(segment, Segment::Key(key) if key == "caBundle"))
}

const LEFT_OUT: &[&str] = &["apiVersion", "kind", "metadata", "status"];
/// An empty one of these is wider than none.
const MEANS_ALL: &[&str] = &["from", "to", "ports", "ingress", "egress", "podSelector"];
/// Whatever it is, the API server or the part that owns it has given it.
const GIVEN: &[&str] = &[
    "caBundle",
    "clusterIP",
    "clusterIPs",
    "creationTimestamp",
    "ipFamilies",
    "ipFamilyPolicy",
    "listKind",
    "serviceAccount",
    "singular",
    "volumeName",
    "storageClassName",
];
const DEFAULTS: &[(&str, &str)] = &[
    ("apiVersion", "v1"),
    ("dnsPolicy", "ClusterFirst"),
    ("failurePolicy", "Fail"),
    ("imagePullPolicy", "IfNotPresent"),
    ("internalTrafficPolicy", "Cluster"),
    ("matchPolicy", "Equivalent"),
    ("maxSurge", "25%"),
    ("maxUnavailable", "25%"),
    ("protocol", "TCP"),
    ("reinvocationPolicy", "Never"),
    ("restartPolicy", "Always"),
    ("schedulerName", "default-scheduler"),
    ("scheme", "HTTP"),
    ("scope", "*"),
    ("sessionAffinity", "None"),
    ("strategy", "None"),
    ("terminationMessagePath", "/dev/termination-log"),
    ("terminationMessagePolicy", "File"),
    ("type", "ClusterIP"),
    ("type", "RollingUpdate"),
    ("volumeMode", "Filesystem"),
];
const NUMBERS: &[(&str, i64)] = &[
    ("defaultMode", 420),
    ("failureThreshold", 3),
    ("periodSeconds", 10),
    ("port", 443),
    ("progressDeadlineSeconds", 600),
    ("revisionHistoryLimit", 10),
    ("successThreshold", 1),
    ("terminationGracePeriodSeconds", 30),
    ("timeoutSeconds", 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_printed_is_found_and_defaults_are_not() {
        let printed = json!({
            "metadata": {"name": "x"},
            "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "i"}]}}},
            "data": {"a.yaml": "text"},
        });
        for (pointer, value, want) in [
            ("/spec/template/spec/dnsPolicy", json!("ClusterFirst"), ""),
            ("/spec/template/spec/dnsPolicy", json!("Default"), "spec.template.spec.dnsPolicy"),
            ("/spec/template/spec/securityContext", json!({}), ""),
            ("/spec/template/spec/hostNetwork", json!(true), "spec.template.spec.hostNetwork"),
            ("/spec/template/spec/containers/0/env", json!([{"name": "X"}]), "spec.template.spec.containers[0].env"),
            ("/spec/template/spec/containers/0/terminationMessagePolicy", json!("File"), ""),
            ("/spec/revisionHistoryLimit", json!(10), ""),
            ("/spec/revisionHistoryLimit", json!(0), "spec.revisionHistoryLimit"),
            ("/spec/egress", json!([]), "spec.egress"),
            ("/spec/conversion", json!({"strategy": "None"}), ""),
            ("/spec/conversion", json!({"strategy": "Webhook", "webhook": {"clientConfig": {}}}), "spec.conversion"),
            ("/spec/finalizers", json!(["kubernetes"]), ""),
            ("/spec/finalizers", json!(["other"]), "spec.finalizers"),
            ("/data/b.yaml", json!("more"), "data[\"b.yaml\"]"),
            ("/metadata/annotations", json!({"a": "b"}), ""),
            ("/status", json!({"replicas": 1}), ""),
            ("/rules", json!([{"verbs": ["*"]}]), "rules"),
        ] {
            let mut stored = printed.clone();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            stored.pointer_mut(parent).unwrap()[key] = value.clone();
            let found: Vec<String> = extras(&stored, &printed).iter().map(FieldPath::to_string).collect();
            assert_eq!(found.join(" "), want, "{pointer}: {value}");
        }
    }
}
