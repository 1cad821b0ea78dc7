//! Edge: who looks at pages: logged in by an OpenID provider, and known afterwards by a session that the archive keeps.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hyper::header::{COOKIE, HeaderMap};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::access::{Access, Visitor};
use super::answer::Answer;
use super::frame::{self, Frame, Told};
use super::query::Query;
use crate::archive::{Archive, Session};
use crate::policy::{OidcSection, PageSettings};
use crate::remote::{Address, Remote, RemoteProblem, Ways};
use crate::serve::{Fault as OidcFault, Oidc, OidcProblem, OidcSettings};
use crate::telemetry::{Metrics, whole};

/// Logs visitors in and out.
pub(super) struct Logins {
    metrics: Arc<Metrics>,
    archive: Arc<Archive>,
    /// The provider of the policies in force.
    current: Mutex<Option<(PageSettings, Arc<Oidc>)>>,
    /// Anybody may begin a login; the provider is asked for so many at a time.
    turns: Semaphore,
}

/// Why the provider cannot be asked.
#[derive(Debug, thiserror::Error)]
enum LoginProblem {
    #[error(transparent)]
    Remote(#[from] RemoteProblem),
    #[error(transparent)]
    Oidc(#[from] OidcProblem),
}

impl Logins {
    /// Nobody is asked yet.
    pub(super) fn new(archive: Arc<Archive>, metrics: Arc<Metrics>) -> Self {
        Logins { metrics, archive, current: Mutex::default(), turns: Semaphore::new(TURNS) }
    }

    /// Who asks, and what they may see; or what they are answered instead.
    pub(super) async fn visitor(
        &self,
        settings: &PageSettings,
        headers: &HeaderMap,
        wanted: &str,
    ) -> Result<(Visitor, Access), Answer> {
        let Some(oidc) = &settings.oidc else { return Ok((Visitor::default(), Access::everything())) };
        let log_in = || Answer::redirect(&format!("/login{}", Query::default().with("to", wanted)));
        let key = cookie(headers, &named(settings, SESSION)).map(key).ok_or_else(log_in)?;
        let session = self.archive.session(&key, Timestamp::now()).await.map_err(|problem| {
            warn!(problem = %whole(&problem), "nobody can say who is logged in");
            frame::told(503, Told::AWAY)
        })?;
        let session = session.ok_or_else(log_in)?;
        let visitor: Visitor = serde_json::from_str(&session.who).map_err(|_| log_in())?;
        // What another provider has told counts for nothing.
        if visitor.issuer != oidc.issuer {
            return Err(log_in());
        }
        match Access::of(&visitor.groups, &settings.roles) {
            Some(access) => Ok((visitor, access)),
            None => Err(frame::told_within(403, Told::NO_ROLE, Frame::of_nobody(&visitor))),
        }
    }

    /// To the provider.
    pub(super) async fn begin(&self, settings: &PageSettings, query: Option<&str>) -> Answer {
        let Some(oidc) = &settings.oidc else { return Answer::redirect("/") };
        let query = Query::of(query);
        let wanted = if query.get("to").is_empty() { "/" } else { query.get("to") };
        let Some(_turn) = self.turn().await else { return frame::told(503, Told::NO_PROVIDER) };
        let begun = async { Ok::<_, LoginProblem>(self.of(settings, oidc)?.begin(wanted, Timestamp::now()).await?) };
        match begun.await {
            Ok(begun) => Answer::redirect(&begun.location).with_cookie(&kept(
                settings,
                LOGIN,
                begun.kept.reveal(),
                LOGIN_SECONDS,
            )),
            Err(problem) => refused(&problem),
        }
    }

    /// Back from there.
    pub(super) async fn finish(&self, settings: &PageSettings, headers: &HeaderMap, query: Option<&str>) -> Answer {
        let Some(oidc) = &settings.oidc else { return Answer::redirect("/") };
        let begun = cookie(headers, &named(settings, LOGIN)).unwrap_or_default();
        let Some(_turn) = self.turn().await else { return frame::told(503, Told::NO_PROVIDER) };
        let now = Timestamp::now();
        let finished = async {
            let provider = self.of(settings, oidc)?;
            Ok::<_, LoginProblem>(provider.finish(query.unwrap_or_default(), begun, now).await?)
        };
        let user = match finished.await {
            Ok(user) => user,
            Err(problem) => return refused(&problem),
        };
        let issuer = oidc.issuer.clone();
        // Of many groups those that say something here.
        let says = |group: &String| settings.roles.iter().any(|role| role.groups.contains(group));
        let groups = user.groups.into_iter().filter(says).collect();
        let visitor = Visitor { issuer, subject: user.subject, name: user.name, groups };
        // Whoever may see nothing has no session: many of them would push out those of others.
        if Access::of(&visitor.groups, &settings.roles).is_none() {
            info!(subject = visitor.subject, "somebody without a role wanted to see the pages");
            return frame::told(403, Told::NO_ROLE).with_cookie(&kept(settings, LOGIN, "", 0));
        }
        let (Some(token), Ok(who)) = (token(), serde_json::to_string(&visitor)) else {
            return frame::told(503, Told::AWAY);
        };
        let seconds = i64::from(settings.session_minutes) * 60;
        let session = Session { key: key(&token), who, ends: now + SignedDuration::from_secs(seconds) };
        if let Err(problem) = self.archive.begin_session(session, now).await {
            warn!(problem = %whole(&problem), "a login cannot be kept");
            return frame::told(503, Told::AWAY);
        }
        info!(subject = visitor.subject, "somebody has logged in to the pages");
        let answer = Answer::redirect(&user.back).with_cookie(&kept(settings, LOGIN, "", 0));
        answer.with_cookie(&kept(settings, SESSION, &token, seconds))
    }

    /// Ends the session here; at the provider the visitor ends it by the link that the page shows.
    pub(super) async fn end(&self, settings: &PageSettings, headers: &HeaderMap) -> Answer {
        let Some(oidc) = &settings.oidc else { return Answer::redirect("/") };
        // Other sites log nobody out.
        let from = headers.get("sec-fetch-site").map_or("same-origin", |from| from.to_str().unwrap_or_default());
        if !matches!(from, "same-origin" | "none") {
            return frame::told(403, Told::OTHER_SITE);
        }
        if let Some(token) = cookie(headers, &named(settings, SESSION))
            && let Err(problem) = self.archive.end_session(&key(token)).await
        {
            warn!(problem = %whole(&problem), "a session cannot be ended");
            return frame::told(503, Told::AWAY);
        }
        let link = match self.of(settings, oidc) {
            Ok(provider) => provider.end(&format!("{}/", settings.url), None).await,
            Err(_) => None,
        };
        frame::logged_out(link.as_deref()).with_cookie(&kept(settings, SESSION, "", 0))
    }

    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        timeout(WAITING, self.turns.acquire()).await.ok()?.ok()
    }

    /// The provider of these settings.
    fn of(&self, settings: &PageSettings, section: &OidcSection) -> Result<Arc<Oidc>, LoginProblem> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, oidc)) = current.as_ref().filter(|(known, _)| known == settings) {
            return Ok(oidc.clone());
        }
        let oidc = Oidc::new(remote(&section.client_secret_file)?, asked(settings, section)?, self.metrics.clone())?;
        *current = Some((settings.clone(), oidc.clone()));
        Ok(oidc)
    }
}

fn asked(settings: &PageSettings, section: &OidcSection) -> Result<OidcSettings, LoginProblem> {
    let discovery = section.discovery.as_deref().map(Address::parse).transpose()?;
    Ok(OidcSettings {
        issuer: section.issuer.clone(),
        discovery,
        client_id: section.client_id.clone(),
        client_secret: Some(section.client_secret_file.clone()),
        redirect: format!("{}/callback", settings.url),
        groups: section.groups_claim.split('.').map(str::to_owned).collect(),
    })
}

/// The provider's authority, where it is one of its own, stands beside our secret.
fn remote(secret: &Path) -> Result<Remote, RemoteProblem> {
    let ways = Ways::plain(PATIENCE);
    let path = secret.with_file_name("ca.crt");
    match std::fs::read_to_string(&path) {
        Ok(authority) => Remote::trusting(&ways, &authority),
        Err(problem) if problem.kind() == ErrorKind::NotFound => Remote::new(&ways),
        Err(source) => Err(RemoteProblem::Authorities { path, source }),
    }
}

fn refused(problem: &LoginProblem) -> Answer {
    let fault = match problem {
        LoginProblem::Oidc(problem) => problem.fault(),
        LoginProblem::Remote(_) => OidcFault::Provider,
    };
    match fault {
        OidcFault::Request => {
            debug!(problem = %whole(problem), "a login is not understood");
            frame::told(400, Told::NO_LOGIN)
        }
        OidcFault::Login => {
            info!(problem = %whole(problem), "a login came to nothing");
            frame::told(401, Told::NOT_LOGGED_IN)
        }
        OidcFault::Provider => {
            warn!(problem = %whole(problem), "nobody can log in");
            frame::told(503, Told::NO_PROVIDER)
        }
    }
}

/// What a browser holds of a session: 256 bits that nobody can guess.
fn token() -> Option<String> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// By what the archive knows it.
fn key(token: &str) -> String {
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value of the one cookie of that name.
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut named = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = named.find(|(known, value)| *known == name && !value.is_empty())?;
    Some(value)
}

/// Where the pages are reached by TLS, browsers take a cookie of such a name from this host alone.
fn named(settings: &PageSettings, name: &str) -> String {
    if is_secure(settings) { format!("__Host-{name}") } else { name.to_owned() }
}

fn kept(settings: &PageSettings, name: &str, value: &str, seconds: i64) -> String {
    let secure = if is_secure(settings) { "; Secure" } else { "" };
    format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", named(settings, name))
}

fn is_secure(settings: &PageSettings) -> bool {
    settings.url.starts_with("https:")
}

const SESSION: &str = "flamewarden";
const LOGIN: &str = "flamewarden-login";
const LOGIN_SECONDS: i64 = 600;
const TURNS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(5);
/// For a turn.
const WAITING: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=1; flamewarden=abc=; flamewarden-login=x".parse().unwrap());
        headers.append(COOKIE, "b=2".parse().unwrap());
        for (name, want) in
            [("flamewarden", Some("abc=")), ("flamewarden-login", Some("x")), ("b", Some("2")), ("c", None)]
        {
            assert_eq!(cookie(&headers, name), want, "{name}");
        }
    }

    #[test]
    fn cookies_are_of_this_host_and_no_script_s() {
        let settings =
            |url: &str| PageSettings { url: url.to_owned(), oidc: None, roles: Vec::new(), session_minutes: 60 };
        let cookie = kept(&settings("https://a"), SESSION, "v", 60);
        assert_eq!(cookie, "__Host-flamewarden=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        let cookie = kept(&settings("http://localhost:8001"), LOGIN, "", 0);
        assert_eq!(cookie, "flamewarden-login=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
