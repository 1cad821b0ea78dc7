//! One part of a text of which the whole is too much.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Json, Key, Seed, VALUES};

/// What stands at a path, of at most so many values. All before it is read past and nothing behind it is needed: the
/// text may break off there. None where nothing readable stands there.
pub fn part<'t>(text: &'t [u8], path: &[&str], values: usize) -> Option<Json<'t>> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let mut found = None;
    let left = Cell::new(values);
    // What is wrong behind what was found does not matter.
    let _ = Part { path, found: &mut found, left: &left }.deserialize(&mut reader);
    found
}

struct Part<'s, 't> {
    path: &'s [&'s str],
    found: &'s mut Option<Json<'t>>,
    left: &'s Cell<usize>,
}

impl<'t> DeserializeSeed<'t> for Part<'_, 't> {
    type Value = ();

    fn deserialize<D: Deserializer<'t>>(self, reader: D) -> Result<(), D::Error> {
        if !self.path.is_empty() {
            return reader.deserialize_map(self);
        }
        *self.found = Some(Seed { depth: 0, is_metadata: false, left: self.left, most: VALUES }.deserialize(reader)?);
        Ok(())
    }
}

impl<'t> Visitor<'t> for Part<'_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut access: A) -> Result<(), A::Error> {
        let Some((first, path)) = self.path.split_first() else { return Ok(()) };
        while let Some(Key(key)) = access.next_key()? {
            match key == *first {
                true => access.next_value_seed(Part { path, found: &mut *self.found, left: self.left })?,
                false => drop(access.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_out_of_what_breaks_off_behind_it_and_is_not_guessed() {
        let all = r#"{"metadata":{"managedFields":[{"spec":{"a":0}}],"name":"x"},"spec":{"a":{"b":[1,2]},"c":[{}]}}"#;
        for (length, values, want) in [
            (all.len(), 9, Some(r#"{"b":[1,2]}"#)),
            (all.len(), 3, None),
            (all.len() - 7, 9, Some(r#"{"b":[1,2]}"#)),
            (all.find("]},").unwrap(), 9, None),
            (20, 9, None),
        ] {
            let found = part(&all.as_bytes()[..length], &["spec", "a"], values);
            assert_eq!(found.map(|json| json.to_string()).as_deref(), want, "{length} bytes, {values} values");
        }
        assert_eq!(part(all.as_bytes(), &["spec", "x"], 9), None);
        assert_eq!(part(b"[]", &["spec"], 9), None);
    }
}
