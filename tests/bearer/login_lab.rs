//! A provider by which people log in, stood in for: it gives each code once, for the login that it was made for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use flamewarden::model::Secret;
use flamewarden::remote::{Address, Remote, Ways};
use flamewarden::serve::{LoggedIn, Oidc, OidcProblem, OidcSettings};
use flamewarden::telemetry::Metrics;
use reqwest::Url;
use serde_json::{Value, json};

use crate::signer::{base64, set};
use crate::stand_in::{Asked, Reply, StandIn};
use crate::tokens::{NOW, REALM, at};

/// The provider, and who logs people in by it.
pub(crate) struct Lab {
    pub(crate) system: StandIn,
    pub(crate) desk: Arc<Mutex<Desk>>,
    pub(crate) oidc: Arc<Oidc>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What the provider says and has given.
pub(crate) struct Desk {
    pub(crate) configuration: Value,
    pub(crate) keys: Vec<u8>,
    /// Whether a code needs the verifier of its login; where not, only the nonce is left.
    pub(crate) holds_verifiers: bool,
    codes: BTreeMap<String, Given>,
}

struct Given {
    challenge: String,
    token: String,
}

/// A login that has begun, as its browser knows it.
pub(crate) struct Login {
    /// What the provider is asked.
    pub(crate) asked: BTreeMap<String, String>,
    pub(crate) kept: Secret,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Lab::with(None).await
    }

    /// The same with the file of a secret.
    pub(crate) async fn with(client_secret: Option<PathBuf>) -> Self {
        let system = StandIn::start(|_| Reply::status(500)).await;
        let own = system.address.as_str().trim_end_matches('/').to_owned();
        let configuration = json!({
            "issuer": own, "authorization_endpoint": format!("{own}/authorize"), "jwks_uri": format!("{own}/keys"),
            "token_endpoint": format!("{own}/token"), "end_session_endpoint": format!("{own}/end"),
            "code_challenge_methods_supported": ["plain", "S256"],
        });
        let keys = set(&[REALM.published("k1", "RS256")]);
        let desk = Desk { configuration, keys, holds_verifiers: true, codes: BTreeMap::new() };
        let desk = Arc::new(Mutex::new(desk));
        let metrics = Arc::new(Metrics::new());
        let oidc = Oidc::new(remote(), settings(&own, client_secret), Arc::clone(&metrics)).unwrap();
        let lab = Lab { system, desk, oidc, metrics };
        lab.works();
        lab
    }

    /// The provider works from now on.
    pub(crate) fn works(&self) {
        let desk = Arc::clone(&self.desk);
        self.system.answer(move |asked| desk.lock().unwrap().answer(asked));
    }

    /// The provider works but for what stands at one path.
    pub(crate) fn works_but(&self, path: &'static str, reply: Reply) {
        let desk = Arc::clone(&self.desk);
        self.system.answer(move |asked| match asked.path == path {
            true => reply.clone(),
            false => desk.lock().unwrap().answer(asked),
        });
    }

    /// Its own name.
    pub(crate) fn issuer(&self) -> String {
        self.system.address.as_str().trim_end_matches('/').to_owned()
    }

    /// Begins a login.
    pub(crate) async fn begin(&self, back: &str) -> Login {
        let begun = self.oidc.begin(back, at(NOW)).await.unwrap();
        let location = Url::parse(&begun.location).unwrap();
        Login { asked: location.query_pairs().into_owned().collect(), kept: begun.kept }
    }

    /// What the provider says in its ID token when a user has logged in.
    pub(crate) fn claims(&self, login: &Login) -> Value {
        json!({
            "iss": self.issuer(), "aud": CLIENT, "azp": CLIENT, "sub": "u1", "exp": NOW + 60, "iat": NOW, "typ": "ID",
            "nonce": login.asked["nonce"], "preferred_username": "ada", "groups": ["security"],
        })
    }

    /// A code for this login that is good for a token.
    pub(crate) fn code(&self, login: &Login, token: String) -> String {
        let mut desk = self.desk.lock().unwrap();
        let code = format!("code-{}", desk.codes.len());
        let given = Given { challenge: login.asked["code_challenge"].clone(), token };
        desk.codes.insert(code.clone(), given);
        code
    }

    /// A code for this login that is good for a token with these claims.
    pub(crate) fn code_with(&self, login: &Login, claims: &Value) -> String {
        self.code(login, REALM.token(&header(), claims))
    }

    /// Ends the login in its own browser with such a code.
    pub(crate) async fn end(&self, login: &Login, code: &str) -> Result<LoggedIn, OidcProblem> {
        let query = format!("state={}&code={code}", login.asked["state"]);
        self.oidc.finish(&query, login.kept.reveal(), at(NOW)).await
    }

    /// Begins a login and ends it with a token with these claims.
    pub(crate) async fn log_in(&self, change: impl FnOnce(&mut Value)) -> Result<LoggedIn, OidcProblem> {
        let login = self.begin("/").await;
        let mut claims = self.claims(&login);
        change(&mut claims);
        self.end(&login, &self.code_with(&login, &claims)).await
    }

    /// How often something was asked for.
    pub(crate) fn times(&self, path: &str) -> usize {
        self.system.asked().iter().filter(|asked| asked.path == path).count()
    }
}

impl Desk {
    fn answer(&mut self, asked: &Asked) -> Reply {
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", CONFIGURATION) => Reply::body(self.configuration.to_string()),
            ("GET", "/keys") => Reply::body(self.keys.clone()),
            ("POST", "/token") => self.exchange(&asked.body),
            _ => Reply::status(404),
        }
    }

    fn exchange(&mut self, body: &str) -> Reply {
        let form = form(body);
        let refused = Reply { body: br#"{"error":"invalid_grant"}"#.to_vec(), ..Reply::status(400) };
        let plain = form["grant_type"] == "authorization_code" && form["redirect_uri"] == REDIRECT;
        let Some(given) = self.codes.get_mut(&form["code"]).filter(|given| plain && !given.token.is_empty()) else {
            return refused;
        };
        let token = std::mem::take(&mut given.token);
        let challenge = base64(digest(&SHA256, form["code_verifier"].as_bytes()).as_ref());
        if self.holds_verifiers && challenge != given.challenge {
            return refused;
        }
        Reply::body(json!({"access_token": "a", "token_type": "Bearer", "id_token": token}).to_string())
    }
}

pub(crate) fn settings(issuer: &str, client_secret: Option<PathBuf>) -> OidcSettings {
    OidcSettings {
        issuer: issuer.to_owned(),
        discovery: None,
        client_id: CLIENT.to_owned(),
        client_secret,
        redirect: REDIRECT.to_owned(),
        groups: vec!["groups".to_owned()],
    }
}

pub(crate) fn remote() -> Remote {
    Remote::new(&Ways::plain(Duration::from_secs(60))).unwrap()
}

/// As an `Address`, which has no query.
pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn header() -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": "k1"})
}

/// Names and values of a form.
pub(crate) fn form(body: &str) -> BTreeMap<String, String> {
    let mut url = Url::parse("http://form").unwrap();
    url.set_query(Some(body));
    url.query_pairs().into_owned().collect()
}

pub(crate) const CLIENT: &str = "flamewarden-pages";
pub(crate) const REDIRECT: &str = "https://pages.example.org/callback";
pub(crate) const CONFIGURATION: &str = "/.well-known/openid-configuration";
