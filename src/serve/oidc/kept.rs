//! What a browser keeps of a login until it comes back: texts that nobody can guess, and the page that was wanted.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};

use super::OidcProblem;
use crate::model::Secret;

/// A login that has begun. The browser holds it, so nothing of it is believed beyond this browser's own login.
pub(super) struct Kept {
    begun: Timestamp,
    state: Unguessable,
    pub(super) nonce: Unguessable,
    pub(super) verifier: Unguessable,
    pub(super) back: String,
}

/// 256 bits from the system, in base64url.
pub(super) struct Unguessable(Secret);

impl Kept {
    /// A new login that ends on this page of ours.
    pub(super) fn new(back: &str, now: Timestamp) -> Result<Self, OidcProblem> {
        let (state, nonce, verifier) = (Unguessable::new()?, Unguessable::new()?, Unguessable::new()?);
        Ok(Kept { begun: now, state, nonce, verifier, back: local(back) })
    }

    /// As a cookie's value: letters, digits, `-`, `_` and dots.
    pub(super) fn write(&self) -> Secret {
        let [state, nonce, verifier] = [&self.state, &self.nonce, &self.verifier].map(Unguessable::text);
        let back = URL_SAFE_NO_PAD.encode(&self.back);
        Secret::new(format!("{}.{state}.{nonce}.{verifier}.{back}", self.begun.as_second()))
    }

    /// Reads a cookie's value.
    ///
    /// # Errors
    /// It is nothing that [`Kept::write`] has written, or it is too old.
    pub(super) fn read(text: &str, now: Timestamp) -> Result<Self, OidcProblem> {
        let kept = Kept::parse(text).ok_or(OidcProblem::Kept)?;
        let age = now.duration_since(kept.begun);
        // The replica that began the login may have another clock.
        if age > LONGEST_LOGIN || age < -LEEWAY { Err(OidcProblem::Late) } else { Ok(kept) }
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let mut parts = text.split('.');
        let begun = parts.next().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        let begun = Timestamp::from_second(begun.parse().ok()?).ok()?;
        let mut word = || Unguessable::read(parts.next()?);
        let (state, nonce, verifier) = (word()?, word()?, word()?);
        let back = String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
        parts.next().is_none().then(|| Kept { begun, state, nonce, verifier, back: local(&back) })
    }

    /// What the provider is to bring back.
    pub(super) fn state(&self) -> &str {
        self.state.text()
    }

    /// Whether a callback is of this login. How long that takes tells nothing.
    pub(super) fn is_of(&self, state: &str) -> bool {
        verify_slices_are_equal(self.state.text().as_bytes(), state.as_bytes()).is_ok()
    }

    /// What the provider holds the verifier against (RFC 7636, `S256`).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.text().as_bytes()))
    }
}

impl Unguessable {
    fn new() -> Result<Self, OidcProblem> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| OidcProblem::NoRandom)?;
        Ok(Unguessable(Secret::new(URL_SAFE_NO_PAD.encode(bytes))))
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        (bytes.len() == 32).then(|| Unguessable(Secret::new(text)))
    }

    /// For where it is to be used.
    pub(super) fn text(&self) -> &str {
        self.0.reveal()
    }

    /// The same as a secret.
    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }
}

/// The page, if it is one of ours, else the first. A browser reads `//host`, `/\host` and more as another site.
fn local(page: &str) -> String {
    let plain = page.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_ours = page.starts_with('/') && !page.contains("//") && plain && page.len() <= LONGEST_PAGE;
    if is_ours { page.to_owned() } else { FIRST_PAGE.to_owned() }
}

const FIRST_PAGE: &str = "/";
const LONGEST_PAGE: usize = 2000;
/// Browsers keep no cookie that is longer.
const LONGEST: usize = 4096;
const LONGEST_LOGIN: SignedDuration = SignedDuration::from_mins(10);
const LEEWAY: SignedDuration = SignedDuration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_790_000_000).unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let text = Kept::new("/findings?rule=a&b=%20#c", now()).unwrap().write();
        let text = text.reveal();
        let read = Kept::read(text, now()).ok().unwrap();
        assert_eq!((read.write().reveal(), read.back.as_str()), (text, "/findings?rule=a&b=%20#c"));
        let [begun, state, nonce, verifier, back] = text.split('.').collect::<Vec<_>>()[..] else { panic!("{text}") };
        for bad in [
            String::new(),
            "....".to_owned(),
            format!("{text}."),
            format!("{text}.x"),
            format!("{text}="),
            format!(" {text}"),
            format!("+{text}"),
            format!("-{text}"),
            format!("{begun}.{state}.{nonce}.{verifier}"),
            format!("{begun}..{nonce}.{verifier}.{back}"),
            format!("{begun}.{state}A.{nonce}.{verifier}.{back}"),
            format!("{begun}.{state}.AAAA.{verifier}.{back}"),
            format!("{begun}.{state}.{nonce}.{}.{back}", "é".repeat(43)),
            format!("{begun}.{state}.{nonce}.{verifier}._w"),
            format!("99999999999999999999.{state}.{nonce}.{verifier}.{back}"),
            format!("{begun}.{state}.{nonce}.{verifier}.{}", "A".repeat(4000)),
        ] {
            assert!(matches!(Kept::read(&bad, now()), Err(OidcProblem::Kept)), "{bad}");
        }
    }

    #[test]
    fn a_login_ends_after_ten_minutes() {
        let text = Kept::new("/", now()).unwrap().write();
        for (seconds, is_good) in [(-31, false), (-30, true), (600, true), (601, false)] {
            let read = Kept::read(text.reveal(), now() + SignedDuration::from_secs(seconds));
            assert_eq!(read.is_ok(), is_good, "{seconds}");
            assert!(matches!(read, Ok(_) | Err(OidcProblem::Late)));
        }
    }

    #[test]
    fn a_login_ends_on_a_page_of_ours_whatever_was_asked_and_whatever_the_browser_kept() {
        let longest = format!("/{}", "x".repeat(1999));
        for (page, want) in [
            ("/", "/"),
            ("/findings/7?x=1&y=%2F%2Fevil#z", "/findings/7?x=1&y=%2F%2Fevil#z"),
            (&longest, &longest),
            (&format!("{longest}x"), "/"),
            ("", "/"),
            ("findings", "/"),
            ("https://evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("//evil.example", "/"),
            ("///evil.example", "/"),
            ("/\\evil.example", "/"),
            ("\\\\evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("/\n/evil.example", "/"),
            ("/x\r\nset-cookie: a=b", "/"),
            ("/..//evil.example", "/"),
            (" /findings", "/"),
            ("/\u{2028}", "/"),
            ("/é", "/"),
        ] {
            let kept = Kept::new(page, now()).unwrap();
            assert_eq!(kept.back, want, "{page}");
            // As a browser could write it that was told otherwise.
            let forged = Kept { back: page.to_owned(), ..kept }.write();
            assert_eq!(Kept::read(forged.reveal(), now()).ok().unwrap().back, want, "{page}");
        }
    }

    #[test]
    fn nothing_of_a_login_comes_twice_and_the_challenge_is_of_the_verifier() {
        let [one, other] = [(); 2].map(|()| Kept::new("/", now()).unwrap());
        let all: std::collections::BTreeSet<&str> = [&one, &other]
            .into_iter()
            .flat_map(|kept| [kept.state(), kept.nonce.text(), kept.verifier.text()])
            .collect();
        assert_eq!(all.len(), 6);
        assert!(one.is_of(one.state()) && !one.is_of(other.state()) && !one.is_of("") && !one.is_of(one.nonce.text()));
        // The example of RFC 7636, appendix B.
        let verifier = Unguessable::read("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        let example = Kept { verifier, ..one };
        assert_eq!(example.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
