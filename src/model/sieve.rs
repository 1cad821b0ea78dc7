//! Keeps of JSON texts that come in pieces what somebody will read, however long the rest is.

/// The paths of the members that are kept, each whole; `&[&[]]` keeps everything.
pub type Keep = &'static [&'static [&'static str]];

/// Takes objects' texts piece by piece, one object after the other. `managedFields` of an object's metadata is never
/// kept: no rule reads it, and who writes an object decides how long it is.
#[derive(Debug)]
pub struct Sieve {
    keep: Vec<Vec<&'static str>>,
    /// How deep the object itself stands in what comes.
    root: usize,
    /// The most bytes that are kept.
    most: usize,
    kept: Vec<u8>,
    /// The objects that are gone through member by member, the outermost first.
    open: Vec<Frame>,
    key: Vec<u8>,
    at: At,
    in_text: bool,
    escaped: bool,
}

#[derive(Debug)]
struct Frame {
    key: Vec<u8>,
    /// Whether every member is kept.
    whole: bool,
    /// Whether none was kept yet.
    empty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Between two objects.
    Outside,
    /// Before a key, or behind a value.
    Member,
    Key,
    /// Behind a key.
    Colon,
    /// In a value that is kept or not, so many brackets deep.
    Value {
        kept: bool,
        depth: usize,
    },
}

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    /// An object is gone through; anything else is kept or not as this says.
    Entered {
        whole: bool,
    },
    Left,
}

impl Sieve {
    /// Keeps these members of objects. Of what is longer than so many bytes only these are kept: it breaks off.
    pub fn of_objects(keep: Keep, most: usize) -> Self {
        Sieve::new(keep.iter().map(|path| path.to_vec()).collect(), 0, most)
    }

    /// Keeps these members of the objects that a watch tells of, and what it tells of them.
    pub fn of_events(keep: Keep, most: usize) -> Self {
        let below = |path: &&[&'static str]| [&["object"], *path].concat();
        let told = [vec!["type"], vec!["object", "code"], vec!["object", "message"]];
        Sieve::new(told.into_iter().chain(keep.iter().map(below)).collect(), 1, most)
    }

    fn new(keep: Vec<Vec<&'static str>>, root: usize, most: usize) -> Self {
        let (kept, open, key) = (Vec::new(), Vec::new(), Vec::new());
        Sieve { keep, root, most, kept, open, key, at: At::Outside, in_text: false, escaped: false }
    }

    /// Takes the next piece, at most to the end of an object; says how much of the piece that was, if it came.
    pub fn feed(&mut self, piece: &[u8]) -> Option<usize> {
        let mut rest = piece;
        while let Some((byte, behind)) = rest.split_first() {
            // By far the most of a long object stands in texts.
            let plain = if self.in_text && !self.escaped {
                rest.iter().position(|byte| b"\"\\".contains(byte))
            } else {
                Some(0)
            };
            match plain {
                Some(0) => {
                    rest = behind;
                    if self.take(*byte) {
                        return Some(piece.len() - rest.len());
                    }
                }
                plain => {
                    let (plain, behind) = rest.split_at(plain.unwrap_or(rest.len()));
                    self.take_plain(plain);
                    rest = behind;
                }
            }
        }
        None
    }

    /// What was kept of the object that has just ended; nothing of it stays.
    pub fn taken(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept)
    }

    /// Whether an object has begun and not ended.
    pub fn is_within(&self) -> bool {
        self.at != At::Outside
    }

    fn take_plain(&mut self, text: &[u8]) {
        match self.at {
            At::Key => self.key.extend_from_slice(
                text.get(..self.most.saturating_sub(self.key.len()).min(text.len())).unwrap_or_default(),
            ),
            At::Value { kept: true, .. } => self.keep(text),
            _ => {}
        }
    }

    /// Takes one byte; says whether an object ends with it.
    fn take(&mut self, byte: u8) -> bool {
        if self.in_text {
            self.in_text = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            match (self.at, self.in_text) {
                (At::Key, false) => self.at = At::Colon,
                (At::Value { depth: 0, .. }, false) => {
                    self.take_plain(&[byte]);
                    self.at = At::Member;
                }
                _ => self.take_plain(&[byte]),
            }
            return false;
        }
        match (self.at, byte) {
            (At::Outside, b'{') => self.enter(Vec::new(), self.keep.iter().any(Vec::is_empty)),
            (At::Member, b'}') => return self.leave(),
            (At::Member, b'"') => {
                self.key.clear();
                (self.at, self.in_text) = (At::Key, true);
            }
            (At::Colon, byte) if !is_between(byte) => self.begin(byte),
            (At::Value { depth: 0, .. }, b',') => self.at = At::Member,
            (At::Value { depth: 0, .. }, b'}') => {
                self.at = At::Member;
                return self.leave();
            }
            (At::Value { kept, depth }, byte) => self.go_on(byte, kept, depth),
            _ => {}
        }
        false
    }

    /// The first byte of a member's value.
    fn begin(&mut self, byte: u8) {
        let (entered, whole, kept) = match self.fate() {
            Fate::Kept => (false, true, true),
            Fate::Entered { whole } => (byte == b'{', whole, whole),
            Fate::Left => (false, false, false),
        };
        if entered || kept {
            self.name();
        }
        if entered {
            let key = std::mem::take(&mut self.key);
            return self.enter(key, whole);
        }
        self.go_on(byte, kept, 0);
    }

    fn go_on(&mut self, byte: u8, kept: bool, depth: usize) {
        self.at = At::Value { kept, depth };
        self.take_plain(&[byte]);
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.at = At::Value { kept, depth: depth + 1 },
            b'}' | b']' if depth <= 1 => self.at = At::Member,
            b'}' | b']' => self.at = At::Value { kept, depth: depth - 1 },
            _ => {}
        }
    }

    fn enter(&mut self, key: Vec<u8>, whole: bool) {
        self.keep(b"{");
        self.open.push(Frame { key, whole, empty: true });
        self.at = At::Member;
    }

    fn leave(&mut self) -> bool {
        self.keep(b"}");
        self.open.pop();
        if self.open.is_empty() {
            self.at = At::Outside;
        }
        self.open.is_empty()
    }

    /// Writes the key of a member that is kept.
    fn name(&mut self) {
        let first = self.open.last_mut().is_none_or(|frame| std::mem::replace(&mut frame.empty, false));
        let key = std::mem::take(&mut self.key);
        for part in [if first { &b"\""[..] } else { b",\"" }, &key, b"\":"] {
            self.keep(part);
        }
        self.key = key;
    }

    fn fate(&self) -> Fate {
        let depth = self.open.len();
        let in_metadata = depth == self.root + 2 && self.open.last().is_some_and(|frame| frame.key == b"metadata");
        if in_metadata && self.key == b"managedFields" {
            return Fate::Left;
        }
        let leads_there = depth <= self.root || depth == self.root + 1 && self.key == b"metadata";
        let paths = || self.keep.iter().filter(|path| self.leads_along(path));
        let whole = self.open.last().is_some_and(|frame| frame.whole) || paths().any(|path| path.len() == depth);
        match whole {
            true if leads_there => Fate::Entered { whole },
            true => Fate::Kept,
            false if paths().next().is_some() => Fate::Entered { whole },
            false => Fate::Left,
        }
    }

    /// Whether a path leads to the member whose key has just come, or through it.
    fn leads_along(&self, path: &[&'static str]) -> bool {
        let keys = self.open.iter().skip(1).map(|frame| &frame.key).chain([&self.key]);
        path.len() >= self.open.len() && keys.zip(path).all(|(key, step)| key == step.as_bytes())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.most.saturating_sub(self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }
}

fn is_between(byte: u8) -> bool {
    matches!(byte, b':' | b' ' | b'\n' | b'\r' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sieved(mut sieve: Sieve, text: &str, piece: usize) -> Vec<String> {
        let mut kept = Vec::new();
        for mut rest in text.as_bytes().chunks(piece) {
            while let Some(used) = sieve.feed(rest) {
                kept.push(String::from_utf8(sieve.taken()).unwrap());
                rest = &rest[used..];
            }
        }
        kept
    }

    const POD: &str = r#"{"kind":"Pod", "metadata" : {"name":"x","managedFields":[{"f:spec":{"}":"{"}}],"labels":{"app":"a\"}","b":1}},
        "spec":{"containers":[{"args":["}]\\\"{\\","<"],"metadata":{"managedFields":1}}],"gates":[{"n":1},[]],"empty":{},"grace":30 , "t":true}, "status":null}"#;

    #[test]
    fn what_is_named_is_kept_wherever_pieces_end() {
        let whole: serde_json::Value = serde_json::from_str(POD).unwrap();
        let mut without = whole.clone();
        without["metadata"].as_object_mut().unwrap().remove("managedFields");
        let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        for piece in [1, 2, 3, 5, 64, 5000] {
            let all = sieved(Sieve::of_objects(&[&[]], 5000), POD, piece);
            assert_eq!(
                all.iter().map(|text| same(text)).collect::<Vec<_>>(),
                [without.clone()],
                "in pieces of {piece}"
            );
            for (keep, want) in [
                (
                    &[&["metadata", "name"] as &[&str], &["spec", "gates"]] as Keep,
                    r#"{"metadata":{"name":"x"},"spec":{"gates":[{"n":1},[]]}}"#,
                ),
                (
                    &[&["metadata", "labels", "app"], &["spec", "t"]],
                    r#"{"metadata":{"labels":{"app":"a\"}"}},"spec":{"t":true}}"#,
                ),
                (&[&["spec", "grace"], &["spec", "empty"]], r#"{"spec":{"empty":{},"grace":30 }}"#),
                (&[&["metadata"]], r#"{"metadata":{"name":"x","labels":{"app":"a\"}","b":1}}}"#),
                (&[&["kind", "x"], &["status"], &["spec", "empty", "x"]], r#"{"spec":{"empty":{}},"status":null}"#),
                (&[&["metadata", "managedFields"], &["no"]], r#"{"metadata":{}}"#),
                (&[], "{}"),
            ] {
                assert_eq!(sieved(Sieve::of_objects(keep, 5000), POD, piece), [want], "in pieces of {piece}");
            }
        }
    }

    #[test]
    fn events_come_one_after_the_other_with_what_is_told_of_them() {
        let text = format!(
            "{{\"type\":\"ADDED\",\"object\":{POD}}}\n{{\"type\":\"ERROR\",\"object\":{{\"kind\":\"Status\",\"code\":410}}}}\n{{\"type\":\"ADD"
        );
        for piece in [1, 7, 5000] {
            let kept = sieved(Sieve::of_events(&[&["metadata", "name"]], 5000), &text, piece);
            let want =
                [r#"{"type":"ADDED","object":{"metadata":{"name":"x"}}}"#, r#"{"type":"ERROR","object":{"code":410}}"#];
            assert_eq!(kept, want, "in pieces of {piece}");
            let whole = sieved(Sieve::of_events(&[&[]], 5000), &text, piece);
            assert!(!whole[0].contains("f:spec") && whole[0].contains(r#""managedFields":1"#), "{}", whole[0]);
        }
    }

    #[test]
    fn what_is_kept_and_too_long_breaks_off_and_what_is_not_kept_has_no_length() {
        let long = |key: &str| {
            format!(
                r#"{{"metadata":{{"{key}":"{}","name":"x"}},"spec":{{"a":1}}}}{{"spec":{{"a":2}}}}"#,
                "<".repeat(4000)
            )
        };
        let keep: Keep = &[&["metadata", "name"], &["spec"]];
        assert_eq!(
            sieved(Sieve::of_objects(keep, 100), &long("annotations"), 64),
            [r#"{"metadata":{"name":"x"},"spec":{"a":1}}"#, r#"{"spec":{"a":2}}"#]
        );
        let broken = format!(r#"{{"metadata":{{"name":"{}"#, "<".repeat(79));
        assert_eq!(sieved(Sieve::of_objects(keep, 100), &long("name"), 64), [broken, r#"{"spec":{"a":2}}"#.to_owned()]);
        let sieve = Sieve::of_objects(keep, 100);
        assert!(!sieve.is_within());
    }
}
