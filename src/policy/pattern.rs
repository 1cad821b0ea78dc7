//! A regular expression that always has to match the whole text.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, de::Error as _};

/// A pattern of names; `regex` matches in linear time, so a hostile text costs no more than its length.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern; it is anchored at both ends whether or not it says so.
    ///
    /// # Errors
    /// What `regex` has to say of it, or that it grows too large.
    pub fn new(source: &str) -> Result<Self, regex::Error> {
        let regex = RegexBuilder::new(&format!("^(?:{source})$")).size_limit(SIZE).build()?;
        Ok(Pattern { source: source.to_owned(), regex })
    }

    /// Whether the whole text fits.
    pub fn fits(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The pattern as the operator wrote it.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let source = String::deserialize(reader)?;
        Pattern::new(&source).map_err(|problem| D::Error::custom(format_args!("pattern {source:?}: {problem}")))
    }
}

const SIZE: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_the_whole_text_or_nothing() {
        let pattern = Pattern::new("analysis-[a-z]+|x").unwrap();
        for (text, fits) in
            [("analysis-a", true), ("x", true), ("analysis-a\n", false), ("xx", false), ("my-analysis-a", false)]
        {
            assert_eq!(pattern.fits(text), fits, "{text:?}");
        }
    }
}
