//! The keys that a realm publishes, and which of them a token is checked with.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::Refusal;
use super::algorithm::{Algorithm, ED, Material, P256, P384};
use super::claims::Header;

/// Public keys that sign tokens of a realm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RealmKeys {
    keys: Vec<Key>,
}

/// Why what a realm published is no set of keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysProblem {
    /// No JSON of that form.
    #[error("what the realm published is no set of keys")]
    Form,
    /// Keys perhaps, but none to sign tokens with.
    #[error("none of the keys that the realm published signs tokens")]
    None,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    id: String,
    /// The one algorithm that the realm uses it for, where it says so.
    only: Option<String>,
    material: Material,
}

impl RealmKeys {
    /// Reads a set of keys (RFC 7517). Keys that sign nothing, or not in a way that is known here, are left out.
    pub fn parse(text: &[u8]) -> Result<Self, KeysProblem> {
        let set: Set = serde_json::from_slice(text).map_err(|_| KeysProblem::Form)?;
        let mut keys: Vec<Key> = Vec::new();
        for key in set.keys.into_iter().filter_map(key) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        if keys.is_empty() { Err(KeysProblem::None) } else { Ok(RealmKeys { keys }) }
    }

    /// Refuses what is not signed by the one key that the header names, with an algorithm that this key is for.
    pub(super) fn verify(&self, header: &Header, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let algorithm = Algorithm::named(&header.alg).ok_or_else(|| Refusal::Algorithm(header.alg.clone()))?;
        let id = header.key()?;
        let mut named = self.keys.iter().filter(|key| key.id == id);
        let key = named.next().ok_or_else(|| Refusal::UnknownKey(id.to_owned()))?;
        if named.next().is_some() {
            return Err(Refusal::AmbiguousKey(id.to_owned()));
        }
        let meant = key.only.as_ref().is_none_or(|only| only == algorithm.name);
        if !meant || !algorithm.takes(&key.material) {
            return Err(Refusal::OtherAlgorithm(id.to_owned()));
        }
        if algorithm.verifies(&key.material, message, signature) { Ok(()) } else { Err(Refusal::Signature) }
    }
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// A key as it is written; its other members concern nobody here.
#[derive(Deserialize)]
struct Written {
    kid: String,
    kty: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

fn key(written: Value) -> Option<Key> {
    let written: Written = serde_json::from_value(written).ok()?;
    let signs = written.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
    let verifies = written.key_ops.as_ref().is_none_or(|uses| uses.iter().any(|one| one == "verify"));
    let known = written.alg.as_deref().is_none_or(|name| Algorithm::named(name).is_some());
    if !(signs && verifies && known) {
        return None;
    }
    let material = material(&written)?;
    Some(Key { id: written.kid, only: written.alg, material })
}

fn material(written: &Written) -> Option<Material> {
    let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
    match (written.kty.as_str(), written.crv.as_deref()) {
        ("RSA", _) => Some(Material::Rsa { modulus: bytes(&written.n)?, exponent: bytes(&written.e)? }),
        ("EC", Some("P-256")) => point(P256, 32, bytes(&written.x)?, bytes(&written.y)?),
        ("EC", Some("P-384")) => point(P384, 48, bytes(&written.x)?, bytes(&written.y)?),
        ("OKP", Some("Ed25519")) => Some(Material::Point { curve: ED, point: bytes(&written.x)? }),
        _ => None,
    }
}

/// A point in its uncompressed form; both coordinates have the curve's full length.
fn point(curve: &'static str, length: usize, x: Vec<u8>, y: Vec<u8>) -> Option<Material> {
    let full = x.len() == length && y.len() == length;
    full.then(|| Material::Point { curve, point: [vec![UNCOMPRESSED], x, y].concat() })
}

const UNCOMPRESSED: u8 = 4;
