//! Checks an ID token (OpenID Connect Core 1.0, 3.1.3.7): what bearer tokens are held to, and whose login it is of.

use std::collections::BTreeSet;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::Timestamp;

use super::claims::Claims;
use super::{Expected, RealmKeys, Refusal, signed};
use crate::model::{Json, parse};
use crate::telemetry::printable;

/// Who has logged in, as the provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::serve) struct Identity {
    /// The provider's own name for the user, which it gives to nobody else.
    pub(in crate::serve) subject: String,
    /// For people to read.
    pub(in crate::serve) name: String,
    /// What the claim of groups lists; none where it is not there.
    pub(in crate::serve) groups: BTreeSet<String>,
}

/// What an ID token must say, and where it tells of groups.
pub(in crate::serve) struct ExpectedIdentity<'a> {
    /// As in `iss`.
    pub(in crate::serve) issuer: &'a str,
    /// The client that logs people in.
    pub(in crate::serve) client: &'a str,
    /// What was sent with this login.
    pub(in crate::serve) nonce: &'a str,
    /// Path of the claim.
    pub(in crate::serve) groups: &'a [String],
}

/// Says who has logged in, or why the token counts for nothing. Nothing of it is believed before its signature fits.
pub(in crate::serve) fn check(
    token: &str,
    keys: &RealmKeys,
    expected: &ExpectedIdentity<'_>,
    now: Timestamp,
) -> Result<Identity, Refusal> {
    let text = signed(token, keys, LONGEST, &TYPES)?;
    let claims = Claims::read(&text)?;
    // Reads every member, those that have no name here included, and refuses what is said twice at any depth.
    let all = parse(&text).map_err(|_| Refusal::Claims)?;
    let client = expected.client.to_owned();
    let general = Expected { issuers: vec![expected.issuer.to_owned()], audience: Some(client) };
    claims.holds(&general, KIND, now)?;
    if claims.iat.is_none() {
        return Err(Refusal::NoBegin);
    }
    party(&claims, expected.client)?;
    let nonce = text_of(&all, "nonce")?.unwrap_or_default();
    if verify_slices_are_equal(nonce.as_bytes(), expected.nonce.as_bytes()).is_err() {
        return Err(Refusal::Nonce);
    }
    let subject = claims.sub.filter(|subject| is_subject(subject)).ok_or(Refusal::NoSubject)?;
    Ok(Identity { name: name(&all, &subject)?, groups: groups(&all, expected.groups)?, subject })
}

/// A token for several has to say for whom of them it was made.
fn party(claims: &Claims, client: &str) -> Result<(), Refusal> {
    match &claims.azp {
        Some(party) if party != client => Err(Refusal::Party(party.clone())),
        None if claims.aud.as_ref().is_some_and(|aud| aud.names_others(client)) => Err(Refusal::Party(String::new())),
        _ => Ok(()),
    }
}

fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_SUBJECT && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What people are shown: it may be anybody's name, so no right comes of it.
fn name(claims: &Json<'_>, subject: &str) -> Result<String, Refusal> {
    for claim in ["preferred_username", "email"] {
        if let Some(name) = text_of(claims, claim)?.filter(|name| !name.is_empty()) {
            return Ok(printable(name).into_owned());
        }
    }
    Ok(subject.to_owned())
}

fn groups(claims: &Json<'_>, path: &[String]) -> Result<BTreeSet<String>, Refusal> {
    let mut at = claims;
    for claim in path {
        if !matches!(at, Json::Object(_)) {
            return Err(Refusal::Groups);
        }
        let Some(next) = at.get(claim) else { return Ok(BTreeSet::new()) };
        at = next;
    }
    let Json::Array(items) = at else { return Err(Refusal::Groups) };
    if items.len() > MOST_GROUPS {
        return Err(Refusal::Groups);
    }
    let name = |item: &Json<'_>| item.text().filter(|name| name.len() <= LONGEST_GROUP).map(str::to_owned);
    items.iter().map(name).collect::<Option<_>>().ok_or(Refusal::Groups)
}

fn text_of<'a>(claims: &'a Json<'_>, name: &str) -> Result<Option<&'a str>, Refusal> {
    claims.get(name).map(|value| value.text().ok_or(Refusal::Claims)).transpose()
}

/// Longer than a bearer token may be: it comes from the provider itself, and somebody may be in many groups.
const LONGEST: usize = 64 * 1024;
/// What Keycloak calls an ID token in `typ`; others do not use that claim.
const KIND: &str = "ID";
/// The one header type of ID tokens.
const TYPES: [&str; 1] = ["JWT"];
/// As OpenID Connect bounds it, in ASCII.
const LONGEST_SUBJECT: usize = 255;
pub(super) const MOST_GROUPS: usize = 1000;
pub(super) const LONGEST_GROUP: usize = 256;
