//! Reads one whole JSON document that somebody else wrote, piece by piece and up to a length.

use std::io::{BufReader, Read, Result as Outcome};

use serde::de::DeserializeOwned;

/// Why a text is not the document that it should be.
#[derive(Debug, thiserror::Error)]
pub enum BoundProblem {
    /// There is no text.
    #[error("it is empty")]
    Empty,
    /// It is longer than what is read.
    #[error("it is longer than {} MiB", MOST_BYTES >> 20)]
    Large,
    /// It is not one whole document of the form.
    #[error("{0}")]
    Form(#[from] serde_json::Error),
}

/// The document, with nothing after it.
pub(super) fn read_within<T: DeserializeOwned>(document: impl Read) -> Result<T, BoundProblem> {
    let mut counted = Counted { text: document, left: MOST_BYTES + 1, is_blank: true };
    let mut reader = serde_json::Deserializer::from_reader(BufReader::with_capacity(PIECE, &mut counted));
    let read = T::deserialize(&mut reader).and_then(|document| reader.end().map(|()| document));
    drop(reader);
    match read {
        _ if counted.left == 0 => Err(BoundProblem::Large),
        _ if counted.is_blank => Err(BoundProblem::Empty),
        read => Ok(read?),
    }
}

/// What is read, up to a bound; blank texts are told apart.
struct Counted<R> {
    text: R,
    left: u64,
    is_blank: bool,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> Outcome<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let Some(into) = into.get_mut(..most) else { return Ok(0) };
        let read = self.text.read(into)?;
        self.left = self.left.saturating_sub(read as u64);
        self.is_blank &= into.iter().take(read).all(u8::is_ascii_whitespace);
        Ok(read)
    }
}

/// Reports of images with tens of thousands of packages are some tens of megabytes long.
const MOST_BYTES: u64 = 128 << 20;
const PIECE: usize = 64 << 10;

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
        let long = read_within::<IgnoredAny>(repeat(b' ').take(MOST_BYTES + 1)).map(|_| ());
        assert!(matches!(long, Err(BoundProblem::Large)), "{long:?}");
    }
}
