//! Edge: a code is exchanged for an ID token.

use std::io;
use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Method, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::configuration::{Configuration, Shown};
use super::kept::Unguessable;
use super::{OidcProblem, OidcSettings};
use crate::model::Secret;
use crate::remote::{Answer, Content, Question, Remote};
use crate::telemetry::printable;

/// The ID token that a code is good for.
pub(super) async fn exchange(
    remote: &Remote,
    provider: &Configuration,
    settings: &OidcSettings,
    code: &Secret,
    verifier: &Unguessable,
) -> Result<Secret, OidcProblem> {
    let kind = Secret::new("authorization_code");
    let (redirect, client) = (Secret::new(settings.redirect.as_str()), Secret::new(settings.client_id.as_str()));
    let mut form =
        vec![("grant_type", &kind), ("code", code), ("redirect_uri", &redirect), ("code_verifier", verifier.secret())];
    let secret = match &settings.client_secret {
        Some(file) => Some(read(file).await?),
        None => None,
    };
    let mut headers = HeaderMap::new();
    match (&secret, provider.shown) {
        (Some(secret), Shown::Basic) => {
            headers.insert(header::AUTHORIZATION, basic(&settings.client_id, secret)?);
        }
        (Some(secret), Shown::Post) => form.extend([("client_id", &client), ("client_secret", secret)]),
        (None, _) => form.push(("client_id", &client)),
    }
    let question = Question {
        method: Method::POST,
        address: provider.token.clone(),
        bearer: None,
        content: Content::Form(&form),
        longest: LONGEST,
    };
    let answer = remote.ask_with(question, headers).await?;
    if answer.status != OK {
        return Err(refused(&answer));
    }
    let handed: Handed = answer.json().ok_or(OidcProblem::Shape)?;
    Ok(handed.id_token)
}

#[derive(Deserialize)]
struct Handed {
    id_token: Secret,
}

#[derive(Default, Deserialize)]
struct Said {
    error: Option<String>,
    error_description: Option<String>,
}

async fn read(file: &Path) -> Result<Secret, OidcProblem> {
    let problem = |source| OidcProblem::Secret { path: file.to_owned(), source };
    let text = tokio::fs::read_to_string(file).await.map_err(problem)?;
    match text.trim() {
        "" => Err(problem(io::Error::new(io::ErrorKind::InvalidData, "it is empty"))),
        secret => Ok(Secret::new(secret)),
    }
}

/// Both are written as in a form first (RFC 6749, 2.3.1), so that a colon in them does no harm.
fn basic(client: &str, secret: &Secret) -> Result<HeaderValue, OidcProblem> {
    let [client, secret] = [client, secret.reveal()].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC));
    let shown = format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")));
    let mut value = HeaderValue::try_from(shown).map_err(|_| OidcProblem::Setting("client_id"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Only of the code the provider's refusal is the user's matter.
fn refused(answer: &Answer) -> OidcProblem {
    let said: Said = answer.json().unwrap_or_default();
    if answer.status == BAD_REQUEST && said.error.as_deref() == Some("invalid_grant") {
        return OidcProblem::Code;
    }
    let text = said.error_description.or(said.error).unwrap_or_default();
    OidcProblem::Refused { status: answer.status, reason: printable(&text).into_owned() }
}

const OK: u16 = 200;
const BAD_REQUEST: u16 = 400;
/// An ID token, and two others that are not looked at.
const LONGEST: usize = 256 * 1024;
