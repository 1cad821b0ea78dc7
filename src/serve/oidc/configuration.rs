//! What an OpenID provider says of itself (OpenID Connect Discovery 1.0), held to what is set.

use serde::Deserialize;

use crate::remote::Address;
use crate::telemetry::printable;

/// Where a provider's parts are, and how they are spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Configuration {
    /// Where browsers are sent.
    pub(super) authorize: Address,
    /// Where a code is exchanged.
    pub(super) token: Address,
    /// Where the keys are that ID tokens are signed with.
    pub(super) keys: Address,
    /// Where browsers are sent to log out.
    pub(super) end: Option<Address>,
    /// Whether each callback names the provider (RFC 9207).
    pub(super) names_itself: bool,
    /// How our secret is shown.
    pub(super) shown: Shown,
}

/// How a client shows its secret (OpenID Connect Core 1.0, 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// As user and password in a header.
    Basic,
    /// In the form.
    Post,
}

/// Why what a provider says of itself is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConfigurationProblem {
    #[error("what the provider published is no configuration")]
    Form,
    /// Another provider's, or one that goes by another name.
    #[error("what the provider published is of issuer `{}`", printable(.0))]
    Issuer(String),
    #[error("the provider's `{0}` is no address, or has a query")]
    Address(&'static str),
    #[error("the provider's `{0}` is plain HTTP")]
    Plain(&'static str),
    #[error("the provider does not take PKCE with S256")]
    Challenge,
    #[error("the provider takes no secret as `client_secret_basic` or `client_secret_post`")]
    Secret,
}

impl Configuration {
    /// Reads what is published for this issuer.
    pub(super) fn read(text: &[u8], issuer: &str) -> Result<Self, ConfigurationProblem> {
        let written: Written = serde_json::from_slice(text).map_err(|_| ConfigurationProblem::Form)?;
        if written.issuer != issuer {
            return Err(ConfigurationProblem::Issuer(written.issuer));
        }
        // Where it is not said, the provider may take it all the same; a challenge that is not looked at does no harm.
        if !written.code_challenge_methods_supported.is_none_or(|methods| methods.iter().any(|one| one == "S256")) {
            return Err(ConfigurationProblem::Challenge);
        }
        let address = |name, text: &str| endpoint(issuer, name, text);
        let end = written.end_session_endpoint.as_deref();
        Ok(Configuration {
            authorize: address("authorization_endpoint", &written.authorization_endpoint)?,
            token: address("token_endpoint", &written.token_endpoint)?,
            keys: address("jwks_uri", &written.jwks_uri)?,
            end: end.map(|text| address("end_session_endpoint", text)).transpose()?,
            names_itself: written.authorization_response_iss_parameter_supported,
            shown: shown(written.token_endpoint_auth_methods_supported.as_deref())?,
        })
    }
}

#[derive(Deserialize)]
struct Written {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    end_session_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    code_challenge_methods_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

fn endpoint(issuer: &str, name: &'static str, text: &str) -> Result<Address, ConfigurationProblem> {
    let address = Address::parse(text).map_err(|_| ConfigurationProblem::Address(name))?;
    let is_plain = address.as_str().starts_with("http:");
    if is_plain && !issuer.starts_with("http:") { Err(ConfigurationProblem::Plain(name)) } else { Ok(address) }
}

/// Where nothing is said it is `client_secret_basic`.
fn shown(methods: Option<&[String]>) -> Result<Shown, ConfigurationProblem> {
    let Some(methods) = methods else { return Ok(Shown::Basic) };
    let takes = |method: &str| methods.iter().any(|one| one == method);
    match (takes("client_secret_basic"), takes("client_secret_post")) {
        (true, _) => Ok(Shown::Basic),
        (false, true) => Ok(Shown::Post),
        (false, false) => Err(ConfigurationProblem::Secret),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn published() -> Value {
        json!({
            "issuer": "https://idp/realms/x", "authorization_endpoint": "https://idp/authorize",
            "token_endpoint": "https://idp/token", "jwks_uri": "https://idp/keys",
        })
    }

    fn read(issuer: &str, changes: &[(&str, Value)]) -> Result<Configuration, ConfigurationProblem> {
        let mut published = published();
        for (name, value) in changes {
            published[*name] = value.clone();
        }
        Configuration::read(published.to_string().as_bytes(), issuer)
    }

    const ISSUER: &str = "https://idp/realms/x";

    #[test]
    fn what_is_not_said_has_its_default() {
        let address = |text| Address::parse(text).unwrap();
        let want = Configuration {
            authorize: address("https://idp/authorize"),
            token: address("https://idp/token"),
            keys: address("https://idp/keys"),
            end: None,
            names_itself: false,
            shown: Shown::Basic,
        };
        assert_eq!(read(ISSUER, &[]), Ok(want));
    }

    #[test]
    fn a_secret_is_shown_as_the_provider_takes_it() {
        for (methods, want) in [
            (json!(["client_secret_post", "client_secret_basic"]), Ok(Shown::Basic)),
            (json!(["private_key_jwt", "client_secret_post"]), Ok(Shown::Post)),
            (json!(["private_key_jwt"]), Err(ConfigurationProblem::Secret)),
        ] {
            let said = read(ISSUER, &[("token_endpoint_auth_methods_supported", methods.clone())]);
            assert_eq!(said.map(|configuration| configuration.shown), want, "{methods}");
        }
    }

    #[test]
    fn another_s_configuration_and_one_that_would_weaken_the_login_are_refused() {
        use ConfigurationProblem::{Address, Challenge, Form, Issuer, Plain};
        let issuer = |name: &str| Issuer(name.to_owned());
        for (name, value, want) in [
            ("issuer", json!("https://evil"), issuer("https://evil")),
            ("issuer", json!("https://idp/realms/x/"), issuer("https://idp/realms/x/")),
            ("issuer", json!("https://IDP/realms/x"), issuer("https://IDP/realms/x")),
            ("issuer", Value::Null, Form),
            ("authorization_endpoint", json!("http://idp/authorize"), Plain("authorization_endpoint")),
            ("token_endpoint", json!("HTTP://idp/token"), Plain("token_endpoint")),
            ("jwks_uri", json!("http://idp/keys"), Plain("jwks_uri")),
            ("end_session_endpoint", json!("http://idp/end"), Plain("end_session_endpoint")),
            ("authorization_endpoint", json!("javascript:alert(1)"), Address("authorization_endpoint")),
            ("authorization_endpoint", json!("/authorize"), Address("authorization_endpoint")),
            ("token_endpoint", json!("https://user@idp/token"), Address("token_endpoint")),
            ("jwks_uri", json!("https://idp/keys?x=1"), Address("jwks_uri")),
            ("jwks_uri", Value::Null, Form),
            ("code_challenge_methods_supported", json!(["plain"]), Challenge),
            ("code_challenge_methods_supported", json!([]), Challenge),
            ("authorization_response_iss_parameter_supported", json!("true"), Form),
        ] {
            assert_eq!(read(ISSUER, &[(name, value.clone())]), Err(want), "{name} {value}");
        }
        let twice = published().to_string().replacen('{', r#"{"issuer":"https://evil","#, 1);
        assert_eq!(Configuration::read(twice.as_bytes(), ISSUER), Err(Form));
    }

    #[test]
    fn plain_addresses_are_taken_of_a_plain_issuer_alone() {
        let plain = [("issuer", json!("http://idp")), ("token_endpoint", json!("http://idp/token"))];
        assert_eq!(read("http://idp", &plain).map(drop), Ok(()));
    }
}
