//! What a registry asks for before it answers: the header `WWW-Authenticate`.

/// How somebody is to prove who they are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// By user and password.
    Basic,
    /// By a token that somebody hands out.
    Bearer {
        /// Where.
        realm: String,
        /// For whom.
        service: Option<String>,
    },
}

impl Challenge {
    /// Reads a header; a token is preferred, since a password shown to nobody else cannot leak there.
    pub(super) fn read<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut basic = None;
        for header in headers {
            let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            } else if scheme.eq_ignore_ascii_case("bearer") {
                let parameters = parameters(rest)?;
                let value = |name: &str| {
                    let mut values = parameters.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
                    let (_, value) = values.next()?;
                    // Two realms would be two answers to the question who gets the credential.
                    values.next().is_none().then(|| value.clone())
                };
                return Some(Challenge::Bearer { realm: value("realm")?, service: value("service") });
            }
        }
        basic
    }
}

/// Names and values such as `realm="https://…",service="…"`; none where the text is something else.
fn parameters(text: &str) -> Option<Vec<(String, String)>> {
    let mut left = text.trim();
    let mut parameters = Vec::new();
    while !left.is_empty() {
        let (name, rest) = left.split_once('=')?;
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_text(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (value, rest) = rest.split_at_checked(end)?;
                (value.trim().to_owned(), rest)
            }
        };
        parameters.push((name.trim().to_owned(), value));
        let rest = rest.trim_start();
        left = match rest.strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(parameters)
}

/// A text up to its closing quotation mark, and what follows.
fn quoted_text(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(place + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        for (headers, want) in [
            (&[r#"Basic realm="Registry Realm""#][..], Some(Challenge::Basic)),
            (&["basic"], Some(Challenge::Basic)),
            (
                &[
                    r#"Bearer realm="https://harbor.example/service/token",service="harbor-registry",scope="repository:a:pull""#,
                ],
                bearer("https://harbor.example/service/token", Some("harbor-registry")),
            ),
            (&[r#"bearer Realm="https://a/t" , SERVICE=b"#], bearer("https://a/t", Some("b"))),
            (&[r#"Bearer realm="https://a/t?x=\"1,2\"""#], bearer(r#"https://a/t?x="1,2""#, None)),
            (&[r#"Basic realm="x""#, r#"Bearer realm="https://a/t""#], bearer("https://a/t", None)),
            (&[r#"Bearer realm="https://a/t""#, r#"Basic realm="x""#], bearer("https://a/t", None)),
            (&[r#"Bearer realm="https://a/t",realm="https://b/t""#], None),
            (&[r#"Bearer service="x""#], None),
            (&[r#"Bearer realm="https://a/t"#], None),
            (&[r#"Bearer realm="https://a/t" x"#], None),
            (&["Bearer"], None),
            (&["Negotiate"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(Challenge::read(headers.iter().copied()), want, "{headers:?}");
        }
    }
}
