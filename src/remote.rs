//! Edge: other systems are asked over HTTP; what an answer takes of time and memory is bounded, and none leads elsewhere.

mod held;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use http::{HeaderMap, Method};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy, RequestBuilder, Url};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub use self::held::HeldToken;
use crate::model::Secret;
use crate::telemetry::whole;

/// How a system is reached. What the environment says of proxies is not looked at.
#[derive(Debug, Clone)]
pub struct Ways {
    /// Certificates of authorities to trust besides the machine's, PEM.
    pub authorities: Option<PathBuf>,
    /// For addresses that begin with `http:`; a secret, since it may hold a password.
    pub http_proxy: Option<Secret>,
    /// For addresses that begin with `https:`.
    pub https_proxy: Option<Secret>,
    /// Hosts that are reached without them; one that begins with a dot is all below it.
    pub direct: Vec<String>,
    /// How long a question may take, from connecting to the end of its answer.
    pub patience: Duration,
}

/// Where a system is, or one of its resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Url);

/// One question.
#[derive(Debug)]
pub struct Question<'a> {
    /// GET, POST and so on.
    pub method: Method,
    /// Of what.
    pub address: Address,
    /// Who asks.
    pub bearer: Option<&'a Secret>,
    /// What is sent.
    pub content: Content<'a>,
    /// How many bytes an answer may have.
    pub longest: usize,
}

/// What is sent with a question.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// No body.
    Nothing,
    /// Names and values, some of them secret.
    Form(&'a [(&'a str, &'a Secret)]),
    /// A JSON body.
    Json(&'a Value),
    /// A JSON object of names and values, some of them secret.
    Object(&'a [(&'a str, &'a Secret)]),
}

/// What came back, whatever its status says; a redirection is an answer like others.
pub struct Answer {
    /// 200 and so on.
    pub status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Asks questions.
#[derive(Debug, Clone)]
pub struct Remote {
    client: Client,
}

/// Why there is no answer. Addresses are not told: who asks knows them, and a proxy's may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum RemoteProblem {
    /// The file of authorities.
    #[error("cannot read authorities {path}: {source}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It can be read and is not what it should be.
    #[error("authorities {path} are no certificates in PEM: {reason}")]
    NoCertificates {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It may hold a password, so the text itself is not shown.
    #[error(
        "this is no address; write http:// or https://, a host, and perhaps a port and a path, without user or query"
    )]
    Address,
    /// The same of a proxy, which may have a user.
    #[error("the proxy's address cannot be used")]
    Proxy,
    /// TLS cannot be set up.
    #[error("cannot set up connections: {0}")]
    Setup(String),
    /// Nobody answered, or not to the end.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// The answer began, and ended before it was whole.
    #[error("the answer broke off: {0}")]
    BrokenOff(String),
    /// The answer began, and its end did not come in time.
    #[error("the answer came to no end in time")]
    Endless,
    /// Somebody is there, and TLS with them came to nothing.
    #[error("no answer: {0}")]
    Tls(String),
    /// Too slow.
    #[error("no answer in time")]
    Late,
    /// Too long.
    #[error("the answer has more than {0} bytes")]
    Large(usize),
}

impl Ways {
    /// Straight to everybody, trusting whom the machine trusts.
    pub fn plain(patience: Duration) -> Self {
        Ways { authorities: None, http_proxy: None, https_proxy: None, direct: Vec::new(), patience }
    }
}

impl RemoteProblem {
    /// Whether the same question may be answered a moment later.
    pub fn may_pass(&self) -> bool {
        use RemoteProblem::{BrokenOff, Endless, Late, Tls, Unreachable};
        matches!(self, Unreachable(_) | Tls(_) | BrokenOff(_) | Endless | Late)
    }
}

impl Remote {
    /// Connections by these ways.
    pub fn new(ways: &Ways) -> Result<Self, RemoteProblem> {
        Remote::of(builder(ways)?)
    }

    /// The same, believing these authorities (PEM) too.
    pub fn trusting(ways: &Ways, authorities: &str) -> Result<Self, RemoteProblem> {
        let certificates = certificates(authorities.as_bytes()).map_err(RemoteProblem::Setup)?;
        Remote::of(builder(ways)?.tls_certs_merge(certificates))
    }

    fn of(builder: ClientBuilder) -> Result<Self, RemoteProblem> {
        let client = builder.build().map_err(|cause| RemoteProblem::Setup(told(cause)))?;
        Ok(Remote { client })
    }

    /// Asks, and reads the answer to its end.
    pub async fn ask(&self, question: Question<'_>) -> Result<Answer, RemoteProblem> {
        self.ask_with(question, HeaderMap::new()).await
    }

    /// As [`Remote::ask`], with more headers.
    pub async fn ask_with(&self, question: Question<'_>, headers: HeaderMap) -> Result<Answer, RemoteProblem> {
        let mut request = self.client.request(question.method, question.address.0).headers(headers);
        if let Some(token) = question.bearer {
            request = request.bearer_auth(token.reveal());
        }
        request = match question.content {
            Content::Nothing => request,
            Content::Form(fields) => {
                let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.reveal())).collect();
                request.form(&fields)
            }
            Content::Json(value) => json(request, value),
            Content::Object(fields) => {
                let field = |(name, value): &(&str, &Secret)| ((*name).to_owned(), Value::from(value.reveal()));
                json(request, &Value::Object(fields.iter().map(field).collect::<Map<_, _>>()))
            }
        };
        let mut response = request.send().await.map_err(unanswered)?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(broken_off)? {
            if body.len() + piece.len() > question.longest {
                return Err(RemoteProblem::Large(question.longest));
            }
            // Twice as much each time, as a vector would grow by itself, but never beyond what may come.
            if body.capacity() - body.len() < piece.len() {
                body.reserve_exact(piece.len().max(body.len().min(question.longest - body.len())));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status: response.status().as_u16(), headers: std::mem::take(response.headers_mut()), body })
    }
}

impl Question<'_> {
    /// Reads what stands at an address.
    pub fn get(address: Address, longest: usize) -> Self {
        Question { method: Method::GET, address, bearer: None, content: Content::Nothing, longest }
    }
}

impl Answer {
    /// The body as it came.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The same, where nothing else of the answer is needed any more.
    pub fn into_bytes(self) -> Vec<u8> {
        self.body
    }

    /// A header that is a text and there once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        values.next().filter(|_| values.next().is_none())?.to_str().ok()
    }

    /// All headers of a name that are texts.
    pub fn headers<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// The body as JSON of a form, if it is.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Address {
    /// Reads the address of a system.
    pub fn parse(text: &str) -> Result<Self, RemoteProblem> {
        let url = Url::parse(text).map_err(|_| RemoteProblem::Address)?;
        let plain = url.username().is_empty() && url.password().is_none();
        let whole = url.query().is_none() && url.fragment().is_none();
        let known = matches!(url.scheme(), "http" | "https") && url.has_host();
        if plain && whole && known { Ok(Address(url)) } else { Err(RemoteProblem::Address) }
    }

    /// What stands below it; each word is one segment, whatever is in it.
    pub fn below(&self, path: &[&str]) -> Self {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Address(url)
    }

    /// The same with a query.
    pub fn with(&self, query: &[(&str, &str)]) -> Self {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(query);
        Address(url)
    }

    /// Where a redirection from here leads to.
    ///
    /// # Errors
    /// It is no address, or one with a user.
    pub fn led_to(&self, location: &str) -> Result<Self, RemoteProblem> {
        let url = self.0.join(location).map_err(|_| RemoteProblem::Address)?;
        let plain = url.username().is_empty() && url.password().is_none();
        let known = matches!(url.scheme(), "http" | "https") && url.has_host();
        if plain && known { Ok(Address(url)) } else { Err(RemoteProblem::Address) }
    }

    /// Scheme, host and port: what is one system.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

fn json(request: RequestBuilder, value: &Value) -> RequestBuilder {
    request.header("content-type", "application/json").body(value.to_string())
}

fn builder(ways: &Ways) -> Result<ClientBuilder, RemoteProblem> {
    // `no_proxy` comes first: it forgets all proxies named before it.
    let mut builder = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        .timeout(ways.patience)
        .user_agent(concat!("flamewarden/", env!("CARGO_PKG_VERSION")));
    if let Some(file) = &ways.authorities {
        builder = trusting(builder, file)?;
    }
    let direct = NoProxy::from_string(&ways.direct.join(","));
    if let Some(proxy) = &ways.http_proxy {
        let proxy = Proxy::http(proxy.reveal()).map_err(|_| RemoteProblem::Proxy)?;
        builder = builder.proxy(proxy.no_proxy(direct.clone()));
    }
    if let Some(proxy) = &ways.https_proxy {
        let proxy = Proxy::https(proxy.reveal()).map_err(|_| RemoteProblem::Proxy)?;
        builder = builder.proxy(proxy.no_proxy(direct));
    }
    Ok(builder)
}

fn trusting(builder: ClientBuilder, file: &Path) -> Result<ClientBuilder, RemoteProblem> {
    let text = fs::read(file).map_err(|source| RemoteProblem::Authorities { path: file.to_owned(), source })?;
    let unusable = |reason| RemoteProblem::NoCertificates { path: file.to_owned(), reason };
    Ok(builder.tls_certs_merge(certificates(&text).map_err(unusable)?))
}

/// What stands in PEM, or what is wrong with that.
fn certificates(text: &[u8]) -> Result<Vec<Certificate>, String> {
    let certificates = Certificate::from_pem_bundle(text).map_err(told)?;
    if certificates.is_empty() { Err("there is none in it".to_owned()) } else { Ok(certificates) }
}

fn unanswered(cause: reqwest::Error) -> RemoteProblem {
    match (cause.is_timeout(), is_tls(&cause)) {
        (true, _) => RemoteProblem::Late,
        (false, true) => RemoteProblem::Tls(told(cause)),
        (false, false) => RemoteProblem::Unreachable(told(cause)),
    }
}

fn broken_off(cause: reqwest::Error) -> RemoteProblem {
    if cause.is_timeout() { RemoteProblem::Endless } else { RemoteProblem::BrokenOff(told(cause)) }
}

/// Whether TLS is what went wrong; I/O errors hold it without naming it as their source.
fn is_tls(cause: &reqwest::Error) -> bool {
    let mut next = cause.source();
    while let Some(cause) = next {
        let held = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if cause.is::<rustls::Error>() {
            return true;
        }
        next = match held {
            Some(held) => Some(held),
            None => cause.source(),
        };
    }
    false
}

fn told(cause: reqwest::Error) -> String {
    let cause: Box<dyn Error> = Box::new(cause.without_url());
    whole(cause.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_system_and_nothing_else() {
        for (text, known) in [
            ("http://keycloak", true),
            ("https://keycloak.example.org:8443/auth", true),
            ("https://keycloak.example.org/auth/", true),
            ("keycloak", false),
            ("ftp://keycloak", false),
            ("file:///etc/passwd", false),
            ("http://", false),
            ("http://user:password@keycloak", false),
            ("http://keycloak?x=1", false),
            ("http://keycloak#x", false),
            ("", false),
        ] {
            assert_eq!(Address::parse(text).is_ok(), known, "{text}");
        }
    }

    #[test]
    fn no_word_leaves_its_place_in_a_path() {
        let address = Address::parse("http://keycloak/auth/").unwrap();
        for (word, want) in [
            ("flame", "http://keycloak/auth/realms/flame/certs"),
            ("a/b", "http://keycloak/auth/realms/a%2Fb/certs"),
            ("a?b#c", "http://keycloak/auth/realms/a%3Fb%23c/certs"),
            ("%2e%2e", "http://keycloak/auth/realms/%252e%252e/certs"),
        ] {
            assert_eq!(address.below(&["realms", word, "certs"]).as_str(), want);
        }
        let asked = address.below(&["x"]).with(&[("clientId", "a&b=c d")]);
        assert_eq!(asked.as_str(), "http://keycloak/auth/x?clientId=a%26b%3Dc+d");
    }

    #[test]
    fn what_cannot_be_set_up_is_told_without_passwords() {
        let folder = tempfile::tempdir().unwrap();
        let (absent, empty) = (folder.path().join("absent.pem"), folder.path().join("empty.pem"));
        fs::write(&empty, "no certificate").unwrap();
        let ways = Ways::plain(Duration::from_secs(1));
        let told = |ways: Ways| Remote::new(&ways).unwrap_err().to_string();
        assert!(told(Ways { authorities: Some(absent), ..ways.clone() }).contains("absent.pem: No such file"));
        assert!(told(Ways { authorities: Some(empty), ..ways.clone() }).contains("are no certificates"));
        let proxy = Some(Secret::new("http://user:hunter2@[bad"));
        assert_eq!(told(Ways { https_proxy: proxy, ..ways }), "the proxy's address cannot be used");
    }
}
