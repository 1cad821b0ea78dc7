//! What a browser is answered: status, headers, body. Pure.

use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, LOCATION, SET_COOKIE};
use hyper::header::{HeaderName, HeaderValue};
use tokio::sync::OwnedSemaphorePermit;

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// 200 and so on.
    pub(super) status: u16,
    /// Of the body.
    pub(super) media_type: &'static str,
    /// All of it.
    pub(super) body: Body,
    /// Besides those that every answer has.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// A text, and the turn in which it was made: that ends when all of it is sent, or nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Body {
    text: String,
    turn: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Body {
    /// As it is sent.
    pub(super) fn into_bytes(self) -> Bytes {
        match self.turn {
            None => Bytes::from(self.text),
            Some(_) => Bytes::from_owner(self),
        }
    }
}

impl Answer {
    /// A page.
    pub(super) fn page(status: u16, body: String) -> Self {
        Answer { status, media_type: HTML, body: Body { text: body, turn: None }, headers: Vec::new() }
    }

    /// A text that is the same for everybody.
    pub(super) fn fixed(media_type: &'static str, text: &str) -> Self {
        let kept = (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        Answer { media_type, headers: vec![kept], ..Answer::page(200, text.to_owned()) }
    }

    /// Data for the script.
    pub(super) fn json(body: String) -> Self {
        Answer { media_type: "application/json", ..Answer::page(200, body) }
    }

    /// To be saved under that name.
    pub(super) fn file(media_type: &'static str, name: &str, body: String) -> Self {
        let named = format!("attachment; filename=\"{name}\"");
        Answer { media_type, ..Answer::page(200, body) }.with(CONTENT_DISPOSITION, &named)
    }

    /// To another page, or to the identity provider.
    pub(super) fn redirect(location: &str) -> Self {
        Answer { status: 303, ..Answer::page(303, String::new()) }.with(LOCATION, location)
    }

    /// In a turn, which lasts until it is sent.
    pub(super) fn holding(mut self, turn: OwnedSemaphorePermit) -> Self {
        self.body.turn = Some(turn);
        self
    }

    /// Another method would have been right.
    pub(super) fn allowing(mut self, methods: &[&str]) -> Self {
        self.status = 405;
        self.with(ALLOW, &methods.join(", "))
    }

    /// With a cookie.
    pub(super) fn with_cookie(self, cookie: &str) -> Self {
        self.with(SET_COOKIE, cookie)
    }

    /// What cannot stand in a header is left out.
    fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }
}

/// What a page may do: show itself in our style, run our one script, which may ask us, and send forms to us. Nobody frames it.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";
