//! A JSON text as a borrowed tree that keeps every key as it was written.
//!
//! Typed structs drop fields that they don't know, and a field that a rule cannot
//! see is a bypass. This tree drops nothing but `managedFields` of metadata, which no rule
//! reads and which is most of the bytes of many objects.

mod part;
mod quick;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

pub use part::part;
use quick::is_twice;

use super::Digest;

/// One JSON value, borrowing its strings from the text where no escape stands in them.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Any number that fits 64 bits or a double.
    Number(serde_json::Number),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array, in order.
    Array(Vec<Json<'a>>),
    /// An object: keys in the order of the text, each once.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
    /// A subtree that was checked to be JSON and left out (`managedFields`).
    Skipped,
}

/// Why a text is not accepted as JSON; says where.
#[derive(Debug, thiserror::Error)]
#[error("not acceptable JSON: {0}")]
pub struct ParseProblem(#[from] serde_json::Error);

/// Reads one JSON text: UTF-8, no duplicate keys, at most [`DEPTH`] levels and [`VALUES`] values, nothing after it.
///
/// # Errors
/// What is wrong and at which line and column.
pub fn parse(text: &[u8]) -> Result<Json<'_>, ParseProblem> {
    parse_at_most(text, VALUES)
}

/// As [`parse`], of at most so many values.
///
/// # Errors
/// What is wrong and at which line and column.
pub fn parse_at_most(text: &[u8], values: usize) -> Result<Json<'_>, ParseProblem> {
    let values = values.min(VALUES);
    match quick::read(text, values) {
        Some(value) => Ok(value),
        None => thorough(text, values),
    }
}

/// As [`parse`], of at most so many values; none where it is not acceptable.
pub fn parse_within(text: &[u8], values: usize) -> Option<Json<'_>> {
    quick::read(text, values.min(VALUES))
}

/// Decides about every text, and says what is wrong.
fn thorough(text: &[u8], values: usize) -> Result<Json<'_>, ParseProblem> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value =
        Seed { depth: 0, is_metadata: false, left: &Cell::new(values), most: values }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

impl<'a> Json<'a> {
    /// The member of that exact name; `null` counts as absent, as it does for the API server.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        let (_, value) = self.entries().iter().find(|(name, _)| name == key)?;
        (!matches!(value, Json::Null)).then_some(value)
    }

    /// Follows several keys.
    pub fn at(&self, keys: &[&str]) -> Option<&Json<'a>> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The members of an object; of anything else, none.
    pub fn entries(&self) -> &[(Cow<'a, str>, Json<'a>)] {
        match self {
            Json::Object(entries) => entries,
            _ => &[],
        }
    }

    /// The items of an array; of anything else, none.
    pub fn items(&self) -> &[Json<'a>] {
        match self {
            Json::Array(items) => items,
            _ => &[],
        }
    }

    /// The text of a string.
    pub fn text(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The text of a string member.
    pub fn text_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys).and_then(Json::text)
    }

    /// A whole number.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Json::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// A truth value.
    pub fn boolean(&self) -> Option<bool> {
        match self {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Whether the API server would treat the value as not given: null, false, zero, empty.
    pub fn is_unset(&self) -> bool {
        match self {
            Json::Null | Json::Skipped => true,
            Json::Bool(value) => !value,
            Json::Number(number) => number.as_f64() == Some(0.0),
            Json::String(text) => text.is_empty(),
            Json::Array(items) => items.is_empty(),
            Json::Object(entries) => entries.is_empty(),
        }
    }

    /// Whether it is the same value as [`Json::to_value`] would make.
    pub fn equals(&self, other: &serde_json::Value) -> bool {
        use serde_json::Value;
        match (self, other) {
            (Json::Null | Json::Skipped, Value::Null) => true,
            (Json::Bool(value), Value::Bool(other)) => value == other,
            (Json::Number(number), Value::Number(other)) => number == other,
            (Json::String(text), Value::String(other)) => text == other,
            (Json::Array(items), Value::Array(others)) => {
                items.len() == others.len() && items.iter().zip(others).all(|(item, other)| item.equals(other))
            }
            (Json::Object(entries), Value::Object(others)) => {
                let mut kept = entries.iter().filter(|(_, value)| !matches!(value, Json::Skipped));
                kept.clone().count() == others.len()
                    && kept.all(|(key, value)| others.get(key.as_ref()).is_some_and(|other| value.equals(other)))
            }
            _ => false,
        }
    }

    /// A value that is no text of anybody's, such as one that a patch was applied to; it borrows its strings.
    pub fn of(value: &'a serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => Json::Number(number.clone()),
            Value::String(text) => Json::String(Cow::Borrowed(text)),
            Value::Array(items) => Json::Array(items.iter().map(Json::of).collect()),
            Value::Object(members) => Json::Object(
                members.iter().map(|(key, value)| (Cow::Borrowed(key.as_str()), Json::of(value))).collect(),
            ),
        }
    }

    /// The same value for json-patch. Only where a patch is made; rules read the tree.
    pub fn to_value(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Json::Null | Json::Skipped => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => Value::Number(number.clone()),
            Json::String(text) => Value::String(text.to_string()),
            Json::Array(items) => Value::Array(items.iter().map(Json::to_value).collect()),
            Json::Object(entries) => Value::Object(
                entries
                    .iter()
                    .filter(|(_, value)| !matches!(value, Json::Skipped))
                    .map(|(key, value)| (key.to_string(), value.to_value()))
                    .collect(),
            ),
        }
    }
}

/// Writes it as it was read, without what was left out.
impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null | Json::Skipped => writer.serialize_unit(),
            Json::Bool(value) => writer.serialize_bool(*value),
            Json::Number(number) => number.serialize(writer),
            Json::String(text) => writer.serialize_str(text),
            Json::Array(items) => writer.collect_seq(items),
            Json::Object(entries) => writer.collect_map(
                entries.iter().filter(|(_, value)| !matches!(value, Json::Skipped)).map(|(key, value)| (key, value)),
            ),
        }
    }
}

/// Shows a value in a message, on one line. What is longer than [`SHOWN`] characters keeps its beginning, and a hash by which
/// it is told from every other that begins so.
impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_value().to_string();
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => {
                let (begin, digest) = (text.get(..end).unwrap_or_default(), Digest::of(text.as_bytes()).to_string());
                write!(f, "{begin}… ({} bytes, {})", text.len(), digest.get(..HASHED).unwrap_or_default())
            }
            None => f.write_str(&text),
        }
    }
}

/// The deepest nesting of a Kubernetes object that any rule knows is about 15.
pub(super) const DEPTH: usize = 64;
/// A value takes dozens of bytes in memory and two in a hostile text. No object that the API server stores has as many.
const VALUES: usize = 1_000_000;
const SHOWN: usize = 120;
/// `sha256:` and 64 bits of the hash, in hexadecimal digits.
const HASHED: usize = 23;
const LINEAR: usize = 16;
const SKIPPED_KEY: &str = "managedFields";

struct Seed<'s> {
    depth: usize,
    /// Only there `managedFields` is what the API server writes; elsewhere it is a field like others.
    is_metadata: bool,
    /// How many values may still come, in the whole text.
    left: &'s Cell<usize>,
    /// How many may come in all.
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Json<'de>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'s> Seed<'s> {
    /// The seed of an item, or of the member of that key.
    fn deeper<E: serde::de::Error>(&self, key: Option<&str>) -> Result<Seed<'s>, E> {
        if self.depth >= DEPTH {
            return Err(E::custom(format_args!("nested deeper than {DEPTH} levels")));
        }
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| E::custom(format_args!("more than {} values", self.most)))?);
        Ok(Seed { depth: self.depth + 1, is_metadata: key == Some("metadata"), left: self.left, most: self.most })
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json<'de>, E> {
        let number = serde_json::Number::from_f64(value).ok_or_else(|| E::custom("number out of range"))?;
        Ok(Json::Number(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self.deeper(None)?)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json<'de>, A::Error> {
        let mut entries: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        let mut seen: HashSet<Cow<'de, str>> = HashSet::new();
        while let Some(Key(key)) = access.next_key()? {
            if is_twice(&key, &entries, &mut seen) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
            let value = if self.is_metadata && key == SKIPPED_KEY {
                access.next_value::<IgnoredAny>()?;
                Json::Skipped
            } else {
                access.next_value_seed(self.deeper(Some(&key))?)?
            };
            entries.push((key, value));
        }
        Ok(Json::Object(entries))
    }
}

/// An object's key; serde's own `Cow` always copies.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        reader.deserialize_str(KeyVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_shortened_is_told_apart_by_its_end() {
        let shown = |text: String| Json::String(Cow::Owned(text)).to_string();
        let (one, other) = (shown("x".repeat(200) + "a"), shown("x".repeat(200) + "b"));
        assert_ne!(one, other);
        assert!(one.starts_with("\"xxx") && one.contains("… (203 bytes, sha256:") && one.len() < 180, "{one}");
        assert_eq!(shown("y".repeat(100)), format!("{:?}", "y".repeat(100)));
    }

    #[test]
    fn a_value_written_and_read_again_is_the_same() {
        let text = br#"{"b":[1,-2.5,null,true,"a\"\u0007"],"a":{"metadata":{"name":"x"}},"c":{}}"#;
        let read = parse(text).unwrap();
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(parse(written.as_bytes()).unwrap(), read);
        let value = read.to_value();
        assert_eq!(Json::of(&value).to_value(), value);
        let fields = parse(br#"{"metadata":{"managedFields":[{"a":1}],"name":"x"}}"#).unwrap();
        assert_eq!(serde_json::to_string(&fields).unwrap(), r#"{"metadata":{"name":"x"}}"#);
    }

    #[test]
    fn keeps_keys_as_written_and_leaves_managed_fields_out() {
        let text = br#"{"spec":{"managedFields":[]},"metadata":{"b":1,"B":null,"managedFields":[{"x":{}}],"e":"a\n"}}"#;
        let whole = parse(text).unwrap();
        assert_eq!(whole.at(&["spec", "managedFields"]), Some(&Json::Array(Vec::new())));
        let json = whole.get("metadata").unwrap();
        let keys: Vec<_> = json.entries().iter().map(|(key, _)| key.as_ref()).collect();
        assert_eq!(keys, ["b", "B", "managedFields", "e"]);
        assert_eq!(json.get("B"), None, "null counts as absent");
        assert_eq!(json.text_at(&["e"]), Some("a\n"));
        assert_eq!(json.to_value(), serde_json::json!({"b": 1, "B": null, "e": "a\n"}));
    }

    #[test]
    fn a_text_may_have_so_many_values_and_no_more() {
        for (text, good) in [
            ("[1,1,1]", false),
            ("[1,1]", true),
            (r#"{"a":1,"b":2,"c":3,"d":4}"#, false),
            (r#"{"a":1,"b":2,"c":3}"#, true),
            (r#"[{"":0},{"":0}]"#, false),
            (r#"[1,1e2,"\u0061"]"#, false),
        ] {
            assert_eq!(parse_at_most(text.as_bytes(), 3).is_ok(), good, "{text}");
        }
        assert!(parse_at_most(b"[1,1,1]", 3).unwrap_err().to_string().contains("more than 3 values"));
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        let many: String = (0..40).map(|n| format!("\"k{n}\":1,")).collect();
        let endless = format!("[{}1]", "1,".repeat(VALUES));
        let late = format!("{{{many}\"k39\":2}}");
        for (text, says) in [
            (r#"{"a":1,"a":2}"#.as_bytes(), "duplicate key `a`"),
            (late.as_bytes(), "duplicate key `k39`"),
            (deep.as_bytes(), "nested deeper than 64 levels"),
            (endless.as_bytes(), "more than 1000000 values"),
            (b"{\"a\":\"\xff\"}", "invalid unicode"),
            (br#"{"a":"\ud800x"}"#, "hex escape"),
            (b"1e400", "number out of range"),
            (b"{} {}", "trailing characters"),
            (b"", "EOF"),
        ] {
            let problem = parse(text).unwrap_err().to_string();
            assert!(problem.contains(says), "{problem} should say {says}");
        }
    }
}
