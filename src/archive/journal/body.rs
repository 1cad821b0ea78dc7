//! What an entry of the journal says: a JSON object in printable ASCII, bounded, without what looks like a token. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::archive::clean::without_tokens;

/// The text of a body. What is too long is cut, and says so.
pub(super) fn body(value: &Value) -> String {
    let texts = TEXTS.iter().map(|most| ascii(&shortened(value, *most)));
    let fitting = texts.into_iter().find(|text| text.len() <= LONGEST);
    fitting.unwrap_or_else(|| ascii(&json!({"leftOut": "all of it is left out: it is too long"})))
}

/// JSON in which every letter is printable ASCII, whatever it stands for, so that no database, terminal or receiver makes
/// something else of it.
pub(super) fn ascii(value: &Value) -> String {
    let text = value.to_string();
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text;
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if matches!(letter, ' '..='~') {
            plain.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(plain, "\\u{unit:04x}");
            }
        }
    }
    plain
}

/// The same with texts of at most so many letters and short lists.
fn shortened(value: &Value, most: usize) -> Value {
    match value {
        Value::String(text) => Value::String(short(text, most)),
        Value::Array(items) => {
            let kept = items.iter().take(ITEMS).map(|item| shortened(item, most));
            let rest = items.len().saturating_sub(ITEMS);
            kept.chain((rest > 0).then(|| json!(format!("[{rest} more left out]")))).collect()
        }
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), shortened(value, most))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn short(text: &str, most: usize) -> String {
    let text: Cow<'_, str> = without_tokens(text);
    match text.char_indices().nth(most).and_then(|(end, _)| text.split_at_checked(end)) {
        Some((kept, rest)) => format!("{kept} [{} bytes left out]", rest.len()),
        None => text.into_owned(),
    }
}

/// With what is around it no more than a syslog receiver takes (RFC 5425: 8192 bytes).
pub(super) const LONGEST: usize = 7168;
/// Letters of a text; fewer where the whole is too long otherwise.
const TEXTS: [usize; 3] = [1024, 256, 48];
const ITEMS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_printable_ascii_that_says_the_same() {
        for (value, want) in [
            (json!({"user": "jane"}), r#"{"user":"jane"}"#),
            (json!({"user": "j\u{e4}ne \u{1f525}"}), r#"{"user":"j\u00e4ne \ud83d\udd25"}"#),
            (json!({"a": "\0\u{7f}\u{202e}\n"}), r#"{"a":"\u0000\u007f\u202e\n"}"#),
            (json!({"n": 1, "b": [true, null]}), r#"{"b":[true,null],"n":1}"#),
            (json!({"t": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.x"}), r#"{"t":"[token left out]"}"#),
        ] {
            let text = body(&value);
            assert_eq!(text, want);
            let again: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(body(&again), text, "written again it is the same");
        }
    }

    #[test]
    fn what_is_long_is_cut_and_says_so_and_never_longer_than_may_be() {
        let long = |letters: usize| "\u{fc}".repeat(letters);
        let one = body(&json!({"a": long(1030)}));
        assert!(one.ends_with(r#"\u00fc [12 bytes left out]"}"#) && one.len() > 6000, "{one}");
        let list = body(&json!({"a": vec!["x"; 40]}));
        assert!(list.ends_with(r#""x","[8 more left out]"]}"#), "{list}");
        for value in [
            json!({"a": long(1024), "b": long(1024)}),
            json!({"a": vec![long(5000); 40]}),
            json!({"a": vec![vec![vec![long(100); 40]; 40]; 40]}),
        ] {
            let text = body(&value);
            assert!(text.len() <= LONGEST && text.contains("left out"), "{}", text.len());
            assert!(serde_json::from_str::<Value>(&text).unwrap().is_object());
        }
    }
}
