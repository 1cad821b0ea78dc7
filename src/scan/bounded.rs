//! Reads one whole JSON document that somebody else wrote, piece by piece and up to a length.

use std::io::{self, BufReader, Read, Result as Outcome};

use serde::de::DeserializeOwned;

use crate::model::one_line;

/// Why a text is not the document that it should be.
#[derive(Debug, thiserror::Error)]
pub enum BoundProblem {
    /// There is no text.
    #[error("it is empty")]
    Empty,
    /// It is longer than what is read.
    #[error("it is longer than {} MiB", MOST_BYTES >> 20)]
    Large,
    /// One text in it is longer than any that is read, or it is nested deeper.
    #[error("a text in it is longer than {} MiB, or it is nested deeper than {MOST_DEPTH} levels", MOST_TEXT >> 20)]
    Shape,
    /// It is not one whole document of the form, as one line says, which may repeat some of it.
    #[error("{0}")]
    Form(String),
}

/// The document, with nothing after it.
pub(super) fn read_within<T: DeserializeOwned>(document: impl Read) -> Result<T, BoundProblem> {
    let shape = Shape { depth: 0, run: 0, place: Place::Outside };
    let mut counted = Counted { text: document, left: MOST_BYTES + 1, is_blank: true, shape, is_misshapen: false };
    let mut reader = serde_json::Deserializer::from_reader(BufReader::with_capacity(PIECE, &mut counted));
    let read = T::deserialize(&mut reader).and_then(|document| reader.end().map(|()| document));
    drop(reader);
    match read {
        _ if counted.is_misshapen => Err(BoundProblem::Shape),
        _ if counted.left == 0 => Err(BoundProblem::Large),
        _ if counted.is_blank => Err(BoundProblem::Empty),
        read => read.map_err(|problem| BoundProblem::Form(one_line(&problem.to_string(), MOST_SAID))),
    }
}

/// What is read, up to a bound; blank texts are told apart.
struct Counted<R> {
    text: R,
    left: u64,
    is_blank: bool,
    shape: Shape,
    is_misshapen: bool,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> Outcome<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let Some(into) = into.get_mut(..most) else { return Ok(0) };
        let read = self.text.read(into)?;
        self.left = self.left.saturating_sub(read as u64);
        let read = into.get(..read).unwrap_or_default();
        self.is_blank &= read.iter().all(u8::is_ascii_whitespace);
        if !read.iter().all(|byte| self.shape.holds(*byte)) {
            self.is_misshapen = true;
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        Ok(read.len())
    }
}

/// What the reader behind holds as a whole is bounded here, before it holds it: one text or number, and which lists and
/// objects are open.
struct Shape {
    depth: usize,
    /// How long the text or number is by now.
    run: usize,
    place: Place,
}

#[derive(Clone, Copy)]
enum Place {
    Outside,
    Text,
    /// Behind a backslash in a text.
    Escaped,
}

impl Shape {
    /// Whether the next byte stays within the bounds.
    fn holds(&mut self, byte: u8) -> bool {
        self.run += 1;
        self.place = match (self.place, byte) {
            (Place::Outside, b'[' | b'{') => {
                self.depth += 1;
                self.run = 0;
                Place::Outside
            }
            (Place::Outside, b']' | b'}') => {
                self.depth = self.depth.saturating_sub(1);
                self.run = 0;
                Place::Outside
            }
            (Place::Outside, b'"') => {
                self.run = 0;
                Place::Text
            }
            (Place::Outside, b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') | (Place::Text, b'"') => {
                self.run = 0;
                Place::Outside
            }
            (Place::Text, b'\\') => Place::Escaped,
            (Place::Escaped, _) => Place::Text,
            (place, _) => place,
        };
        self.depth <= MOST_DEPTH && self.run <= MOST_TEXT
    }
}

/// Reports of images with tens of thousands of packages are some tens of megabytes long.
pub const MOST_BYTES: u64 = 128 << 20;
/// The longest is an image's configuration, in base64, of which some megabytes are had from registries.
const MOST_TEXT: usize = 8 << 20;
/// Deeper than anything that is read of a report.
const MOST_DEPTH: usize = 128;
const PIECE: usize = 64 << 10;
/// Characters of what is said of it.
const MOST_SAID: usize = 400;

#[cfg(test)]
mod tests {
    use std::io::repeat;

    use serde::de::IgnoredAny;

    use super::*;

    #[test]
    fn a_document_is_read_whole_or_not_at_all() {
        let read =
            |text: &str| read_within::<IgnoredAny>(text.as_bytes()).map(|_| ()).map_err(|problem| problem.to_string());
        assert_eq!(read(" {} \n"), Ok(()));
        assert_eq!(read(" \n"), Err("it is empty".to_owned()));
        assert_eq!(read(""), Err("it is empty".to_owned()));
        for cut in ["{", r#"{"a":"#, "{} {}", "{}x", "\u{feff}{}"] {
            assert!(read(cut).is_err_and(|problem| problem.contains(" at line 1 column ")), "{cut}");
        }
        let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let text = |length: usize| format!(r#"{{"a":["\"{}"]}}"#, "x".repeat(length - 2));
        let number = |length: usize| "1".repeat(length);
        for (what, within, beyond) in [
            ("depth", deep(MOST_DEPTH), deep(MOST_DEPTH + 1)),
            ("text", text(MOST_TEXT), text(MOST_TEXT + 1)),
            ("number", number(MOST_TEXT), number(MOST_TEXT + 1)),
        ] {
            assert_eq!(read(&within), Ok(()), "{what}");
            assert!(
                read(&beyond).is_err_and(|problem| problem.starts_with("a text in it is longer than 8 MiB")),
                "{what}"
            );
        }
        let long = read_within::<IgnoredAny>(repeat(b' ').take(MOST_BYTES + 1)).map(|_| ());
        assert!(matches!(long, Err(BoundProblem::Large)), "{long:?}");
    }
}
