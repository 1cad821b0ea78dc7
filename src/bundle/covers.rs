//! Whether a stored object still says what we want it to say, and where it does not.

use serde_json::Value;

use crate::isolation;
use crate::model::{FieldPath, Segment};
use crate::policy::Quantity;

/// The fields of an object that are stored in another way than is wanted. What `wanted` does not speak of may be
/// anything, since the API server and other managers fill fields in; a list is compared whole, as one field where it has
/// more or fewer items. `apiVersion` and `kind` are left out: items of lists do not repeat them. The spec of a network
/// policy is compared whole, since what else it says lets more through.
pub fn differences(stored: &Value, wanted: &Value) -> Vec<FieldPath> {
    let mut found = unlike(stored, wanted, false);
    found.retain(|path| !matches!(path.as_slice(), [Segment::Key(key)] if key == "apiVersion" || key == "kind"));
    if wanted.get("kind").is_some_and(|kind| kind == "NetworkPolicy") {
        let is_spec = |segment: Option<&Segment>| matches!(segment, Some(Segment::Key(key)) if key == "spec");
        found.retain(|path| !is_spec(path.last()));
        found.extend(isolation::says_else(stored, wanted).then(|| vec![Segment::Key("spec".to_owned())]));
    }
    found.into_iter().map(|path| path.into_iter().rev().collect()).collect()
}

/// Whether there are none.
pub fn covers(stored: &Value, wanted: &Value) -> bool {
    differences(stored, wanted).is_empty()
}

/// Paths, innermost segment first. The API server writes quantities in a form of its own: `2` for `2000m`, `1Gi` for
/// `1024Mi`.
fn unlike(stored: &Value, wanted: &Value, are_quantities: bool) -> Vec<Vec<Segment>> {
    let below = |segment: Segment, mut paths: Vec<Vec<Segment>>| {
        paths.iter_mut().for_each(|path| path.push(segment.clone()));
        paths
    };
    match (stored, wanted) {
        (Value::Object(stored), Value::Object(wanted)) => wanted
            .iter()
            .flat_map(|(key, wanted)| {
                let are_quantities = are_quantities || QUANTITIES.contains(&key.as_str());
                let found = stored.get(key).map(|stored| unlike(stored, wanted, are_quantities));
                let found = found.unwrap_or_else(|| vec![Vec::new()]);
                if found.is_empty() { found } else { below(Segment::Key(key.clone()), found) }
            })
            .collect(),
        (Value::Array(stored), Value::Array(wanted)) if stored.len() == wanted.len() => {
            let items = stored.iter().zip(wanted).enumerate();
            items
                .flat_map(|(index, (stored, wanted))| below(Segment::Index(index), unlike(stored, wanted, false)))
                .collect()
        }
        (Value::String(stored), Value::String(wanted)) if are_quantities && same_quantity(stored, wanted) => Vec::new(),
        (stored, wanted) if stored == wanted => Vec::new(),
        _ => vec![Vec::new()],
    }
}

fn same_quantity(stored: &str, wanted: &str) -> bool {
    match (Quantity::parse(stored), Quantity::parse(wanted)) {
        (Some(stored), Some(wanted)) => !stored.exceeds(&wanted) && !wanted.exceeds(&stored),
        _ => false,
    }
}

/// The fields that hold quantities.
const QUANTITIES: [&str; 3] = ["limits", "requests", "sizeLimit"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{covers, differences};

    #[test]
    fn quantities_are_compared_by_what_they_are() {
        for (stored, wanted, want) in [
            (
                json!({"limits": {"cpu": "2", "memory": "1Gi"}}),
                json!({"limits": {"cpu": "2000m", "memory": "1024Mi"}}),
                true,
            ),
            (json!({"requests": {"cpu": "500m"}}), json!({"requests": {"cpu": "0.5"}}), true),
            (json!({"sizeLimit": "1Gi"}), json!({"sizeLimit": "1024Mi"}), true),
            (json!({"limits": {"cpu": "2"}}), json!({"limits": {"cpu": "1"}}), false),
            (json!({"limits": {}}), json!({"limits": {"cpu": "1"}}), false),
            (json!({"image": "2"}), json!({"image": "2000m"}), false),
        ] {
            assert_eq!(covers(&stored, &wanted), want, "{wanted}");
        }
    }

    #[test]
    fn what_is_wanted_must_be_there_and_nothing_may_stand_beside_it_in_a_list() {
        let stored = json!({"a": 1, "b": [{"c": 2, "d": 3}], "e": "filled in"});
        for (wanted, want) in [
            (json!({"a": 1}), true),
            (json!({"a": 1, "b": [{"c": 2}]}), true),
            (json!({"a": 2}), false),
            (json!({"b": []}), false),
            (json!({"b": [{"c": 2}, {"c": 2}]}), false),
            (json!({"b": [{"c": 3}]}), false),
            (json!({"f": null}), false),
            (json!({"a": "1"}), false),
        ] {
            assert_eq!(covers(&stored, &wanted), want, "{wanted}");
        }
    }

    #[test]
    fn a_network_policy_says_what_is_wanted_and_nothing_besides() {
        let closed = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": []});
        let wanted = json!({"kind": "NetworkPolicy", "metadata": {"name": "a"}, "spec": closed});
        for (field, value, want) in [
            // The API server stores no empty lists.
            ("ingress", json!(null), ""),
            ("egress", json!([]), ""),
            ("egress", json!([{}]), "spec"),
            ("ingress", json!([{}]), "spec"),
            ("policyTypes", json!(["Ingress"]), "spec"),
            ("podSelector", json!({"matchLabels": {"a": "b"}}), "spec"),
        ] {
            let mut stored = json!({"metadata": {"name": "a", "uid": "u"}, "spec": closed});
            stored["spec"][field] = value.clone();
            let named: Vec<String> = differences(&stored, &wanted).iter().map(ToString::to_string).collect();
            assert_eq!(named.join(" "), want, "{field}: {value}");
        }
        let stored = json!({"metadata": {"name": "b"}, "spec": closed});
        assert_eq!(differences(&stored, &wanted).len(), 1, "its name");
    }

    #[test]
    fn each_field_that_is_another_is_named() {
        let stored = json!({
            "kind": "Other",
            "metadata": {"labels": {"a/b": "c"}},
            "spec": {"items": [{"a": 1}, {"a": 2, "limits": {"cpu": "2"}}], "more": [1], "kind": "x"},
        });
        let wanted = json!({
            "kind": "Deployment", "apiVersion": "apps/v1",
            "metadata": {"labels": {"a/b": "d"}},
            "spec": {"items": [{"a": 1}, {"a": 3, "limits": {"cpu": "3"}}], "more": [1, 2], "kind": "y", "none": {}},
        });
        let named: Vec<String> = differences(&stored, &wanted).iter().map(ToString::to_string).collect();
        let want = [
            "metadata.labels[\"a/b\"]",
            "spec.items[1].a",
            "spec.items[1].limits.cpu",
            "spec.kind",
            "spec.more",
            "spec.none",
        ];
        assert_eq!(named, want);
    }
}
