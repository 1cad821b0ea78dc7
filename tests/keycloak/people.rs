//! A realm with people who log in to Flamewarden's pages, as an administrator would make it.
//!
//! Other targets take this file by `#[path]`.

use serde_json::{Value, json};

/// Somebody who can log in.
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) password: &'static str,
    pub(crate) groups: &'static [&'static str],
}

/// In the group that may see the pages.
pub(crate) const ADA: Person = Person { name: "ada", password: "ada-password", groups: &[GROUP] };
/// In a group that may see the pages of one namespace.
pub(crate) const CLO: Person = Person { name: "clo", password: "clo-password", groups: &[FLAME_GROUP] };
/// In no group.
pub(crate) const BEN: Person = Person { name: "ben", password: "ben-password", groups: &[] };
/// Of the security team.
pub(crate) const GROUP: &str = "security-team";
/// Of those whose analyses run in the namespace `flame`.
pub(crate) const FLAME_GROUP: &str = "flame-team";
/// The realm's name.
pub(crate) const PEOPLE: &str = "people";
/// The client of the pages, with a secret that has to be written as in a form.
pub(crate) const PAGES: &str = "flamewarden-pages";
pub(crate) const PAGES_SECRET: &str = "pages: secret%20+/ü";
/// The same without a secret.
pub(crate) const PUBLIC: &str = "flamewarden-public";

/// The realm; `pages` is where the pages are, such as `https://flamewarden.example.org`. The claim is `groups`.
pub(crate) fn people_realm(pages: &str) -> Value {
    let mut public = client(PUBLIC, pages);
    public["publicClient"] = json!(true);
    let mut confidential = client(PAGES, pages);
    confidential["secret"] = json!(PAGES_SECRET);
    json!({
        "realm": PEOPLE, "enabled": true, "defaultSignatureAlgorithm": "RS256",
        "groups": [{"name": GROUP}, {"name": FLAME_GROUP}], "users": [user(&ADA), user(&BEN), user(&CLO)], "clients": [confidential, public],
    })
}

fn client(id: &str, pages: &str) -> Value {
    json!({
        "clientId": id, "enabled": true, "clientAuthenticatorType": "client-secret", "publicClient": false,
        "standardFlowEnabled": true, "implicitFlowEnabled": false, "directAccessGrantsEnabled": false,
        "redirectUris": [format!("{pages}/callback")],
        "attributes": {"pkce.code.challenge.method": "S256", "post.logout.redirect.uris": format!("{pages}/")},
        "protocolMappers": [{
            "name": "groups", "protocol": "openid-connect", "protocolMapper": "oidc-group-membership-mapper",
            "config": {"claim.name": "groups", "full.path": "false", "id.token.claim": "true"},
        }],
    })
}

/// With all that Keycloak would ask for at the first login otherwise.
fn user(person: &Person) -> Value {
    json!({
        "username": person.name, "enabled": true, "email": format!("{}@example.org", person.name),
        "emailVerified": true, "firstName": person.name, "lastName": "Example", "groups": person.groups,
        "credentials": [{"type": "password", "value": person.password}],
    })
}
