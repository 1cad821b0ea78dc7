//! Image signatures in cosign's formats: who signed which bytes for which repository. A scan says nothing about whose
//! image it is.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::dsse::from_base64;
use super::statement::{Statement, shortened};
use super::trust::{Attachment, MOST_ATTACHED, joined};
use crate::model::ImageRef;
use crate::policy::{ImageSignature, Message, SignedFor, SignerKey};

/// What is attached to an image's manifest, or to an index that names that manifest by its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// The digest of that manifest or index.
    pub digest: &'a str,
    /// What is attached to it.
    pub attached: &'a [Attachment<'a>],
}

/// Whether an image is signed as its profile asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// No signature is asked for.
    NotAsked,
    /// The owner of the key of this name signed it.
    By(String),
    /// Nobody did who counts; what to do, and why what is there does not count.
    Missing(Vec<String>),
}

/// Who of those that a profile names signed an image's bytes for its repository: its manifest, which comes first, or an
/// index in which it is. That the index names the manifest is the caller's to know, from the index's own bytes: whoever
/// signed these signed the digests in them.
pub fn signed(places: &[Beside<'_>], image: &ImageRef<'_>, wanted: Option<&ImageSignature>) -> Signature {
    let Some(wanted) = wanted else { return Signature::NotAsked };
    let mut others = Vec::new();
    for Beside { digest, attached } in places {
        for one in attached.iter().take(MOST_ATTACHED) {
            let read = match one.media_type {
                SIMPLE => Some(simple(one, digest, image, wanted).map_err(|problem| problem.to_string())),
                _ => bundled(one, digest, wanted),
            };
            match read {
                Some(Ok(by)) => return Signature::By(by.name.clone()),
                Some(Err(problem)) => others.push(problem),
                None => {}
            }
        }
    }
    let names: Vec<String> = wanted.keys.iter().map(|key| format!("`{}`", key.name)).collect();
    let whose = if names.len() == 1 { "" } else { "one of " };
    let over: Vec<&str> = places.iter().map(|place| place.digest).collect();
    let sought = format!(
        "the image has no signature by {whose}{} over {}; have it signed (`cosign sign --key …`), which takes no new image",
        names.join(", "),
        over.join(" or the index "),
    );
    Signature::Missing([sought].into_iter().chain(joined(others)).collect())
}

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
enum SignatureProblem {
    #[error("a signature is over a text of more than {MOST_BYTES} bytes")]
    Large,
    #[error("a signature is missing or no base64 (annotation `{ANNOTATION}`)")]
    Missing,
    #[error("a signature is by none of the keys")]
    Key,
    #[error("what `{by}` signed is not what cosign signs of an image: {0}", by = .1)]
    Form(#[source] serde_json::Error, String),
    #[error("what `{by}` signed is of the type `{0}`, not `{TYPE}`", by = .1)]
    Type(String, String),
    #[error("`{0}` signed {1}, not this image")]
    Digest(String, String),
    #[error("`{0}` signed it for `{1}`, which is none of the `repositories` that count")]
    Repository(String, String),
}

/// The format up to cosign 2: a text that names digest and repository, signed as it is.
fn simple<'k>(
    attached: &Attachment<'_>,
    digest: &str,
    image: &ImageRef<'_>,
    wanted: &'k ImageSignature,
) -> Result<&'k SignerKey, SignatureProblem> {
    if attached.content.len() > MOST_BYTES {
        return Err(SignatureProblem::Large);
    }
    let written = attached.annotations.get(ANNOTATION).filter(|text| text.len() <= MOST_BYTES);
    // Programs that write base64 break its lines.
    let written = written.map(|text| text.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>());
    let signature = written.and_then(|text| from_base64(&text)).ok_or(SignatureProblem::Missing)?;
    let message = Message::of(attached.content);
    let signed = |key: &&SignerKey| key.public_key.verifies(&message, &signature);
    // What nobody known signed is not read any further.
    let by = wanted.keys.iter().find(signed).ok_or(SignatureProblem::Key)?;
    let name = || by.name.clone();
    let Payload { critical, .. } =
        serde_json::from_slice(attached.content).map_err(|problem| SignatureProblem::Form(problem, name()))?;
    if critical.kind != TYPE {
        return Err(SignatureProblem::Type(shortened(&critical.kind), name()));
    }
    if critical.image.digest != digest {
        return Err(SignatureProblem::Digest(name(), shortened(&critical.image.digest)));
    }
    let named = &critical.identity.reference;
    let fits = wanted.repositories == SignedFor::Any
        || ImageRef::parse(named).is_ok_and(|named| {
            wanted.repositories.admits(&named, image) && named.digest.is_none_or(|named| named == digest)
        });
    if fits { Ok(by) } else { Err(SignatureProblem::Repository(name(), shortened(named))) }
}

/// The format since cosign 3: a statement, of which the digest is all.
fn bundled<'k>(
    attached: &Attachment<'_>,
    digest: &str,
    wanted: &'k ImageSignature,
) -> Option<Result<&'k SignerKey, String>> {
    match Statement::read((attached.media_type, attached.content), &wanted.keys, digest)? {
        Err(problem) => Some(Err(problem.to_string())),
        // Scans and SBOMs are attached in the same way, and are no word on whose image it is.
        Ok(statement) if statement.predicate_type != SIGN => None,
        Ok(statement) if wanted.repositories == SignedFor::Any => Some(Ok(statement.by)),
        Ok(statement) => Some(Err(format!(
            "`{}` signed it for no repository, as cosign does since its version 3; `repositories: any` takes that",
            statement.by.name
        ))),
    }
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
    #[serde(rename = "optional", default)]
    _optional: IgnoredAny,
}

/// Whoever reads it must understand all of it: that is what it is called so for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ANNOTATION: &str = "dev.cosignproject.cosign/signature";
const TYPE: &str = "cosign container image signature";
const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
/// Such texts have some hundreds of bytes, and what a signer adds.
const MOST_BYTES: usize = 64 << 10;
