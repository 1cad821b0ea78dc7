//! The quick reader of JSON: builds the tree of a text that is plainly good, and leaves every doubt to the thorough one.
//!
//! Whatever is accepted here, the thorough reader accepts too and makes the same tree of it; the tests compare them.
//! So what is acceptable is said in one place, and only what is refused, or strange, is read twice.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Number;

use super::{DEPTH, Json, LINEAR, SKIPPED_KEY};

/// The tree of the whole text, of at most so many values; none where it is not plainly good, whatever the reason.
pub(super) fn read(text: &[u8], values: usize) -> Option<Json<'_>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, left: values };
    let mut value = Json::Null;
    reader.space();
    reader.value(&mut value, 0, false)?;
    reader.space();
    (reader.at == text.len()).then_some(value)
}

type Entry<'a> = (Cow<'a, str>, Json<'a>);

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// How many values may still come.
    left: usize,
}

impl<'a> Reader<'a> {
    /// Reads the value that begins here into its place, where a value of this size is best made; in metadata,
    /// `managedFields` is checked and left out.
    fn value(&mut self, into: &mut Json<'a>, depth: usize, is_metadata: bool) -> Option<()> {
        match self.peek()? {
            b'"' => *into = Json::String(self.string()?),
            b'{' => *into = Json::Object(self.object(depth, is_metadata)?),
            b'[' => *into = Json::Array(self.array(depth)?),
            b't' => *into = self.word("true", Json::Bool(true))?,
            b'f' => *into = self.word("false", Json::Bool(false))?,
            b'n' => *into = self.word("null", Json::Null)?,
            _ => *into = Json::Number(self.number()?),
        }
        Some(())
    }

    fn object(&mut self, depth: usize, is_metadata: bool) -> Option<Vec<Entry<'a>>> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        let mut seen = HashSet::new();
        let mut more = self.enter(b'}', depth)?;
        while more {
            let key = self.key()?;
            if is_twice(&key, &entries, &mut seen) {
                return None;
            }
            let (is_skipped, is_metadata) = (is_metadata && key == SKIPPED_KEY, key == "metadata");
            entries.push((key, Json::Skipped));
            let (_, value) = entries.last_mut()?;
            if is_skipped {
                self.skip(depth + 1)?;
            } else {
                self.count()?;
                self.value(value, depth + 1, is_metadata)?;
            }
            more = self.goes_on(b'}')?;
        }
        Some(entries)
    }

    fn array(&mut self, depth: usize) -> Option<Vec<Json<'a>>> {
        let mut items = Vec::new();
        // The thorough reader counts the end of an array too.
        self.count()?;
        let mut more = self.enter(b']', depth)?;
        while more {
            self.count()?;
            items.push(Json::Null);
            self.value(items.last_mut()?, depth + 1, false)?;
            more = self.goes_on(b']')?;
        }
        Some(items)
    }

    /// Goes past a value without keeping it.
    fn skip(&mut self, depth: usize) -> Option<()> {
        let end = match self.peek()? {
            b'{' => b'}',
            b'[' => b']',
            _ => return self.value(&mut Json::Null, depth, false),
        };
        let mut more = self.enter(end, depth)?;
        while more {
            if end == b'}' {
                self.key()?;
            }
            self.skip(depth + 1)?;
            more = self.goes_on(end)?;
        }
        Some(())
    }

    #[inline(always)]
    fn key(&mut self) -> Option<Cow<'a, str>> {
        let key = self.string()?;
        self.space();
        self.take(b':')?;
        self.space();
        Some(key)
    }

    /// Goes into an object or array; says whether there is anything in it.
    fn enter(&mut self, end: u8, depth: usize) -> Option<bool> {
        if depth >= DEPTH {
            return None;
        }
        self.at += 1;
        self.space();
        let is_empty = self.peek()? == end;
        if is_empty {
            self.at += 1;
        }
        Some(!is_empty)
    }

    /// Goes past what follows an item; says whether it was a comma.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        self.space();
        let next = self.peek()?;
        self.at += 1;
        if next == b',' {
            self.space();
            return Some(true);
        }
        (next == end).then_some(false)
    }

    #[inline(always)]
    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.take(b'"')?;
        let start = self.at;
        match self.borrowed(start) {
            Some(text) => Some(Cow::Borrowed(text)),
            None => self.escaped(start),
        }
    }

    /// A text without escapes, to behind its end.
    fn borrowed(&mut self, start: usize) -> Option<&'a str> {
        if self.plain()? != b'"' {
            return None;
        }
        let text = self.text.get(start..self.at);
        self.at += 1;
        text
    }

    /// A text with escapes, which are serde's business; only its end is sought here.
    fn escaped(&mut self, start: usize) -> Option<Cow<'a, str>> {
        loop {
            match self.plain()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => return None,
            }
        }
        self.at += 1;
        serde_json::from_str(self.text.get(start - 1..self.at)?).ok().map(Cow::Owned)
    }

    /// Goes to the next quotation mark, backslash or control character, and gives it.
    fn plain(&mut self) -> Option<u8> {
        while let Some(eight) = self.bytes.get(self.at..self.at + 8).and_then(|eight| eight.try_into().ok()) {
            let found = special(u64::from_le_bytes(eight));
            if found != 0 {
                self.at += found.trailing_zeros() as usize / 8;
                return self.peek();
            }
            self.at += 8;
        }
        loop {
            match self.peek()? {
                byte @ (b'"' | b'\\' | 0..0x20) => return Some(byte),
                _ => self.at += 1,
            }
        }
    }

    fn number(&mut self) -> Option<Number> {
        let start = self.at;
        while let Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') = self.peek() {
            self.at += 1;
        }
        let text = self.text.get(start..self.at)?;
        match text.as_bytes() {
            [b'0'] => Some(0u64.into()),
            [b'1'..=b'9', rest @ ..] if rest.len() < 18 && rest.iter().all(u8::is_ascii_digit) => {
                text.parse::<u64>().ok().map(Number::from)
            }
            _ => serde_json::from_str(text).ok(),
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Option<Json<'a>> {
        self.text.get(self.at..)?.starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn count(&mut self) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        Some(())
    }
}

/// Whether a key is among the entries already. A scan is faster for the few keys of usual objects; a set keeps
/// hostile ones linear.
#[expect(clippy::ptr_arg, reason = "a key that is kept stays borrowed where it can")]
pub(super) fn is_twice<'a>(key: &Cow<'a, str>, entries: &[Entry<'a>], seen: &mut HashSet<Cow<'a, str>>) -> bool {
    if entries.len() < LINEAR {
        return entries.iter().any(|(name, _)| name == key);
    }
    if seen.is_empty() {
        seen.extend(entries.iter().map(|(name, _)| name.clone()));
    }
    !seen.insert(key.clone())
}

/// Eight bytes at once: the high bit of each byte that is a quotation mark, a backslash or below a space. Bytes after
/// the first such one may be marked wrongly; nobody looks at them.
fn special(eight: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
    let quote = zero(eight ^ (ONES * b'"' as u64));
    let backslash = zero(eight ^ (ONES * b'\\' as u64));
    let control = eight.wrapping_sub(ONES * 0x20) & !eight;
    (quote | backslash | control) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::json::{VALUES, thorough};

    const WORDS: &[&str] = &["true", "false", "null", "nul", "-", "1.", "01", "-0", "{}", "[]", "{ }", "[ ]", "\"", ""];

    /// Texts that are JSON or nearly: pieces of it in any order, most of them where they belong.
    fn texts() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[a-z\"\\\\u0\u{1f}\u{7f}\u{e9}\u{1f600}]{0,12}".prop_map(|text| format!("\"{text}\"")),
            "[a-zA-Z0-9 ./:\u{e9}-]{0,24}".prop_map(|text| format!("\"{text}\"")),
            "-?[0-9]{1,21}(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
            Just(r#""\ud83d\ude00\n\u0041""#.to_owned()),
            prop::sample::select(WORDS).prop_map(str::to_owned),
        ];
        let key = prop_oneof!["[ab]", Just("metadata".to_owned()), Just("managedFields".to_owned()), r"k:\\[a-z]"];
        let space = || prop_oneof![5 => Just(""), 1 => Just(" "), 1 => Just("\n\t"), 1 => Just("\u{a0}")];
        leaf.prop_recursive(6, 64, 5, move |inner| {
            let comma = prop_oneof![20 => Just(","), 1 => Just(",,"), 1 => Just("")];
            let member = (key.clone(), space(), inner.clone());
            let member = member.prop_map(|(key, space, value)| format!("\"{key}\"{space}:{space}{value}"));
            prop_oneof![
                (prop::collection::vec(inner, 0..5), comma.clone(), space())
                    .prop_map(|(items, comma, space)| format!("[{space}{}{space}]", items.join(comma))),
                (prop::collection::vec(member, 0..5), comma, space())
                    .prop_map(|(members, comma, space)| format!("{{{space}{}{space}}}", members.join(comma))),
            ]
        })
    }

    fn bytes() -> impl Strategy<Value = u8> {
        prop_oneof![prop::sample::select(b"{}[],:\"\\ 0e-.n".as_slice()), any::<u8>()]
    }

    /// What the quick reader makes of a text is what the thorough one makes of it; it need not make anything.
    fn agree(text: &[u8]) {
        if let Some(quick) = read(text, VALUES) {
            // Shown, because numbers that are equal may still differ.
            assert_eq!(format!("{quick:?}"), format!("{:?}", thorough(text, VALUES).unwrap()));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn both_readers_make_the_same_of_a_text(text in texts(), cut in 0..200usize, put in bytes()) {
            agree(text.as_bytes());
            let mut bytes = text.into_bytes();
            if let Some(byte) = bytes.get_mut(cut) {
                *byte = put;
                agree(&bytes);
                bytes.truncate(cut);
                agree(&bytes);
            }
        }
    }

    #[test]
    fn both_readers_have_the_same_bounds() {
        let nested = |depth: usize, inner: &str| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
        let keyed = |depth: usize| format!("{}1{}", r#"{"metadata":"#.repeat(depth), "}".repeat(depth));
        let skipped = |depth: usize| format!(r#"{{"metadata":{{"managedFields":{}}}}}"#, nested(depth, ""));
        let long = |count: usize| format!("[{}1]", "1,".repeat(count));
        let keys = |last: usize| {
            let keys: String = (0..40).map(|n| format!("\"k{n}\":1,")).collect();
            format!("{{{keys}\"k{last}\":2}}")
        };
        let mut texts: Vec<String> = [62, 63, 64, 65, 66]
            .into_iter()
            .flat_map(|depth| [nested(depth, ""), nested(depth, "{}"), keyed(depth)])
            .collect();
        texts.extend([60, 70, 120, 130].map(skipped));
        texts.extend([VALUES - 4, VALUES - 3, VALUES - 2, VALUES - 1, VALUES].map(long));
        texts.extend([39, 40].map(keys));
        for text in texts {
            agree(text.as_bytes());
        }
    }

    #[test]
    fn what_the_api_server_sends_is_read_quickly() {
        for text in [
            r#"{"metadata":{"managedFields":[{"k:{\"name\":\"x\"}":{".":{}}}],"annotations":{"a":"{\"b\":1}\n"}}}"#,
            r#"{"a":[1,-1,0,1.5,18446744073709551615,true,false,null,"",{},[]]} "#,
        ] {
            assert_eq!(read(text.as_bytes(), VALUES), thorough(text.as_bytes(), VALUES).ok(), "{text}");
            assert!(read(text.as_bytes(), VALUES).is_some(), "{text}");
        }
    }
}
