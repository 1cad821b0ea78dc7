//! What a token says of itself, read strictly: a claim of the wrong type, or said twice, makes the token unreadable.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use super::{Bearer, Expected, Refusal, Role};

/// The three parts of a token.
pub(super) struct Parts<'a> {
    pub(super) header: Vec<u8>,
    pub(super) claims: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// The first two as they were sent, over which the signature is made.
    pub(super) signed: &'a str,
}

/// The first part.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

/// The second part. The times are whole seconds, as Keycloak writes them.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    iss: Option<String>,
    pub(super) aud: Option<OneOrMany>,
    exp: Option<i64>,
    nbf: Option<i64>,
    pub(super) iat: Option<i64>,
    typ: Option<String>,
    pub(super) azp: Option<String>,
    client_id: Option<String>,
    pub(super) sub: Option<String>,
    realm_access: Option<Access>,
    resource_access: Option<BTreeMap<String, Access>>,
    #[serde(default, deserialize_with = "present")]
    cnf: bool,
}

#[derive(Debug, Deserialize)]
struct Access {
    #[serde(default)]
    roles: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl<'a> Parts<'a> {
    /// Takes a token apart, if it is one.
    pub(super) fn of(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        // A dot is no letter of base64url, so there are three parts and not more.
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        Some(Parts { header: bytes(header)?, claims: bytes(claims)?, signature: bytes(signature)?, signed })
    }
}

impl Header {
    /// Reads it, and refuses other types, and what says that more must be understood than is.
    pub(super) fn read(text: &[u8], types: &[&str]) -> Result<Self, Refusal> {
        let header: Header = serde_json::from_slice(text).map_err(|_| Refusal::Header)?;
        if header.crit {
            return Err(Refusal::Critical);
        }
        match &header.typ {
            Some(typ) if !types.iter().any(|known| typ.eq_ignore_ascii_case(known)) => Err(Refusal::Type(typ.clone())),
            _ => Ok(header),
        }
    }

    /// By which key the token is signed.
    pub(super) fn key(&self) -> Result<&str, Refusal> {
        self.kid.as_deref().ok_or(Refusal::NoKey)
    }
}

impl Claims {
    pub(super) fn read(text: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(text).map_err(|_| Refusal::Claims)
    }

    /// Compares those of an access token with what is expected, once it is known that the realm made them.
    pub(super) fn judge(self, expected: &Expected, now: Timestamp) -> Result<Bearer, Refusal> {
        let expires = self.holds(expected, BEARER, now)?;
        let client = self.azp.or(self.client_id).filter(|client| !client.is_empty()).ok_or(Refusal::NoClient)?;
        Ok(Bearer { client, roles: roles(self.realm_access, self.resource_access), subject: self.sub, expires })
    }

    /// When the token ends, if it is by whom and for whom it should be, of that kind, and good now.
    pub(super) fn holds(&self, expected: &Expected, kind: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
        if !self.iss.as_ref().is_some_and(|issuer| expected.issuers.contains(issuer)) {
            return Err(Refusal::Issuer(self.iss.clone().unwrap_or_default()));
        }
        if let Some(audience) = &expected.audience
            && !self.aud.as_ref().is_some_and(|aud| aud.holds(audience))
        {
            return Err(Refusal::Audience);
        }
        let expires = self.term(now)?;
        if let Some(other) = self.typ.as_ref().filter(|typ| *typ != kind) {
            return Err(Refusal::Kind(other.clone()));
        }
        if self.cnf { Err(Refusal::Bound) } else { Ok(expires) }
    }

    /// When the token ends, if it has begun and not ended.
    fn term(&self, now: Timestamp) -> Result<Timestamp, Refusal> {
        let moment = |seconds: i64| Timestamp::from_second(seconds).map_err(|_| Refusal::Claims);
        let expires = moment(self.exp.ok_or(Refusal::NoEnd)?)?;
        if now.duration_since(expires) >= LEEWAY {
            return Err(Refusal::Expired);
        }
        for begin in [self.nbf, self.iat].into_iter().flatten() {
            if moment(begin)?.duration_since(now) > LEEWAY {
                return Err(Refusal::Early);
            }
        }
        Ok(expires)
    }
}

impl OneOrMany {
    fn holds(&self, name: &str) -> bool {
        match self {
            OneOrMany::One(one) => one == name,
            OneOrMany::Many(many) => many.iter().any(|one| one == name),
        }
    }

    /// Whether it names others than this one.
    pub(super) fn names_others(&self, name: &str) -> bool {
        match self {
            OneOrMany::One(one) => one != name,
            OneOrMany::Many(many) => many.iter().any(|one| one != name),
        }
    }
}

fn roles(realm: Option<Access>, clients: Option<BTreeMap<String, Access>>) -> BTreeSet<Role> {
    let of_realm = realm.into_iter().flat_map(|access| access.roles).map(|name| Role { client: None, name });
    let of_clients = clients.into_iter().flatten().flat_map(|(client, access)| {
        access.roles.into_iter().map(move |name| Role { client: Some(client.clone()), name })
    });
    of_realm.chain(of_clients).collect()
}

/// A field that is there, whatever it holds.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(from).map(|_| true)
}

/// For clocks that do not agree.
const LEEWAY: SignedDuration = SignedDuration::from_secs(30);
/// What Keycloak calls an access token in `typ`; the others are `Refresh`, `ID`, `Offline`, `Logout` and so on.
const BEARER: &str = "Bearer";
