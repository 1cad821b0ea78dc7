//! Edge: logs people in by an OpenID provider: authorization code with PKCE, state and nonce.

mod callback;
mod configuration;
mod exchange;
mod kept;
mod problem;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use self::callback::Callback;
use self::configuration::Configuration;
use self::exchange::exchange;
use self::kept::Kept;
pub use self::problem::{Fault, OidcProblem};
use super::bearer::{ExpectedIdentity, RealmKeys, check_identity};
use super::published::{FetchProblem, Published, Source, Told};
use crate::model::Secret;
use crate::remote::{Address, Remote};
use crate::telemetry::Metrics;

/// What logging in takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcSettings {
    /// The provider's name, as in `iss`. Where it begins with `https:`, so do all addresses that it publishes.
    pub issuer: String,
    /// Where the provider's configuration is read, if not below the issuer: it may be reached otherwise from inside.
    pub discovery: Option<Address>,
    /// As whom we ask.
    pub client_id: String,
    /// The file with the client's secret, read anew at each use and trimmed; none for a public client.
    pub client_secret: Option<PathBuf>,
    /// Our own callback, an absolute URL.
    pub redirect: String,
    /// Path of the claim of the ID token that lists groups, as `groups`, or `realm_access` and `roles`.
    pub groups: Vec<String>,
}

/// Logs people in by one provider.
pub struct Oidc {
    remote: Remote,
    settings: OidcSettings,
    metrics: Arc<Metrics>,
    provider: Arc<Published<Configuration>>,
    /// Of the address that the provider has last published.
    keys: Mutex<Option<Arc<Published<RealmKeys>>>>,
}

/// A login that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser is sent.
    pub location: String,
    /// What the browser is to bring back in an HttpOnly cookie of ten minutes; it needs no quoting there.
    pub kept: Secret,
}

/// Who has logged in.
#[derive(Debug)]
pub struct LoggedIn {
    /// The provider's own name for the user.
    pub subject: String,
    /// For people to read, printable; it may be anybody's name, so no right comes of it.
    pub name: String,
    /// The user's groups.
    pub groups: BTreeSet<String>,
    /// The page that was wanted; always one of ours.
    pub back: String,
    /// To be shown when the user logs out.
    pub id_token: Secret,
}

impl Oidc {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// A setting that could lead to no login.
    pub fn new(remote: Remote, settings: OidcSettings, metrics: Arc<Metrics>) -> Result<Arc<Self>, OidcProblem> {
        let address = |name, text: &str| Address::parse(text).map_err(|_| OidcProblem::Setting(name));
        let issuer = address("issuer", &settings.issuer)?;
        address("redirect", &settings.redirect)?;
        if settings.client_id.is_empty() {
            return Err(OidcProblem::Setting("client_id"));
        }
        if settings.groups.is_empty() {
            return Err(OidcProblem::Setting("groups"));
        }
        let below = issuer.below(&[".well-known", "openid-configuration"]);
        let expected = settings.issuer.clone();
        let source = Source {
            address: settings.discovery.clone().unwrap_or(below),
            what: "the login provider's configuration",
            read: Box::new(move |text| Configuration::read(text, &expected).map_err(|problem| problem.to_string())),
            told: told(&metrics),
        };
        let provider = Published::new(remote.clone(), source);
        Ok(Arc::new(Oidc { remote, settings, metrics, provider, keys: Mutex::default() }))
    }

    /// Begins a login that ends on a page of ours, given as a path; where it is none, on the first page.
    ///
    /// # Errors
    /// The provider's configuration is not known and cannot be fetched.
    pub async fn begin(&self, back: &str, now: Timestamp) -> Result<Begun, OidcProblem> {
        let provider = self.provider(now).await?;
        let kept = Kept::new(back, now)?;
        let location = provider.authorize.with(&[
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &self.settings.redirect),
            ("scope", SCOPE),
            ("state", kept.state()),
            ("nonce", kept.nonce.text()),
            ("code_challenge", &kept.challenge()),
            ("code_challenge_method", "S256"),
        ]);
        Ok(Begun { location: location.as_str().to_owned(), kept: kept.write() })
    }

    /// Ends a login: `query` is that of the callback as it came, `kept` the cookie's value.
    ///
    /// # Errors
    /// Nobody has logged in; the problem says whose fault that is.
    pub async fn finish(&self, query: &str, kept: &str, now: Timestamp) -> Result<LoggedIn, OidcProblem> {
        let kept = Kept::read(kept, now)?;
        let callback = Callback::read(query)?;
        callback.belongs_to(&kept)?;
        let provider = self.provider(now).await?;
        let code = Secret::new(callback.code(&self.settings.issuer, provider.names_itself)?);
        let id_token = self.exchange(&provider, &code, &kept).await?;
        let expected = ExpectedIdentity {
            issuer: &self.settings.issuer,
            client: &self.settings.client_id,
            nonce: kept.nonce.text(),
            groups: &self.settings.groups,
        };
        let keys = self.keys(&provider);
        // Nobody fetches them in between, so a key that was withdrawn would be good for as long as any is held.
        keys.refresh(now).await;
        let user = keys.judge(now, |keys| check_identity(id_token.reveal(), keys, &expected, now)).await?;
        Ok(LoggedIn { subject: user.subject, name: user.name, groups: user.groups, back: kept.back, id_token })
    }

    /// Where a browser is sent that logs out, and from there to `back_to`, an absolute URL that the provider knows of.
    /// Without the ID token of its login, or where that is too long for an address, the provider asks the user first.
    /// None where the provider has no such page, or its configuration is not known.
    pub async fn end(&self, back_to: &str, id_token: Option<&Secret>) -> Option<String> {
        let provider = self.provider(Timestamp::now()).await.ok()?;
        let hint = id_token.map(Secret::reveal).filter(|token| token.len() <= LONGEST_HINT);
        let (name, value) =
            hint.map_or(("client_id", self.settings.client_id.as_str()), |hint| ("id_token_hint", hint));
        let address = provider.end.as_ref()?.with(&[(name, value), ("post_logout_redirect_uri", back_to)]);
        Some(address.as_str().to_owned())
    }

    async fn provider(&self, now: Timestamp) -> Result<Arc<Configuration>, OidcProblem> {
        self.provider.refresh(now).await;
        self.provider.held(now).value.ok_or(OidcProblem::NoConfiguration)
    }

    async fn exchange(&self, provider: &Configuration, code: &Secret, kept: &Kept) -> Result<Secret, OidcProblem> {
        let said = exchange(&self.remote, provider, &self.settings, code, &kept.verifier).await;
        let (outcome, answered) = match &said {
            Ok(_) => ("done", true),
            // It was not asked.
            Err(OidcProblem::Secret { .. } | OidcProblem::Setting(_)) => return said,
            Err(OidcProblem::Remote(problem)) if problem.may_pass() => (UNAVAILABLE, false),
            Err(OidcProblem::Refused { status, .. }) if *status >= 500 => (UNAVAILABLE, false),
            Err(OidcProblem::Remote(_) | OidcProblem::Shape) => ("not_understood", true),
            Err(_) => ("refused", true),
        };
        self.metrics.called(SYSTEM, outcome, answered);
        said
    }

    /// The provider's keys, held for as long as they stand at the same address.
    fn keys(&self, provider: &Configuration) -> Arc<Published<RealmKeys>> {
        let mut held = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = held.as_ref().filter(|keys| *keys.address() == provider.keys) {
            return Arc::clone(keys);
        }
        let source = Source {
            address: provider.keys.clone(),
            what: "the login provider's keys",
            read: Box::new(|text| RealmKeys::parse(text).map_err(|problem| problem.to_string())),
            told: told(&self.metrics),
        };
        let keys = Published::new(self.remote.clone(), source);
        *held = Some(Arc::clone(&keys));
        keys
    }
}

/// Counts what was asked of the provider.
fn told(metrics: &Arc<Metrics>) -> Told {
    let metrics = Arc::clone(metrics);
    Box::new(move |fetched| {
        let outcome = fetched.map_or_else(FetchProblem::outcome, |_| "done");
        metrics.called(SYSTEM, outcome, outcome != UNAVAILABLE);
    })
}

/// The two others tell of a name for people to read.
const SCOPE: &str = "openid profile email";
/// Its name among the other systems in metrics.
const SYSTEM: &str = "login";
const UNAVAILABLE: &str = "unavailable";
/// Browsers and servers take addresses of about 8 KiB.
const LONGEST_HINT: usize = 4 * 1024;
