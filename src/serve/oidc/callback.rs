//! What a browser brings back from the provider, and whether it counts.

use percent_encoding::percent_decode_str;

use super::OidcProblem;
use super::kept::Kept;
use crate::telemetry::printable;

/// The callback's query.
#[derive(Default)]
pub(super) struct Callback {
    state: Option<String>,
    code: Option<String>,
    /// As RFC 9207 has it.
    issuer: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

impl Callback {
    /// Reads a query as it came. Members that have no meaning here are left out.
    ///
    /// # Errors
    /// It is too long, no text, or says something twice.
    pub(super) fn read(query: &str) -> Result<Self, OidcProblem> {
        if query.len() > LONGEST {
            return Err(OidcProblem::Query);
        }
        let mut callback = Callback::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match decoded(name)?.as_str() {
                "state" => &mut callback.state,
                "code" => &mut callback.code,
                "iss" => &mut callback.issuer,
                "error" => &mut callback.error,
                "error_description" => &mut callback.description,
                _ => continue,
            };
            if place.replace(decoded(value)?).is_some() {
                return Err(OidcProblem::Query);
            }
        }
        Ok(callback)
    }

    /// Refuses a callback of another login, be it another browser's or an older one.
    pub(super) fn belongs_to(&self, kept: &Kept) -> Result<(), OidcProblem> {
        let is_of = self.state.as_deref().is_some_and(|state| kept.is_of(state));
        if is_of { Ok(()) } else { Err(OidcProblem::State) }
    }

    /// The code, of a callback that belongs to the login. Another provider's word and code count for nothing.
    pub(super) fn code(self, issuer: &str, names_itself: bool) -> Result<String, OidcProblem> {
        match self.issuer {
            Some(other) if other != issuer => return Err(OidcProblem::OtherIssuer(other)),
            None if names_itself => return Err(OidcProblem::NoIssuer),
            _ => {}
        }
        if let Some(error) = self.error {
            let description = self.description.unwrap_or_default();
            let [error, description] = [error, description].map(|text| printable(&text).into_owned());
            return Err(OidcProblem::Denied { error, description });
        }
        self.code.filter(|code| !code.is_empty()).ok_or(OidcProblem::Query)
    }
}

fn decoded(text: &str) -> Result<String, OidcProblem> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| OidcProblem::Query)?;
    Ok(decoded.into_owned())
}

const LONGEST: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://idp/realms/x";

    fn code(query: &str, names_itself: bool) -> Result<String, String> {
        let callback = Callback::read(query).map_err(|problem| problem.to_string())?;
        callback.code(ISSUER, names_itself).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_code_is_taken_from_our_provider_alone() {
        let ok = |text: &str| Ok(text.to_owned());
        let no = |text: &str| Err(text.to_owned());
        let not_understood = "what came back from the provider is not understood";
        let long = format!("code={}", "x".repeat(8 * 1024));
        for (query, names_itself, want) in [
            ("code=a%2Bb+c&session_state=x", false, ok("a+b c")),
            ("code=a&iss=https%3A%2F%2Fidp%2Frealms%2Fx", false, ok("a")),
            ("code=a&iss=https%3A%2F%2Fidp%2Frealms%2Fx", true, ok("a")),
            ("code=a", true, no("what came back does not say from which provider")),
            ("code=a&iss=https%3A%2F%2Fevil", false, no("what came back is of provider `https://evil`")),
            ("error=access_denied&iss=https://evil", false, no("what came back is of provider `https://evil`")),
            ("error=x&iss=", true, no("what came back is of provider ``")),
            ("error=access_denied", false, no("the provider refuses: access_denied")),
            ("error=a&error_description=b%0Ac&code=d", false, no("the provider refuses: a: b\\u{a}c")),
            ("", false, no(not_understood)),
            ("code=", false, no(not_understood)),
            ("code=a&code=a", false, no(not_understood)),
            ("code=a&c%6Fde=b", false, no(not_understood)),
            ("code=%ff", false, no(not_understood)),
            ("iss=a&iss=b&code=c", false, no(not_understood)),
            (&long, false, no(not_understood)),
        ] {
            assert_eq!(code(query, names_itself), want, "{query}");
        }
    }
}
