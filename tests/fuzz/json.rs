//! Breaks JSON by its structure: the result is nearly always JSON again, and often still what it was.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::mutate::Material;
use crate::random::Random;

/// The input with one place changed; none where it is no JSON.
pub(crate) fn mutated(input: &[u8], other: &[u8], material: &Material, random: &mut Random) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(input).ok()?;
    let donor: Option<Value> = serde_json::from_slice(other).ok();
    let mut trick = None;
    let place = place(&mut value, random);
    match random.below(12) {
        0 | 1 => *place = interesting(material, random),
        2 | 3 => leave_out(place, random),
        4 | 5 => insert(place, material, random),
        6 => rename(place, material, random),
        7 => swap(place, random),
        8 | 9 => {
            if let Some(mut donor) = donor {
                *place = self::place(&mut donor, random).take();
            }
        }
        10 => *place = nested(place.take(), random),
        // What no tree can hold is written by hand in place of a mark.
        _ => {
            trick = Some(written_by_hand(place, random));
            *place = json!(MARK);
        }
    }
    let text = value.to_string();
    Some(match trick {
        Some(trick) => text.replacen(&format!("\"{MARK}\""), &trick, 1).into_bytes(),
        None => text.into_bytes(),
    })
}

/// Any place in the tree, deep ones as often as others.
fn place<'v>(value: &'v mut Value, random: &mut Random) -> &'v mut Value {
    let mut wanted = random.below(size(value));
    let mut at = value;
    while wanted > 0 {
        wanted -= 1;
        let children: Vec<&mut Value> = match at {
            Value::Object(members) => members.values_mut().collect(),
            Value::Array(items) => items.iter_mut().collect(),
            _ => unreachable!("a place is counted that is none"),
        };
        let mut next = None;
        for child in children {
            let size = size(child);
            if wanted < size {
                next = Some(child);
                break;
            }
            wanted -= size;
        }
        at = next.unwrap();
    }
    at
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Object(members) => members.values().map(size).sum(),
        Value::Array(items) => items.iter().map(size).sum(),
        _ => 0,
    }
}

fn interesting(material: &Material, random: &mut Random) -> Value {
    match random.below(14) {
        0 => Value::Null,
        1 => json!(random.once_in(2)),
        2 => json!(*random.of(&[0, 1, -1, 255, 65536, i64::MAX, i64::MIN])),
        3 => json!(u64::MAX),
        4 => json!(*random.of(&[0.5, -0.0, 1e300, 5e-324])),
        5 => json!([]),
        6 => json!({}),
        7 => json!("x".repeat(random.below(2000))),
        8 => json!(["", "\u{0}", "\u{feff}é\u{202e}", "${jndi}", "../..", "a\nb"][random.below(6)]),
        9 => json!([random.of(&material.words), random.of(&material.words)]),
        10 => json!({random.of(&material.words): random.of(&material.words)}),
        _ => json!(random.of(&material.words)),
    }
}

fn leave_out(place: &mut Value, random: &mut Random) {
    match place {
        Value::Object(members) => {
            if let Some(key) = members.keys().nth(random.below(members.len())).cloned() {
                members.remove(&key);
            }
        }
        Value::Array(items) if !items.is_empty() => drop(items.remove(random.below(items.len()))),
        other => *other = Value::Null,
    }
}

fn insert(place: &mut Value, material: &Material, random: &mut Random) {
    let value = interesting(material, random);
    match place {
        Value::Object(members) => drop(members.insert(random.of(&material.words).clone(), value)),
        Value::Array(items) => {
            let item = if random.once_in(2) { items.first().cloned().unwrap_or(value) } else { value };
            items.insert(random.below(items.len() + 1), item);
        }
        Value::String(text) => text.push_str(random.of(material.words.as_slice()).as_str()),
        other => *other = value,
    }
}

/// A key is called otherwise, perhaps only by the case of its first letter.
fn rename(place: &mut Value, material: &Material, random: &mut Random) {
    let Value::Object(members) = place else { return insert(place, material, random) };
    let Some(key) = members.keys().nth(random.below(members.len())).cloned() else { return };
    let value = members.remove(&key).unwrap();
    let new = match key.chars().next() {
        Some(first) if random.once_in(2) => key.replacen(first, &first.to_uppercase().to_string(), 1),
        _ => random.of(&material.words).clone(),
    };
    members.insert(new, value);
}

/// Two children change places.
fn swap(place: &mut Value, random: &mut Random) {
    match place {
        Value::Array(items) if !items.is_empty() => {
            let (one, two) = (random.below(items.len()), random.below(items.len()));
            items.swap(one, two);
        }
        Value::Object(members) if !members.is_empty() => {
            let (one, two) = (random.below(members.len()), random.below(members.len()));
            let mut values: Vec<Value> = members.values().cloned().collect();
            values.swap(one, two);
            let keys: Vec<String> = members.keys().cloned().collect();
            *members = keys.into_iter().zip(values).collect::<Map<_, _>>();
        }
        _ => {}
    }
}

fn nested(value: Value, random: &mut Random) -> Value {
    (0..random.below(100))
        .fold(value, |inner, _| if random.once_in(2) { json!([inner]) } else { json!({"spec": inner}) })
}

/// Text in place of a value that says what only text can say: a key twice, odd numbers, escapes, no end of brackets.
fn written_by_hand(place: &Value, random: &mut Random) -> String {
    let value = place.to_string();
    match random.below(7) {
        0 => match place.as_object().and_then(|members| members.iter().next()) {
            Some((key, member)) => format!("{{{}:{member},{}", json!(key), value.trim_start_matches('{')),
            None => format!("{{\"a\":{value},\"a\":{value}}}"),
        },
        1 => (*random.of(&["1e400", "-0", "1E+2", "0.10", "123456789012345678901234567890", "NaN", "01"])).to_owned(),
        2 => (*random.of(&[r#""\ud800""#, r#""\u0000""#, r#""\/""#, "\"\t\"", r#""\x""#])).to_owned(),
        3 => "[".repeat(random.below(20_000)),
        4 => format!("{}{value}{}", "[".repeat(200), "]".repeat(200)),
        5 => format!("{value},{value}"),
        // Every character escaped is the same text to a reader.
        _ => escaped(&value),
    }
}

fn escaped(text: &str) -> String {
    let text = text.trim_matches('"');
    let mut escaped = String::from("\"");
    for unit in text.encode_utf16().take(200) {
        let _ = write!(escaped, "\\u{unit:04x}");
    }
    escaped.push('"');
    escaped
}

const MARK: &str = "written by hand";
