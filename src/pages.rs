//! Edge: pages for security teams: how containment stands, what was found, decided and excepted, and what each analysis may
//! reach. They show and change nothing.
//!
//! They have a port of their own: that of the REST API is reached from analyses, through their gateways.

mod access;
mod analyses;
mod analysis;
mod answer;
mod chart;
mod decisions;
mod exceptions;
mod findings;
mod frame;
mod graph;
mod login;
mod look;
mod overview;
mod peer;
mod problem;
mod query;
mod report;
mod route;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY as POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    SET_COOKIE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response, StatusCode};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::warn;

use self::answer::{Answer, CONTENT_SECURITY_POLICY};
use self::frame::{Frame, Told};
use self::login::Logins;
use self::look::Look;
use self::problem::PageProblem;
use self::query::Query;
use self::route::Route;
use crate::archive::Archive;
use crate::cluster::Cluster;
use crate::facts::ScanMemory;
use crate::policy::{PageSettings, PolicySet};
use crate::serve::{ConnectionLimits, Drain, Handler, Listen, serve};
use crate::telemetry::{Metrics, whole};

/// What the pages need.
pub struct PageParts {
    /// The API server; nothing is written there.
    pub cluster: Cluster,
    /// The policies in force, the pages' own settings among them.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// The text of their files as they are now, or why they cannot be read.
    pub files: Arc<dyn Fn() -> Result<BTreeMap<String, String>, String> + Send + Sync>,
    /// What is known of images.
    pub scans: Arc<ScanMemory>,
    /// What was found and decided.
    pub archive: Arc<Archive>,
    /// Where numbers go.
    pub metrics: Arc<Metrics>,
}

/// What answers browsers; any number of replicas may, whoever leads.
pub struct Pages {
    inner: Arc<Inner>,
}

struct Inner {
    parts: PageParts,
    logins: Logins,
    /// Whole namespaces and long reports that are put together, and sent, at one time.
    heavy: Arc<Semaphore>,
    /// Other pages that read the archive at one time: whoever else needs it has a place left.
    lists: Arc<Semaphore>,
}

impl Pages {
    /// Pages that nobody sees yet.
    pub fn new(parts: PageParts) -> Self {
        let logins = Logins::new(parts.archive.clone(), parts.metrics.clone());
        Pages {
            inner: Arc::new(Inner {
                parts,
                logins,
                heavy: Arc::new(Semaphore::new(HEAVY)),
                lists: Arc::new(Semaphore::new(LISTS)),
            }),
        }
    }

    /// Answers until the drain is over.
    pub async fn run(self, listener: TcpListener, limits: ConnectionLimits, drain: Drain) {
        serve(Listen { listener, tls: None, handler: Arc::new(self), limits, drain }).await;
    }
}

impl Handler for Pages {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let inner = self.inner.clone();
        let (head, _) = request.into_parts();
        let secure = inner.settings().is_some_and(|settings| settings.url.starts_with("https:"));
        // On a task of its own, so that a panic is an answer.
        let answer = tokio::spawn(async move { inner.answer(head).await }).await.unwrap_or_else(|problem| {
            warn!(%problem, "a page broke off");
            frame::told(500, Told::BROKEN)
        });
        response(answer, secure)
    }
}

impl Inner {
    fn settings(&self) -> Option<PageSettings> {
        self.parts.policies.load().auditor.pages.clone()
    }

    async fn answer(&self, head: Parts) -> Answer {
        let Some(route) = Route::of(head.uri.path()) else { return frame::told(404, Told::NO_PAGE) };
        if !route.methods().contains(&head.method.as_str()) {
            return frame::told(405, Told::OTHER_METHOD).allowing(route.methods());
        }
        match route {
            Route::Style => return Answer::fixed("text/css; charset=utf-8", STYLE),
            Route::Script => return Answer::fixed("text/javascript; charset=utf-8", SCRIPT),
            _ => {}
        }
        let policies = self.parts.policies.load_full();
        let Some(settings) = &policies.auditor.pages else { return frame::told(503, Told::NO_PAGES) };
        let query = head.uri.query();
        match route {
            Route::Login => return self.logins.begin(settings, query).await,
            Route::Callback => return self.logins.finish(settings, &head.headers, query).await,
            Route::Logout => return self.logins.end(settings, &head.headers).await,
            _ => {}
        }
        let wanted = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let (visitor, access) = match self.logins.visitor(settings, &head.headers, wanted).await {
            Ok(visitor) => visitor,
            Err(answer) => return answer,
        };
        let look = Look {
            frame: Frame::of(&visitor, &access, settings.oidc.is_some()),
            policies: policies.clone(),
            access,
            query: Query::of(query),
            now: Timestamp::now(),
        };
        let answer = self.page(&route, &look).await;
        answer.unwrap_or_else(|problem| match problem {
            PageProblem::None => frame::told_within(404, Told::NO_PAGE, look.frame),
            problem => {
                warn!(problem = %whole(&problem), "a page cannot be shown");
                frame::told_within(503, Told::AWAY, look.frame)
            }
        })
    }

    async fn page(&self, route: &Route, look: &Look) -> Result<Answer, PageProblem> {
        let parts = &self.parts;
        let turns = if route.is_heavy() { &self.heavy } else { &self.lists };
        let turn = timeout(PATIENCE, turns.clone().acquire_owned()).await.map_err(|_| PageProblem::Busy)?;
        // Never closed.
        let turn = turn.map_err(|_| PageProblem::Busy)?;
        let answer = match route {
            Route::Overview => overview::page(parts, look).await,
            Route::Findings => findings::page(parts, look).await,
            Route::Decisions => decisions::page(parts, look).await,
            Route::NewDecisions => decisions::new(parts, look).await,
            Route::Exceptions => exceptions::page(parts, look).await,
            Route::Analyses => analyses::page(parts, look).await,
            Route::Analysis { namespace, app } => analysis::page(parts, look, (namespace, app)).await,
            Route::Report(form) => report::file(parts, look, *form).await,
            Route::Style | Route::Script | Route::Login | Route::Callback | Route::Logout => Err(PageProblem::None),
        }?;
        Ok(answer.holding(turn))
    }
}

/// Of an answer to HEAD hyper sends the header only.
fn response(answer: Answer, secure: bool) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body.into_bytes()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in fixed() {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if secure {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.media_type));
    for (name, value) in answer.headers {
        // Of cookies there may be several; of everything else what the answer says.
        match name {
            SET_COOKIE => drop(headers.append(SET_COOKIE, value)),
            name => drop(headers.insert(name, value)),
        }
    }
    response
}

/// Of every answer, unless it says otherwise: what is told of a cluster stays in no cache, and nobody frames it.
fn fixed() -> [(HeaderName, &'static str); 6] {
    [
        (POLICY, CONTENT_SECURITY_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ]
}

const HEAVY: usize = 1;
const LISTS: usize = 2;
/// How long a page waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// The colours and tables of a report that is one file, and what pages have besides.
const STYLE: &str = concat!(include_str!("report/page.css"), include_str!("pages/style.css"));
const SCRIPT: &str = include_str!("pages/decisions.js");
