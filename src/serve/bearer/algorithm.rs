//! The algorithms that a token may be signed by: with public keys only, so that who checks cannot sign.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Material {
    /// Of 2048 to 8192 bits.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// A point on a curve, in the form that signatures on it are checked with.
    Point { curve: &'static str, point: Vec<u8> },
}

/// An algorithm by its name in tokens.
pub(super) struct Algorithm {
    pub(super) name: &'static str,
    how: How,
}

enum How {
    Rsa(&'static RsaParameters),
    Point(&'static str, &'static dyn VerificationAlgorithm),
}

impl Algorithm {
    /// The algorithm of that name, if it is accepted.
    pub(super) fn named(name: &str) -> Option<&'static Algorithm> {
        ALGORITHMS.iter().find(|algorithm| algorithm.name == name)
    }

    /// Whether a key is of the kind that it needs.
    pub(super) fn takes(&self, key: &Material) -> bool {
        match (&self.how, key) {
            (How::Rsa(_), Material::Rsa { .. }) => true,
            (How::Point(curve, _), Material::Point { curve: its, .. }) => curve == its,
            (How::Rsa(_), Material::Point { .. }) | (How::Point(..), Material::Rsa { .. }) => false,
        }
    }

    /// Whether the key's owner signed the message.
    pub(super) fn verifies(&self, key: &Material, message: &[u8], signature: &[u8]) -> bool {
        match (&self.how, key) {
            (How::Rsa(by), Material::Rsa { modulus, exponent }) => {
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(by, message, signature).is_ok()
            }
            (How::Point(curve, by), Material::Point { curve: its, point }) if curve == its => {
                UnparsedPublicKey::new(*by, point).verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}

pub(super) const P256: &str = "P-256";
pub(super) const P384: &str = "P-384";
pub(super) const ED: &str = "Ed25519";

static ALGORITHMS: [Algorithm; 9] = [
    Algorithm { name: "RS256", how: How::Rsa(&RSA_PKCS1_2048_8192_SHA256) },
    Algorithm { name: "RS384", how: How::Rsa(&RSA_PKCS1_2048_8192_SHA384) },
    Algorithm { name: "RS512", how: How::Rsa(&RSA_PKCS1_2048_8192_SHA512) },
    Algorithm { name: "PS256", how: How::Rsa(&RSA_PSS_2048_8192_SHA256) },
    Algorithm { name: "PS384", how: How::Rsa(&RSA_PSS_2048_8192_SHA384) },
    Algorithm { name: "PS512", how: How::Rsa(&RSA_PSS_2048_8192_SHA512) },
    Algorithm { name: "ES256", how: How::Point(P256, &ECDSA_P256_SHA256_FIXED) },
    Algorithm { name: "ES384", how: How::Point(P384, &ECDSA_P384_SHA384_FIXED) },
    Algorithm { name: "EdDSA", how: How::Point(ED, &ED25519) },
];
