//! Checks a token of a Keycloak realm, or of another provider: by whom it is signed, for whom, for when, and for what.

mod algorithm;
mod claims;
mod identity;
mod keys;

use std::collections::BTreeSet;

use jiff::Timestamp;

pub(super) use identity::{ExpectedIdentity, check as check_identity};
pub use keys::{KeysProblem, RealmKeys};

use crate::telemetry::printable;
use claims::{Claims, Header, Parts};

/// Who asks, as the realm says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    /// The client that the token was made for: `azp`, else `client_id`. An analysis's own token has the analysis's id here.
    pub client: String,
    /// Roles of the realm, and of its clients.
    pub roles: BTreeSet<Role>,
    /// The user, or the client's own account.
    pub subject: Option<String>,
    /// Last moment of the token.
    pub expires: Timestamp,
}

/// A role. The same word says different things as a role of the realm and as one of a client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role {
    /// The client whose role it is; none for a role of the realm.
    pub client: Option<String>,
    /// Its name.
    pub name: String,
}

/// What a token must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Names that the realm goes by, as in `iss`: one for each address that it is reached by.
    pub issuers: Vec<String>,
    /// One of those that the token is for, where that matters.
    pub audience: Option<String>,
}

/// Why a token counts for nothing. It is for the log: the caller is told 401, or 503 where [`Refusal::is_ours`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than it may be.
    #[error("token has more than {0} bytes")]
    Long(usize),
    /// No three parts in base64url.
    #[error("token is not three parts in base64url")]
    Form,
    /// The first part.
    #[error("token's header is not understood")]
    Header,
    /// Not an algorithm with public keys that is known here; `none` is not one.
    #[error("token's algorithm `{}` is not accepted", printable(.0))]
    Algorithm(String),
    /// The token asks that something be understood which is not.
    #[error("token names extensions that must be understood")]
    Critical,
    /// The header's `typ`.
    #[error("token's header says that it is `{}`", printable(.0))]
    Type(String),
    /// Without it any key would do.
    #[error("token does not say by which key it is signed")]
    NoKey,
    /// Perhaps a new one.
    #[error("realm has no key `{}`", printable(.0))]
    UnknownKey(String),
    /// The realm says what each key is for.
    #[error("key `{}` is not for the token's algorithm", printable(.0))]
    OtherAlgorithm(String),
    /// Nobody can say which is meant.
    #[error("realm has several keys `{}`", printable(.0))]
    AmbiguousKey(String),
    /// Made by somebody else, or changed since.
    #[error("signature does not fit")]
    Signature,
    /// The second part, or a claim of another type than it should be.
    #[error("token's claims are not understood")]
    Claims,
    /// Another realm, or another address of this one.
    #[error("token's issuer is `{}`", printable(.0))]
    Issuer(String),
    /// For somebody else.
    #[error("token is not for the audience that is asked for")]
    Audience,
    /// It would be good for ever.
    #[error("token has no end")]
    NoEnd,
    /// Over.
    #[error("token has expired")]
    Expired,
    /// `nbf` or `iat` lies ahead.
    #[error("token is not good yet")]
    Early,
    /// As a refresh or a logout token, an ID token that is shown as a bearer token, or one of a kind that is not known.
    #[error("token is of kind `{}`, which is not what was asked for", printable(.0))]
    Kind(String),
    /// Whoever shows it would have to prove a key, which is not asked for here.
    #[error("token is bound to a key of its holder")]
    Bound,
    /// Nobody to give rights to.
    #[error("token names no client")]
    NoClient,
    /// An ID token that was made for another client, or for several of which none is named.
    #[error("token was made for client `{}`", printable(.0))]
    Party(String),
    /// An ID token without the nonce that was sent, or with another: somebody else's login.
    #[error("token belongs to another login")]
    Nonce,
    /// An ID token says when it was made.
    #[error("token does not say when it was made")]
    NoBegin,
    /// An ID token of nobody, or of somebody whose name no log could show.
    #[error("token names no user")]
    NoSubject,
    /// The claim is there, and something else, or too many or too long names.
    #[error(
        "token's groups are no list of at most {} names of {} bytes",
        identity::MOST_GROUPS,
        identity::LONGEST_GROUP
    )]
    Groups,
    /// The realm's keys were never fetched, not for too long, or not since one was asked for that is not among them.
    #[error("the realm's keys could not be fetched")]
    NoKeys,
}

impl Refusal {
    /// Whether the token may be good and the fault is on this side: 503 and not 401.
    pub fn is_ours(&self) -> bool {
        matches!(self, Refusal::NoKeys)
    }
}

impl Role {
    /// A role of the realm.
    pub fn of_realm(name: &str) -> Self {
        Role { client: None, name: name.to_owned() }
    }

    /// A role of a client.
    pub fn of_client(client: &str, name: &str) -> Self {
        Role { client: Some(client.to_owned()), name: name.to_owned() }
    }
}

/// Says who shows a token, or why it counts for nothing. Nothing of it is believed before its signature fits.
pub fn check(token: &str, keys: &RealmKeys, expected: &Expected, now: Timestamp) -> Result<Bearer, Refusal> {
    Claims::read(&signed(token, keys, LONGEST, &TYPES)?)?.judge(expected, now)
}

/// The second part of a token whose signature fits.
fn signed(token: &str, keys: &RealmKeys, longest: usize, types: &[&str]) -> Result<Vec<u8>, Refusal> {
    if token.len() > longest {
        return Err(Refusal::Long(longest));
    }
    let parts = Parts::of(token).ok_or(Refusal::Form)?;
    let header = Header::read(&parts.header, types)?;
    keys.verify(&header, parts.signed.as_bytes(), &parts.signature)?;
    Ok(parts.claims)
}

/// Those of Keycloak have one or two thousand bytes; roles and mappers make them longer.
const LONGEST: usize = 16 * 1024;
/// Header types of access tokens.
const TYPES: [&str; 3] = ["JWT", "at+jwt", "application/at+jwt"];
