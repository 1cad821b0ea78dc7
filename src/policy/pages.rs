//! The pages for security teams: where they are reached, who logs in, and who sees what.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::api::{address, maybe_address, word};
use super::checked;

/// The section `pages` of an Auditor. Without it there are none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, try_from = "Written")]
pub struct PageSettings {
    /// Where browsers reach them: scheme, host and perhaps port.
    pub url: String,
    /// How one logs in; without it whoever reaches the pages sees everything.
    pub oidc: Option<OidcSection>,
    /// Who sees what, where one logs in.
    pub roles: Vec<PageRole>,
    /// For how long one is logged in. Then the provider is asked again, which knows who has left.
    pub session_minutes: u16,
}

/// A provider of OpenID Connect, and what we are to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcSection {
    /// Its name, as ID tokens have it in `iss`.
    #[serde(deserialize_with = "address")]
    pub issuer: String,
    /// Where its configuration is read, if not below the issuer.
    #[serde(default, deserialize_with = "maybe_address")]
    pub discovery: Option<String>,
    /// The client that we are.
    #[serde(deserialize_with = "word")]
    pub client_id: String,
    /// The file with its secret. `manifests` mounts the Secret `flamewarden-pages` there.
    #[serde(default = "secret_file", deserialize_with = "absolute")]
    pub client_secret_file: PathBuf,
    /// The claim of the ID token with the user's groups; where it lies in others, their names with dots between.
    #[serde(default = "groups", deserialize_with = "word")]
    pub groups_claim: String,
}

/// Some namespaces, and who sees what is told of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PageRole {
    /// Its name, as it is shown to who has it.
    #[serde(deserialize_with = "checked::said")]
    pub name: String,
    /// Groups of the provider: who is in one of them has it.
    #[serde(deserialize_with = "some_groups")]
    pub groups: BTreeSet<String>,
    /// Namespaces; `*` for all, and for what is of no namespace.
    #[serde(deserialize_with = "some_namespaces")]
    pub namespaces: BTreeSet<String>,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    #[serde(deserialize_with = "origin")]
    url: String,
    #[serde(default)]
    login: Login,
    #[serde(default)]
    oidc: Option<OidcSection>,
    #[serde(default)]
    roles: Vec<PageRole>,
    #[serde(default = "an_hour", deserialize_with = "minutes")]
    session_minutes: u16,
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
enum Login {
    #[default]
    Oidc,
    None,
}

impl TryFrom<Written> for PageSettings {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { url, login, oidc, roles, session_minutes } = written;
        match (&login, &oidc, roles.is_empty()) {
            (Login::Oidc, None, _) => {
                Err("pages: write how one logs in, `oidc: {issuer: https://…, clientId: …}`, or `login: none`")
            }
            (Login::None, Some(_), _) | (Login::None, _, false) => {
                Err("pages: `login: none` has neither `oidc` nor `roles`; whoever reaches the pages sees everything")
            }
            (Login::Oidc, _, true) => Err(
                "pages: write `roles`, such as `[{name: security, groups: [security-team], namespaces: [\"*\"]}]`; nobody could see anything otherwise",
            ),
            _ => Ok(PageSettings { url, oidc, roles, session_minutes }),
        }
    }
}

impl PageRole {
    /// Whether it is for everything.
    pub fn is_for_all(&self) -> bool {
        self.namespaces.contains(EVERYWHERE)
    }
}

fn origin<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = address(from)?;
    let text = text.strip_suffix('/').unwrap_or(&text);
    match text.split_once("://") {
        Some((_, host)) if !host.contains('/') => Ok(text.to_owned()),
        _ => Err(D::Error::custom("url: pages have no path before theirs; write https:// and a host")),
    }
}

fn some_groups<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<String>, D::Error> {
    let groups = BTreeSet::<String>::deserialize(from)?;
    if groups.is_empty() || groups.contains("") {
        return Err(D::Error::custom("groups: name some; nobody would have the role otherwise"));
    }
    Ok(groups)
}

fn some_namespaces<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<String>, D::Error> {
    let namespaces = BTreeSet::<String>::deserialize(from)?;
    if namespaces.is_empty() {
        return Err(D::Error::custom("namespaces: name some, or `*`"));
    }
    match namespaces.iter().find(|name| *name != EVERYWHERE && !checked::is_label(name)) {
        Some(name) => Err(checked::wrong("namespaces", name, "is no name of a namespace; write one, or `*` for all")),
        None => Ok(namespaces),
    }
}

fn minutes<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    match u16::deserialize(from)? {
        minutes @ 5..=720 => Ok(minutes),
        minutes => Err(D::Error::custom(format!("{minutes} minutes are out of reach; write 5 to 720"))),
    }
}

fn absolute<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(from)?;
    if path.is_absolute() {
        return Ok(path);
    }
    Err(checked::wrong("clientSecretFile", &path.display().to_string(), "must begin with `/`"))
}

fn secret_file() -> PathBuf {
    PathBuf::from("/pages/client-secret")
}

fn groups() -> String {
    "groups".to_owned()
}

fn an_hour() -> u16 {
    60
}

/// Of a role for all namespaces.
const EVERYWHERE: &str = "*";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PageSettings, String> {
        serde_saphyr::from_str(text).map_err(|problem| problem.to_string())
    }

    #[test]
    fn one_logs_in_unless_it_is_written_that_nobody_does() {
        let roles =
            "roles: [{name: security, groups: [sec], namespaces: ['*']}, {name: a, groups: [a], namespaces: [a]}]";
        let oidc = "oidc: {issuer: 'https://idp.example/realms/r', clientId: flamewarden}";
        let settings = read(&format!("url: https://fw.example/\n{oidc}\n{roles}")).unwrap();
        assert_eq!((settings.url.as_str(), settings.session_minutes), ("https://fw.example", 60));
        let section = settings.oidc.unwrap();
        assert_eq!((section.groups_claim.as_str(), section.discovery), ("groups", None));
        assert_eq!(section.client_secret_file, PathBuf::from("/pages/client-secret"));
        assert_eq!(settings.roles.iter().map(PageRole::is_for_all).collect::<Vec<_>>(), [true, false]);
        assert_eq!(read("url: http://localhost:8001\nlogin: none").unwrap().oidc, None);
        for (text, want) in [
            ("url: https://a".to_owned(), "write how one logs in"),
            (format!("url: https://a\n{oidc}"), "write `roles`"),
            (format!("url: https://a\nlogin: none\n{oidc}"), "neither `oidc` nor `roles`"),
            (format!("url: https://a\nlogin: none\n{roles}"), "neither `oidc` nor `roles`"),
            ("url: https://a/b\nlogin: none".to_owned(), "pages have no path before theirs"),
            ("url: 'https://u:p@a'\nlogin: none".to_owned(), "this is no address"),
            ("url: a\nlogin: none".to_owned(), "this is no address"),
            ("url: https://a\nlogin: maybe".to_owned(), "unknown variant `maybe`"),
            ("url: https://a\nlogin: none\nsessionMinutes: 4".to_owned(), "4 minutes are out of reach"),
            (format!("url: https://a\n{oidc}\nroles: [{{name: a, groups: [], namespaces: [a]}}]"), "groups: name some"),
            (format!("url: https://a\n{oidc}\nroles: [{{name: a, groups: [g], namespaces: []}}]"), "name some, or `*`"),
            (
                format!("url: https://a\n{oidc}\nroles: [{{name: a, groups: [g], namespaces: [A]}}]"),
                "no name of a namespace",
            ),
            ("url: https://a\noidc: {issuer: 'https://i', clientId: 'a b'}".to_owned(), "`a b` is no name"),
            (
                "url: https://a\noidc: {issuer: 'https://i', clientId: a, clientSecretFile: s}".to_owned(),
                "must begin with `/`",
            ),
        ] {
            assert!(read(&text).is_err_and(|problem| problem.contains(want)), "{text}: {:?}", read(&text));
        }
    }
}
