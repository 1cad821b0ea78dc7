//! Whether a stored object still says what we want it to say.

use serde_json::Value;

use crate::policy::Quantity;

/// Whether everything that `wanted` says is so in `stored`. What `wanted` does not speak of may be anything, since the
/// API server and other managers fill fields in; a list is compared whole.
pub(super) fn covers(stored: &Value, wanted: &Value) -> bool {
    match (stored, wanted) {
        (Value::Object(stored), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            let same = if QUANTITIES.contains(&key.as_str()) { same_quantities } else { covers };
            stored.get(key).is_some_and(|stored| same(stored, wanted))
        }),
        (Value::Array(stored), Value::Array(wanted)) => {
            stored.len() == wanted.len() && stored.iter().zip(wanted).all(|(stored, wanted)| covers(stored, wanted))
        }
        (stored, wanted) => stored == wanted,
    }
}

/// The API server writes quantities in a form of its own: `2` for `2000m`, `1Gi` for `1024Mi`.
fn same_quantities(stored: &Value, wanted: &Value) -> bool {
    match (stored, wanted) {
        (Value::Object(stored), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| stored.get(key).is_some_and(|stored| same_quantities(stored, wanted)))
        }
        (Value::String(stored), Value::String(wanted)) => match (Quantity::parse(stored), Quantity::parse(wanted)) {
            (Some(stored), Some(wanted)) => !stored.exceeds(&wanted) && !wanted.exceeds(&stored),
            _ => stored == wanted,
        },
        (stored, wanted) => stored == wanted,
    }
}

/// The fields that hold quantities.
const QUANTITIES: [&str; 3] = ["limits", "requests", "sizeLimit"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::covers;

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
}
