//! Signed envelopes (DSSE 1.0), alone or in a sigstore bundle: whose signature stands over what.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use crate::policy::{Message, SignerKey};

/// A text that somebody signed together with its type.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) payload_type: String,
    pub(super) payload: Vec<u8>,
    signatures: Vec<Vec<u8>>,
}

/// Why what is attached is no envelope.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeProblem {
    /// It is longer than what is read.
    #[error("it is longer than {} MiB", MOST_BYTES >> 20)]
    Large,
    /// It is not one whole JSON document of the form.
    #[error("it is no signed envelope: {0}")]
    Form(#[from] serde_json::Error),
    /// It is a bundle of another version, or of something else than an envelope.
    #[error("it is no bundle of version 0.3 with an envelope (`dsseEnvelope`) in it")]
    Bundle,
    /// The payload is not base64.
    #[error("its payload is no base64")]
    Payload,
    /// So many signatures stand nowhere.
    #[error("it has {0} signatures, and {MOST_SIGNATURES} are the most")]
    Signatures(usize),
}

impl Envelope {
    /// Reads one by its media type; none where that is of something else.
    pub(super) fn read(media_type: &str, content: &[u8]) -> Option<Result<Self, EnvelopeProblem>> {
        match media_type {
            ENVELOPE | BUNDLE if content.len() > MOST_BYTES => Some(Err(EnvelopeProblem::Large)),
            ENVELOPE => Some(serde_json::from_slice(content).map_err(Into::into).and_then(opened)),
            BUNDLE => Some(serde_json::from_slice(content).map_err(Into::into).and_then(unbundled)),
            _ => None,
        }
    }

    /// Which of the keys' owners signed it. What it says of keys itself (`keyid`) is not signed, so it does not count.
    pub(super) fn signer<'k>(&self, keys: &'k [SignerKey]) -> Option<&'k SignerKey> {
        let message = encoded(&self.payload_type, &self.payload);
        let message = Message::of(&message);
        let signed = |key: &&SignerKey| self.signatures.iter().any(|one| key.public_key.verifies(&message, one));
        keys.iter().find(signed)
    }
}

/// What is signed: the type along with the text (pre-authentication encoding), so that a text that was signed as one
/// thing passes for no other.
fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

/// Both alphabets count, with padding and without.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(borrow)]
    payload_type: Cow<'a, str>,
    #[serde(borrow)]
    payload: Cow<'a, str>,
    #[serde(borrow)]
    signatures: Vec<WrittenSignature<'a>>,
}

#[derive(Deserialize)]
struct WrittenSignature<'a> {
    #[serde(borrow)]
    sig: Cow<'a, str>,
}

/// What else stands in it (certificates, entries of a log) would say when and by whom it was signed without a key that
/// is known beforehand; here the key is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<'a> {
    #[serde(borrow)]
    media_type: Cow<'a, str>,
    #[serde(borrow, default)]
    dsse_envelope: Option<Written<'a>>,
}

fn unbundled(bundle: Bundle<'_>) -> Result<Envelope, EnvelopeProblem> {
    let envelope = bundle.dsse_envelope.filter(|_| bundle.media_type == BUNDLE);
    envelope.map_or(Err(EnvelopeProblem::Bundle), opened)
}

fn opened(written: Written<'_>) -> Result<Envelope, EnvelopeProblem> {
    if written.signatures.len() > MOST_SIGNATURES {
        return Err(EnvelopeProblem::Signatures(written.signatures.len()));
    }
    Ok(Envelope {
        payload: from_base64(&written.payload).ok_or(EnvelopeProblem::Payload)?,
        payload_type: written.payload_type.into_owned(),
        // One that cannot be read is nobody's.
        signatures: written.signatures.iter().filter_map(|one| from_base64(&one.sig)).collect(),
    })
}

/// What cosign attaches attestations as, up to its version 2.
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
/// What it attaches everything as, since its version 3.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// A Grype report of some megabytes, and a third more for base64.
const MOST_BYTES: usize = 32 << 20;
/// Ed25519 hashes the whole text for each, so there are few: envelopes have one or two.
const MOST_SIGNATURES: usize = 8;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `protocol.md` of secure-systems-lab/dsse, section Test Vectors; its signature, there as two numbers, in DER.
    #[test]
    fn the_published_example_is_encoded_and_verified_as_its_authors_do() {
        assert_eq!(
            encoded("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        // Bytes count, not characters.
        assert_eq!(encoded("é", "€".as_bytes()), "DSSEv1 2 é 3 €".as_bytes());
        let key: SignerKey = serde_json::from_value(json!({"name": "example", "publicKey": EXAMPLE_KEY})).unwrap();
        let read = |payload: &str, payload_type: &str| {
            let text = json!({"payload": payload, "payloadType": payload_type, "signatures": [{"sig": EXAMPLE}]});
            Envelope::read(ENVELOPE, text.to_string().as_bytes()).unwrap().unwrap()
        };
        let signed = |payload, payload_type| read(payload, payload_type).signer(std::slice::from_ref(&key)).is_some();
        assert!(signed("aGVsbG8gd29ybGQ=", "http://example.com/HelloWorld"));
        assert!(!signed("aGVsbG8gd29ybGQ=", "http://example.com/HelloWorld2"));
        assert!(!signed("aGVsbG8gd29ybGR4", "http://example.com/HelloWorld"));
        // What belongs to one cannot be pushed over to the other.
        assert!(!signed("ZCBoZWxsbyB3b3JsZA==", "http://example.com/HelloWorl"));
    }

    #[test]
    fn base64_is_read_in_both_alphabets_and_not_loosely() {
        for (text, want) in [
            ("+/8=", Some(vec![0xfb, 0xff])),
            ("-_8=", Some(vec![0xfb, 0xff])),
            ("-_8", Some(vec![0xfb, 0xff])),
            ("", Some(vec![])),
            ("+_8=", None),
            ("+/9=", None),
            ("+/8= ", None),
            ("é", None),
        ] {
            assert_eq!(from_base64(text), want, "{text}");
        }
    }

    const EXAMPLE_KEY: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ805D3eqNZywjCI19lInBJOp7YMr\nCrzAH3CVTAOQ0jgMeCvVTiaRJaRPRDOv8UMs6U4SvKc6pnrIDOoSYI3fdA==\n-----END PUBLIC KEY-----";
    const EXAMPLE: &str =
        "MEQCIANyarEBrVbCdjtsaqyOSHJ14qeRk6CdxfhZ2fjvPEo7AiBR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==";
}
