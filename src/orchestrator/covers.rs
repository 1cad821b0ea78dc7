//! Whether a stored object still says what we want it to say.

use serde_json::Value;

/// Whether everything that `wanted` says is so in `stored`. What `wanted` does not speak of may be anything, since the
/// API server and other managers fill fields in; a list is compared whole.
pub(super) fn covers(stored: &Value, wanted: &Value) -> bool {
    match (stored, wanted) {
        (Value::Object(stored), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| stored.get(key).is_some_and(|stored| covers(stored, wanted)))
        }
        (Value::Array(stored), Value::Array(wanted)) => {
            stored.len() == wanted.len() && stored.iter().zip(wanted).all(|(stored, wanted)| covers(stored, wanted))
        }
        (stored, wanted) => stored == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::covers;

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
