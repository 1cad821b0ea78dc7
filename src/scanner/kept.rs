//! What a later judgement needs of a scan, as it is kept: as a text, in the object or, where it is large, in the archive.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::errand::Evidence;
use crate::model::Digest;
use crate::scan::{Census, Report};

/// Where the evidence of a scan is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is not kept: there is none, or it is too large.
    Nowhere,
    /// In the object itself, this text.
    Here(String),
    /// In the archive, as the text with this digest and no other.
    Archived(Digest),
}

impl Kept {
    /// What the field `report` of a status says.
    pub(super) fn read(report: Option<&Value>) -> Self {
        let text = |field: &str| report?.get(field)?.as_str();
        let archived = || text("archived").and_then(Digest::parse).map_or(Kept::Nowhere, Kept::Archived);
        text("text").map_or_else(archived, |text| Kept::Here(text.to_owned()))
    }

    /// A merge patch of that field.
    pub(super) fn patch(&self) -> Value {
        match self {
            Kept::Nowhere => Value::Null,
            // A text, since an object of so many parts would be a burden to everybody who reads it.
            Kept::Here(text) => json!({"text": text, "archived": null}),
            Kept::Archived(digest) => json!({"text": null, "archived": digest}),
        }
    }
}

/// Evidence as a text, unless that would be longer than `most` bytes.
pub(super) fn text(evidence: &Evidence, most: usize) -> Option<String> {
    let mut text = Within { bytes: Vec::new(), most };
    serde_json::to_writer(&mut text, &Written { report: &evidence.report, packages: &evidence.census }).ok()?;
    String::from_utf8(text.bytes).ok()
}

/// Takes so many bytes and no more: what is too long is not made first.
struct Within {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Within {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The evidence that a text was made from.
pub(super) fn evidence(text: &str) -> Option<Evidence> {
    let Read { report, packages } = serde_json::from_str(text).ok()?;
    Some(Evidence { report, census: packages })
}

#[derive(Serialize)]
struct Written<'a> {
    report: &'a Report,
    packages: &'a Census,
}

#[derive(Deserialize)]
struct Read {
    report: Report,
    packages: Census,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_report_is_found_where_its_object_says() {
        let digest = Digest::of(b"x");
        for kept in [Kept::Nowhere, Kept::Here("x".to_owned()), Kept::Archived(digest)] {
            assert_eq!(Kept::read(Some(&kept.patch())), kept);
        }
        for nothing in [json!({}), json!({"archived": "x"}), json!({"text": 1}), json!("x"), json!({"archived": null})]
        {
            assert_eq!(Kept::read(Some(&nothing)), Kept::Nowhere, "{nothing}");
        }
        assert_eq!(Kept::read(None), Kept::Nowhere);
    }

    #[test]
    fn what_was_kept_before_gives_way() {
        for (kept, gone) in [(Kept::Here("x".to_owned()), "archived"), (Kept::Archived(Digest::of(b"x")), "text")] {
            assert_eq!(kept.patch().get(gone), Some(&Value::Null), "{kept:?}");
        }
    }
}
