//! Somebody who signs scans and images as cosign does, and what a registry gives of it.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use flamewarden::scan::Attachment;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey};
use serde_json::{Value, json};

/// A key and its name in policies.
pub(crate) struct Signer {
    name: &'static str,
    pair: KeyPair,
}

/// Something that is attached to an image.
#[derive(Clone)]
pub(crate) struct Attached {
    pub(crate) media_type: String,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) content: Vec<u8>,
}

impl Signer {
    pub(crate) fn new(name: &'static str) -> Signer {
        Signer { name, pair: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap() }
    }

    /// The key as it stands in a policy.
    pub(crate) fn key(&self) -> Value {
        json!({"name": self.name, "publicKey": self.pair.public_key_pem()})
    }

    /// A statement of an image, in an envelope.
    pub(crate) fn attests(&self, statement: &Value) -> Attached {
        self.envelope(STATEMENT, &statement.to_string())
    }

    /// Any text of any type, in an envelope.
    pub(crate) fn envelope(&self, payload_type: &str, payload: &str) -> Attached {
        Attached::envelope(payload_type, payload, &[&self.over(payload_type, payload)])
    }

    /// The signature over a text of a type.
    pub(crate) fn over(&self, payload_type: &str, payload: &str) -> String {
        let message = format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len());
        self.plainly(message.as_bytes())
    }

    /// The signature over a text as it is.
    pub(crate) fn plainly(&self, message: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(message).unwrap())
    }

    /// An image's signature as cosign made it up to its version 2.
    pub(crate) fn signs(&self, payload: &Value) -> Attached {
        let payload = payload.to_string();
        Attached::simple(&payload, &self.plainly(payload.as_bytes()))
    }
}

impl Attached {
    pub(crate) fn envelope(payload_type: &str, payload: &str, signatures: &[&str]) -> Attached {
        let signatures: Vec<Value> = signatures.iter().map(|sig| json!({"keyid": "", "sig": sig})).collect();
        let envelope =
            json!({"payloadType": payload_type, "payload": STANDARD.encode(payload), "signatures": signatures});
        Attached::of(ENVELOPE, envelope.to_string())
    }

    pub(crate) fn simple(payload: &str, signature: &str) -> Attached {
        let mut attached = Attached::of("application/vnd.dev.cosign.simplesigning.v1+json", payload.to_owned());
        attached.annotations.insert("dev.cosignproject.cosign/signature".to_owned(), signature.to_owned());
        attached
    }

    pub(crate) fn of(media_type: &str, content: String) -> Attached {
        Attached { media_type: media_type.to_owned(), annotations: BTreeMap::new(), content: content.into_bytes() }
    }

    /// The same in a bundle, as cosign has it since its version 3.
    pub(crate) fn bundled(&self) -> Attached {
        let envelope: Value = serde_json::from_slice(&self.content).unwrap();
        let bundle = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": "x"}, "tlogEntries": []},
            "dsseEnvelope": envelope,
        });
        Attached::of(BUNDLE, bundle.to_string())
    }

    fn view(&self) -> Attachment<'_> {
        let Attached { media_type, annotations, content } = self;
        Attachment { media_type, annotations, content }
    }

    /// With a change of its text.
    pub(crate) fn replaced(&self, from: &str, to: &str) -> Attached {
        let text = String::from_utf8(self.content.clone()).unwrap();
        assert!(text.contains(from), "no {from} in {text}");
        Attached { content: text.replacen(from, to, 1).into_bytes(), ..self.clone() }
    }
}

pub(crate) fn views(attached: &[Attached]) -> Vec<Attachment<'_>> {
    attached.iter().map(Attached::view).collect()
}

pub(crate) const STATEMENT: &str = "application/vnd.in-toto+json";
pub(crate) const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
pub(crate) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
