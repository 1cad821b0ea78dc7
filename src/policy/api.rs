//! Flamewarden's REST API: whose tokens it accepts, and who administers.

use std::collections::BTreeSet;

use http::Uri;
use http::uri::Scheme;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// The section `api` of an Orchestrator; without it no API is there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiSettings {
    /// Where Keycloak is asked for the realm's keys.
    #[serde(deserialize_with = "address")]
    pub keycloak: String,
    /// The realm whose tokens are accepted.
    #[serde(default = "flame", deserialize_with = "word")]
    pub realm: String,
    /// What the realm calls itself in tokens, besides the address above with `/realms/<realm>`.
    #[serde(default, deserialize_with = "maybe_address")]
    pub issuer: Option<String>,
    /// Whom a token must be for; anybody where nothing is said, as in FLAME's realm.
    #[serde(default, deserialize_with = "maybe_word")]
    pub audience: Option<String>,
    /// Who may create, see, stop and delete analyses.
    #[serde(deserialize_with = "somebody")]
    pub administrators: Administrators,
}

/// Who administers: any of these.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Administrators {
    /// Clients of the realm, as `azp` names them.
    #[serde(default)]
    pub clients: BTreeSet<String>,
    /// Whoever has one of these roles.
    #[serde(default)]
    pub roles: BTreeSet<RealmRole>,
}

/// A role of the realm or of one of its clients.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RealmRole {
    /// The client whose role it is; none for a role of the realm.
    #[serde(default)]
    pub client: Option<String>,
    /// Its name.
    pub name: String,
}

pub(super) fn flame() -> String {
    "flame".to_owned()
}

/// `http://` or `https://`, a host, perhaps a port and a path. The text itself is not shown: it may hold a password.
pub(super) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let is_address = |uri: &Uri| {
        let known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
        let host = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        known && host && uri.query().is_none() && !text.contains('#')
    };
    if text.parse().is_ok_and(|uri| is_address(&uri)) {
        return Ok(text);
    }
    Err(D::Error::custom("this is no address; write http:// or https://, a host, and perhaps a port and a path"))
}

pub(super) fn maybe_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    address(from).map(Some)
}

pub(super) fn word<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.is_empty() || text.chars().any(char::is_whitespace) {
        return Err(D::Error::custom(format!("`{text}` is no name; write one word")));
    }
    Ok(text)
}

fn maybe_word<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    word(from).map(Some)
}

fn somebody<'de, D: Deserializer<'de>>(from: D) -> Result<Administrators, D::Error> {
    let administrators = Administrators::deserialize(from)?;
    let Administrators { clients, roles } = &administrators;
    let mut names = clients.iter().chain(roles.iter().map(|role| &role.name));
    if clients.is_empty() && roles.is_empty() || names.any(|name| name.is_empty()) {
        return Err(D::Error::custom("administrators: name a client or a role; nobody could use the API otherwise"));
    }
    Ok(administrators)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, fits) in [
            ("{keycloak: 'http://keycloak/auth', administrators: {clients: [hub]}}", true),
            ("{keycloak: 'https://k:8443', administrators: {roles: [{name: a}]}, issuer: 'https://k/x'}", true),
            ("{keycloak: 'http://keycloak', administrators: {roles: [{client: c, name: a}]}, audience: po}", true),
            ("{keycloak: 'http://keycloak', administrators: {}}", false),
            ("{keycloak: 'http://keycloak', administrators: {clients: ['']}}", false),
            ("{keycloak: 'http://keycloak'}", false),
            ("{keycloak: 'keycloak', administrators: {clients: [hub]}}", false),
            ("{keycloak: '/auth', administrators: {clients: [hub]}}", false),
            ("{keycloak: 'ftp://keycloak', administrators: {clients: [hub]}}", false),
            ("{keycloak: 'http://user:password@keycloak', administrators: {clients: [hub]}}", false),
            ("{keycloak: 'http://keycloak?x=1', administrators: {clients: [hub]}}", false),
            ("{keycloak: 'http://keycloak', realm: '', administrators: {clients: [hub]}}", false),
            ("{keycloak: 'http://keycloak', audience: 'a b', administrators: {clients: [hub]}}", false),
            ("{keycloak: 'http://keycloak', issuers: [], administrators: {clients: [hub]}}", false),
        ] {
            assert_eq!(serde_saphyr::from_str::<ApiSettings>(text).is_ok(), fits, "{text}");
        }
    }
}
