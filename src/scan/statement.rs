//! What somebody signed of an image (in-toto statements): read only where a known key signed, and only of the image that
//! is asked for.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::dsse::{Envelope, EnvelopeProblem};
use crate::model::one_line;
use crate::policy::SignerKey;

/// A statement of one image, signed by a known key.
#[derive(Debug)]
pub(super) struct Statement<'k> {
    /// Whose key.
    pub(super) by: &'k SignerKey,
    /// What kind of thing it says.
    pub(super) predicate_type: String,
    /// The whole text.
    pub(super) text: Vec<u8>,
}

/// Why an envelope holds no statement of the image by a known key.
#[derive(Debug, thiserror::Error)]
pub enum StatementProblem {
    /// It is no envelope.
    #[error("{0}")]
    Envelope(#[from] EnvelopeProblem),
    /// Nobody known signed it.
    #[error("none of the keys signed it")]
    Key,
    /// Another type of text, though its signer is known.
    #[error("what `{by}` signed is of type `{0}`, not `{STATEMENT}`", by = .1)]
    Type(String, String),
    /// The payload is not one whole statement.
    #[error("what `{by}` signed is no statement: {0}", by = .1)]
    Form(#[source] serde_json::Error, String),
    /// A version of statements that is not read.
    #[error("what `{by}` signed is a statement of the version `{0}`; those of v0.1 and v1 are read", by = .1)]
    Version(String, String),
    /// It is of something else.
    #[error("what `{by}` signed is of {0}, not of {wanted}", by = .1, wanted = .2)]
    Subject(String, String, String),
}

impl<'k> Statement<'k> {
    /// Reads what one of the keys' owners signed of the image with that digest; none where it is no envelope by its
    /// media type.
    pub(super) fn read(
        (media_type, content): (&str, &[u8]),
        keys: &'k [SignerKey],
        digest: &str,
    ) -> Option<Result<Self, StatementProblem>> {
        let envelope = Envelope::read(media_type, content)?;
        Some(envelope.map_err(Into::into).and_then(|envelope| stated(envelope, keys, digest)))
    }
}

fn stated<'k>(envelope: Envelope, keys: &'k [SignerKey], digest: &str) -> Result<Statement<'k>, StatementProblem> {
    // What nobody known signed is not read any further.
    let by = envelope.signer(keys).ok_or(StatementProblem::Key)?;
    let name = || by.name.clone();
    if envelope.payload_type != STATEMENT {
        return Err(StatementProblem::Type(shortened(&envelope.payload_type), name()));
    }
    let head: Head =
        serde_json::from_slice(&envelope.payload).map_err(|problem| StatementProblem::Form(problem, name()))?;
    if !VERSIONS.contains(&head.version.as_str()) {
        return Err(StatementProblem::Version(shortened(&head.version), name()));
    }
    // A digest of another algorithm, or of the index that the image is in, is not the one that was asked for.
    let is_of = |subject: &Subject| {
        subject.digest.sha256.as_deref().is_some_and(|value| Some(value) == digest.strip_prefix("sha256:"))
    };
    if !head.subject.iter().any(is_of) {
        let named = head.subject.iter().filter_map(|subject| subject.digest.sha256.as_deref());
        let named: Vec<String> = named.take(3).map(|value| format!("sha256:{}", shortened(value))).collect();
        let named = if named.is_empty() { "nothing with a SHA-256".to_owned() } else { named.join(", ") };
        return Err(StatementProblem::Subject(named, name(), digest.to_owned()));
    }
    Ok(Statement { by, predicate_type: head.predicate_type, text: envelope.payload })
}

/// For texts: without control characters, and not endless.
pub(super) fn shortened(text: &str) -> String {
    one_line(text, MOST_CHARACTERS)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    #[serde(rename = "_type")]
    version: String,
    subject: Vec<Subject>,
    predicate_type: String,
    #[serde(rename = "predicate", default)]
    _predicate: IgnoredAny,
}

#[derive(Deserialize)]
struct Subject {
    digest: Digests,
}

/// A type of its own, since a map would keep the last of two values and say nothing.
#[derive(Deserialize)]
struct Digests {
    #[serde(default)]
    sha256: Option<String>,
}

const STATEMENT: &str = "application/vnd.in-toto+json";
const VERSIONS: &[&str] = &["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"];
const MOST_CHARACTERS: usize = 100;
