//! Public keys that policies name, and whether their owner signed a text.

use std::sync::OnceLock;

use aws_lc_rs::digest::{Digest, SHA256, SHA384, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, RsaPssSaltLength, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A public key: ECDSA on P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: Kind,
    /// The key itself, in the form that signatures are checked with.
    bytes: Vec<u8>,
    /// With its kind (SubjectPublicKeyInfo).
    der: Vec<u8>,
}

/// Why a text is no key that signatures can be checked with; none of them repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// Nothing in PEM, or more than one thing.
    #[error(
        "is no public key in PEM; write the whole block, from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----"
    )]
    Form,
    /// It should never have come here.
    #[error("is a private key; whoever signs keeps that one, and here stands the public one (`openssl pkey -pubout`)")]
    Private,
    /// A certificate names more than a key, none of which would be looked at.
    #[error("is a certificate; write the public key in it (`openssl x509 -noout -pubkey`)")]
    Certificate,
    /// RSA's own form.
    #[error("is in RSA's own form; write it as others are (`openssl rsa -RSAPublicKey_in -pubout`)")]
    RsaForm,
    /// Too short to be relied upon, or too long.
    #[error("is of {0} bits; RSA keys have 2048 to 8192")]
    Length(usize),
    /// Some other curve or algorithm.
    #[error("is of a kind that is not read; ECDSA on P-256 or P-384, Ed25519 and RSA are")]
    Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl PublicKey {
    /// Reads a key in PEM.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(pem: &str) -> Result<Self, KeyProblem> {
        for (label, problem) in OTHERS {
            if pem.contains(label) {
                return Err(*problem);
            }
        }
        let inside = pem.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(KeyProblem::Form)?;
        let text: String = inside.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let der = STANDARD.decode(text).map_err(|_| KeyProblem::Form)?;
        let (rest, info) = SubjectPublicKeyInfo::from_der(&der).map_err(|_| KeyProblem::Form)?;
        if !rest.is_empty() {
            return Err(KeyProblem::Form);
        }
        let kind = kind(&info)?;
        let bytes = info.subject_public_key.data.to_vec();
        let fits = kind.algorithms().iter().all(|algorithm| ParsedPublicKey::new(*algorithm, &bytes).is_ok());
        if fits { Ok(PublicKey { kind, bytes, der }) } else { Err(KeyProblem::Form) }
    }

    /// Whether the key's owner signed the message.
    pub fn verifies(&self, message: &Message<'_>, signature: &[u8]) -> bool {
        let verifies = |algorithm| {
            let key = UnparsedPublicKey::new(algorithm, &self.bytes);
            match self.kind {
                Kind::Ed25519 => key.verify(message.bytes, signature).is_ok(),
                // One of another algorithm's hash is refused.
                _ => message.hashes().iter().any(|hash| key.verify_digest(hash, signature).is_ok()),
            }
        };
        self.kind.algorithms().iter().copied().any(verifies)
    }
}

/// What may be signed, which is hashed once, however many keys and signatures are tried.
pub struct Message<'a> {
    bytes: &'a [u8],
    hashes: OnceLock<[Digest; 2]>,
}

impl<'a> Message<'a> {
    /// These bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        Message { bytes, hashes: OnceLock::new() }
    }

    fn hashes(&self) -> &[Digest; 2] {
        self.hashes.get_or_init(|| [&SHA256, &SHA384].map(|algorithm| digest(algorithm, self.bytes)))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(&self.der))
    }
}

impl Kind {
    /// What the signers of images use: cosign signs with SHA-256, and with SHA-384 on P-384 since its version 3.
    fn algorithms(self) -> &'static [&'static dyn VerificationAlgorithm] {
        match self {
            Kind::P256 => &[&ECDSA_P256_SHA256_ASN1],
            Kind::P384 => &[&ECDSA_P384_SHA384_ASN1, &ECDSA_P384_SHA256_ASN1],
            Kind::Ed25519 => &[&ED25519],
            Kind::Rsa => &[&RSA_PKCS1_2048_8192_SHA256, &RSA_PSS_2048_8192_SHA256, &LONG_SALT],
        }
    }
}

fn kind(info: &SubjectPublicKeyInfo<'_>) -> Result<Kind, KeyProblem> {
    let algorithm = &info.algorithm.algorithm;
    let curve = || info.algorithm.parameters.as_ref()?.as_oid().ok();
    if *algorithm == OID_SIG_ED25519 {
        return Ok(Kind::Ed25519);
    }
    if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        return match curve() {
            Some(curve) if curve == OID_EC_P256 => Ok(Kind::P256),
            Some(curve) if curve == OID_NIST_EC_P384 => Ok(Kind::P384),
            _ => Err(KeyProblem::Kind),
        };
    }
    if *algorithm != OID_PKCS1_RSAENCRYPTION {
        return Err(KeyProblem::Kind);
    }
    let Ok(Parsed::RSA(key)) = info.parsed() else { return Err(KeyProblem::Form) };
    let length = bits(key.modulus);
    if (2048..=8192).contains(&length) { Ok(Kind::Rsa) } else { Err(KeyProblem::Length(length)) }
}

/// How many bits a number has.
fn bits(number: &[u8]) -> usize {
    let mut bytes = number.iter().copied().skip_while(|byte| *byte == 0);
    let Some(first) = bytes.next() else { return 0 };
    (8 - first.leading_zeros() as usize) + bytes.count() * 8
}

/// The longest salt that fits: what Go and OpenSSL take when they sign and nobody says how long it should be.
const LONG_SALT: RsaParameters = RSA_PSS_2048_8192_SHA256.with_pss_salt_length(RsaPssSaltLength::Max);
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
const OTHERS: &[(&str, KeyProblem)] = &[
    ("PRIVATE KEY-----", KeyProblem::Private),
    ("-----BEGIN CERTIFICATE-----", KeyProblem::Certificate),
    ("-----BEGIN RSA PUBLIC KEY-----", KeyProblem::RsaForm),
];

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, SigningKey};

    use super::*;

    #[test]
    fn each_kind_of_key_verifies_what_its_owner_signed_and_nothing_else() {
        let (mine, yours) = (b"what was signed".as_slice(), b"what was not".as_slice());
        let kinds = [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519, &PKCS_RSA_SHA256];
        let pairs: Vec<KeyPair> = kinds.iter().map(|kind| KeyPair::generate_for(kind).unwrap()).collect();
        let keys: Vec<PublicKey> = pairs.iter().map(|pair| PublicKey::parse(&pair.public_key_pem()).unwrap()).collect();
        for (signing, pair) in pairs.iter().enumerate() {
            let signature = pair.sign(mine).unwrap();
            let mut changed = signature.clone();
            *changed.last_mut().unwrap() ^= 1;
            for (verifying, key) in keys.iter().enumerate() {
                assert_eq!(key.verifies(&Message::of(mine), &signature), signing == verifying, "{signing} {verifying}");
                assert!(!key.verifies(&Message::of(yours), &signature), "{signing} {verifying}");
                assert!(!key.verifies(&Message::of(mine), &changed), "{signing} {verifying}");
                assert!(!key.verifies(&Message::of(mine), &[]), "{signing} {verifying}");
            }
        }
    }

    /// By OpenSSL 3: cosign up to its version 2 has SHA-256 for keys of all lengths.
    #[test]
    fn a_longer_curve_goes_with_the_shorter_hash_too_and_with_no_third() {
        let key = PublicKey::parse(P384_KEY).unwrap();
        let verifies = |signature: &str| key.verifies(&Message::of(b"a text"), &STANDARD.decode(signature).unwrap());
        assert_eq!((verifies(BY_SHA256), verifies(BY_SHA512)), (true, false));
    }

    /// By OpenSSL 3; the longest salt is in a published signature (tests/scan/signatures.rs).
    #[test]
    fn a_salt_may_be_as_long_as_the_hash() {
        let key = PublicKey::parse(RSA_KEY).unwrap();
        let signature = STANDARD.decode(BY_PSS).unwrap();
        assert_eq!(
            (key.verifies(&Message::of(b"a text"), &signature), key.verifies(&Message::of(b"a test"), &signature)),
            (true, false)
        );
    }

    #[test]
    fn what_is_no_key_to_rely_on_is_refused_with_what_to_write() {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let pem = pair.public_key_pem();
        let (begin, end) = (BEGIN, END);
        let body = pem.replace(begin, "").replace(end, "");
        let mut off_the_curve = STANDARD.decode(body.replace(['\n', '\r'], "")).unwrap();
        *off_the_curve.last_mut().unwrap() ^= 1;
        let longer = [STANDARD.decode(body.replace(['\n', '\r'], "")).unwrap(), vec![0]].concat();
        let written = |der: &[u8]| format!("{begin}\n{}\n{end}", STANDARD.encode(der));
        for (text, want) in [
            (String::new(), KeyProblem::Form),
            (body.clone(), KeyProblem::Form),
            (format!("{pem}{pem}"), KeyProblem::Form),
            (format!("a key:\n{pem}"), KeyProblem::Form),
            (format!("{pem}and more"), KeyProblem::Form),
            (format!("{begin}\n{end}"), KeyProblem::Form),
            (written(&off_the_curve), KeyProblem::Form),
            (written(&longer), KeyProblem::Form),
            (pair.serialize_pem(), KeyProblem::Private),
            (format!("{pem}{}", pair.serialize_pem()), KeyProblem::Private),
            (pem.replace("PUBLIC KEY", "CERTIFICATE"), KeyProblem::Certificate),
            (pem.replace("PUBLIC KEY", "RSA PUBLIC KEY"), KeyProblem::RsaForm),
            (RSA_1024.to_owned(), KeyProblem::Length(1024)),
            (P521_KEY.to_owned(), KeyProblem::Kind),
        ] {
            assert_eq!(PublicKey::parse(&text), Err(want), "{text}");
        }
        // As editors leave it.
        assert_eq!(PublicKey::parse(&format!("\n {}\n\n", pem.replace('\n', "\r\n"))), PublicKey::parse(&pem));
    }

    const P384_KEY: &str = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEfRUExkW3V9MlmT2W1N8G7b+O7ZFxGLzi
9jAUZSpEp5bEV0PEAfPWfdwiEj18BUgw74aozkYlN9cwzBqop7f/xQwrm0l8QPql
DpMYbMapq504Dy2I0tkS3cTchGkJ66nG
-----END PUBLIC KEY-----";
    const BY_SHA256: &str = "MGUCMQD4uQ2xX60NXF5XqwWGVhy1Wr2kFoC0H98QPAPsD3sdQP/4joEnBWrdxPCh9QTj6/wCMCUefk41IdwPn5a+oQ829RQOOfo5f9TCa7uS0kXsWk/kUwwyIfu64qakfyoQHZYTIA==";
    const BY_SHA512: &str = "MGUCMQDPnt1E5nKhdrK6Ci8oWcBkP4qO/U1GoZR2cuLDgize2cXXWWbZyOWlSnvUHOHS5rYCMH5ppUvlY4gKtGSUbcTxPdDam+mrRvagblhX68gQxDchJQgEipTFOtsj92PZuIz1mw==";
    const RSA_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAz7yfYBBLUCxIHYQASSBG
I7uESkumIXGLmmXj12R1pNDqz3mRKauICPP7a6GewDRjNNtmlOgIawLc/9LA2DLF
U/9y9VF6Tq85LtkN1fqBlqw2WsPMUEMrIUqwElO2PpC1aoVvW+EAB4RPSUW5OWl7
HGwDVjviMpArHbGfLAE18BrG90YfSzrJ1YCcDZLCu5X13yqgiC8u/oNyZTmwoCFI
WYN4jikvex50/0k89QRU1xPBwGtydOciRfEXPxjpTAqctVGkUezutzpQnSxplysw
Yn98VzlD6sSwacVxKe5se6xgCY3QivHfYT6AeQyFkMBhx+7PDd0Zr1ygJxD6i0ir
1QIDAQAB
-----END PUBLIC KEY-----";
    const BY_PSS: &str = "l+BupU0vkwYOn0kBs3l0fphdHcRm5JKN2KJgnAtWbKa2h0rLRGJunus4uaAPZZz7xjQooCKqMekfZDewMDiRSAIbtOsP1VZdbSYWWiHnOaRXpd4u1EggnyXrIl/r6bfp9UwVhvj2RXv/qqG9LB2MJ/W0hpWkZnozxauyrOyNHBQdDPHzVm6AnDs+IN2X66X6HtPwhnPN+spQm/fbgtjt6tKARAqXRbJeS9ldqGBd4+xmps9bVvhcKqS+xx4G0jGGkw3+8HKXqcddcphlApAk2ThaAWvs5K9GhewbTtacC99zxMsgWjecK5Sgf8yp80YSFlxCFzrqTZZdO1Vik2psRg==";
    const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDY/Qw9nxb+pUllZNV07OFs7/Wi
Yl12/hW/SLabymundtYRJcwjlwXRMGConv0ROeqWexE2AD+Y9wdcVWxkrT3KdO42
QOZ0u3jzB1CbVTtJoYjDsIHBlQBB/1xU+8N2RKBFJQ+WmRjc/zSIYUM3mWMMUpA7
/XM5NK77SSHpAynHwwIDAQAB
-----END PUBLIC KEY-----";
    const P521_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQA7WwTsUSTAUMHrF3MOM+27XpuaH01
WGaV2j12BTAFTfqELw4OLFXRl8OtfSwJTn5joMW457WGTWznrUg7UMB2+uwA4kSy
eESXO+d1tekP5avehfuiuR76s+sRDDpbtZCkATya1A+QrLhRcrXAqhmviD+ZNfJF
84G7DSKeU7n/vMC383w=
-----END PUBLIC KEY-----";
}
