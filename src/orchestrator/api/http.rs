//! Edge: the API over HTTP: who asks, what is sent, and the promise that every failure is an answer.

use std::error::Error;
use std::sync::PoisonError;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
    REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use super::access::{Caller, stranger};
use super::answer::Answer;
use super::cleaning::Cleaning;
use super::line::Line;
use super::operations::Operations;
use super::page::{ALLOW as PAGES_ALLOW, CONTENT_SECURITY_POLICY as PAGES_POLICY, METHODS, Page, page};
use super::route::{Operation, Route, Which, route};
use super::view::last_run;
use super::{Api, Inner};
use crate::bundle::CreateRequest;
use crate::cluster::ClusterProblem;
use crate::model::{AnalysisObject, parse_at_most};
use crate::policy::{ApiSettings, Orchestrator, PolicySet, WaySettings};
use crate::serve::Handler;
use crate::telemetry::whole;

impl Handler for Api {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if let Some(page) = page(request.uri().path()) {
            return told(page, request.method());
        }
        let inner = self.inner.clone();
        // On a task of its own: what was begun is brought to its end though the caller hangs up, and a panic is an answer.
        let answer = tokio::spawn(async move { inner.answer(request).await }).await.unwrap_or_else(|problem| {
            warn!(%problem, "a call of the API broke off");
            Answer::failed("answering")
        });
        response(&answer)
    }
}

impl Inner {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let route = match route(head.method.as_str(), path) {
            Ok(Route { operation: Operation::Healthz, .. }) => return Answer::ok(json!({"status": "ok"})),
            Ok(route) => route,
            Err(answer) => return answer,
        };
        let policies = self.policies.load_full();
        let settings = policies.orchestrator.as_ref().and_then(|settings| Some((settings, settings.api.as_ref()?)));
        let Some((orchestrator, settings)) = settings else {
            return Answer::detail(503, "the policies in force have no API");
        };
        let caller = match self.caller(&head.headers, settings, &orchestrator.ways).await {
            Ok(caller) => caller,
            Err(answer) => return answer,
        };
        let which = caller.may(route.operation).and_then(|()| match route.operation {
            Operation::Cleanup => Ok(Which::All),
            _ => route.which(),
        });
        let which = match which {
            Ok(which) => which,
            Err(answer) => return answer,
        };
        let operations = Operations { cluster: &self.cluster, namespace: &orchestrator.namespace };
        let done = match route.operation {
            Operation::Create => self.create(&operations, &policies, body).await,
            Operation::StreamLogs => self.take_line(&operations, orchestrator, caller, body).await,
            Operation::Status => operations.status(which).await,
            Operation::Logs => {
                // Never closed.
                let _turn = self.reading.acquire().await;
                operations.logs(which).await
            }
            Operation::History => {
                // Never closed.
                let _turn = self.reading.acquire().await;
                operations.history(self.archive.as_deref(), which).await
            }
            Operation::Pods => operations.pods(which).await,
            Operation::Stop => operations.stop(which).await,
            Operation::Delete => operations.delete(which).await,
            Operation::Cleanup => {
                let (files, metrics) = (&self.files, &self.metrics);
                let cleaning =
                    Cleaning { operations: &operations, policies: &policies, settings: orchestrator, files, metrics };
                Ok(cleaning.clean(&types(route.rest)).await)
            }
            Operation::Healthz => Ok(Answer::ok(json!({"status": "ok"}))),
        };
        let doing = route.operation.doing(which == Which::All);
        done.unwrap_or_else(|problem| {
            warn!(problem = %whole(&problem), doing, "a call of the API failed");
            Answer::failed(doing)
        })
    }

    /// Who asks. Why a token counts for nothing is told to the log alone.
    async fn caller(&self, headers: &HeaderMap, settings: &ApiSettings, ways: &WaySettings) -> Result<Caller, Answer> {
        let token = bearer(headers).ok_or_else(Answer::not_authenticated)?;
        let realm = self.realms.of(settings, ways).map_err(|problem| {
            warn!(problem = %whole(&problem), "nobody can be asked for the realm's keys");
            Answer::detail(503, UNKNOWN)
        })?;
        let bearer = realm.check(token, Timestamp::now()).await.map_err(|refusal| {
            debug!(%refusal, "token refused");
            if refusal.is_ours() { Answer::detail(503, UNKNOWN) } else { Answer::not_authenticated() }
        })?;
        Caller::of(&bearer, &settings.administrators).ok_or_else(stranger)
    }

    async fn create(
        &self,
        operations: &Operations<'_>,
        policies: &PolicySet,
        body: Incoming,
    ) -> Result<Answer, ClusterProblem> {
        let body = {
            let _place = self.administrators.acquire().await;
            match read(body).await {
                Ok(body) => body,
                Err(answer) => return Ok(answer),
            }
        };
        match CreateRequest::parse(&body) {
            Ok(request) => operations.create(&request, policies, &body).await,
            Err(faults) => Ok(Answer::faults(&faults, &body)),
        }
    }

    /// A line that an analysis streams: what it says of the analysis is stored, and the line goes into the archive.
    async fn take_line(
        &self,
        operations: &Operations<'_>,
        settings: &Orchestrator,
        caller: Caller,
        body: Incoming,
    ) -> Result<Answer, ClusterProblem> {
        let (analysis, line, is_clean) = match self.read_line(operations, caller, body).await? {
            Ok(read) => read,
            Err(answer) => return Ok(answer),
        };
        // Lines are many, and mostly say of the analysis what is known.
        if let Some(report) = line.report(&analysis) {
            let turn =
                self.pace.lock().unwrap_or_else(PoisonError::into_inner).turn(line.analysis, Instant::now().into_std());
            let Some(turn) = turn else {
                return Ok(Answer::detail(429, "the analysis changes its status or progress too often"));
            };
            sleep_until(turn.into()).await;
            operations.report(&analysis, report).await?;
        }
        if !is_clean {
            self.hub.lose(settings);
            self.lines.lose();
            return Ok(Answer::ok(Value::Null));
        }
        self.hub.pass(settings, &line);
        self.lines.keep(&analysis, line.kept(Timestamp::now()));
        Ok(Answer::ok(Value::Null))
    }

    /// A line with the analysis that it is of, and whether nothing secret is in it; or what is answered instead. As long
    /// as this takes the body is with us.
    async fn read_line(
        &self,
        operations: &Operations<'_>,
        caller: Caller,
        body: Incoming,
    ) -> Result<Result<(AnalysisObject, Line, bool), Answer>, ClusterProblem> {
        // Analyses wait for themselves while bodies come, and never an administrator for them.
        let own = match caller {
            Caller::Administrator => None,
            Caller::Analysis(id) => Some(self.bodies.of(id)),
        };
        let turn = async {
            match &own {
                None => self.administrators.acquire().await,
                Some(own) => own.acquire().await,
            }
        };
        let Ok(_turn) = timeout(PATIENCE, turn).await else { return Ok(Err(Answer::late())) };
        let body = match read(body).await {
            Ok(body) => body,
            Err(answer) => return Ok(Err(answer)),
        };
        // Never closed.
        let _place = if own.is_some() { self.analyses.acquire().await.ok() } else { None };
        let line = match Line::parse(&body) {
            Ok(line) => line,
            Err(faults) => return Ok(Err(Answer::faults(&faults, &body))),
        };
        if let Err(answer) = caller.may_write_of(line.analysis) {
            return Ok(Err(answer));
        }
        let analysis = operations.read(line.analysis).await?;
        let Some(analysis) = analysis else { return Ok(Err(Answer::ok(Value::Null))) };
        match self.hidden.of(operations.cluster, operations.namespace, last_run(&analysis)).await {
            Ok(secrets) => Ok(Ok((analysis, line.without(&secrets), true))),
            Err(problem) => {
                debug!(analysis = %analysis.id, problem, "a line is lost, since it is not known what is secret in it");
                Ok(Ok((analysis, line, false)))
            }
        }
    }
}

/// The token, where exactly one is shown.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    let (Some(one), None) = (shown.next(), shown.next()) else { return None };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The body as JSON: bounded in bytes, values, depth and time, and with no key twice.
async fn read<B>(body: B) -> Result<Value, Answer>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let read = timeout(PATIENCE, Limited::new(body, LONGEST).collect()).await;
    let bytes = match read.map_err(|_| Answer::late())? {
        Ok(body) => body.to_bytes(),
        Err(problem) if problem.is::<LengthLimitError>() => {
            return Err(Answer::detail(413, "the body has more than 64 KiB"));
        }
        Err(_) => return Err(Answer::no_json()),
    };
    if bytes.is_empty() {
        return Err(Answer::no_body());
    }
    if str::from_utf8(&bytes).is_err() {
        return Err(Answer::no_text());
    }
    parse_at_most(&bytes, VALUES).map(|body| body.to_value()).map_err(|_| Answer::no_json())
}

/// Types of a cleanup, as they were meant: clients may write commas otherwise.
fn types(rest: Option<&str>) -> String {
    percent_decode_str(rest.unwrap_or_default()).decode_utf8_lossy().into_owned()
}

/// What anybody may read.
fn told(page: Page, method: &Method) -> Response<Full<Bytes>> {
    if !METHODS.contains(&method.as_str()) {
        return response(&Answer::method_not_allowed(PAGES_ALLOW));
    }
    // Of an answer to HEAD only the header is sent.
    let mut response = typed(page.content_type, Bytes::from_static(page.text.as_bytes()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGES_POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn typed(content_type: &'static str, text: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn response(answer: &Answer) -> Response<Full<Bytes>> {
    let mut response = typed("application/json", Bytes::from(answer.body.to_string()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    // What is said of analyses and their logs stays in no cache.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if answer.status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(allow) = answer.allow {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    response
}

const LONGEST: usize = 1 << 16;
/// A value takes dozens of bytes in memory and two in a hostile text; requests have about ten.
const VALUES: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);
const UNKNOWN: &str = "nobody can say whether the token is good: the realm's keys cannot be fetched";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_has_a_bound_in_bytes_and_in_values() {
        let text = |length: usize| format!("{{\"log\":\"{}\"}}", "x".repeat(length - 10));
        let many = |values: usize| format!("[{}0]", "0,".repeat(values - 1));
        let skipped = r#"{"metadata":{"managedFields":[{"":0}]}}"#.to_owned();
        for (body, want) in [
            (text(LONGEST), Ok(())),
            (text(LONGEST + 1), Err(Answer::detail(413, "the body has more than 64 KiB"))),
            (many(VALUES - 1), Ok(())),
            (many(VALUES + 1), Err(Answer::no_json())),
            (String::new(), Err(Answer::no_body())),
            ("{".to_owned(), Err(Answer::no_json())),
            (r#"{"a":1,"a":1}"#.to_owned(), Err(Answer::no_json())),
            (skipped.clone(), Ok(())),
        ] {
            let length = body.len();
            assert_eq!(read(Full::new(Bytes::from(body))).await.map(drop), want, "{length}");
        }
        assert_eq!(read(Full::new(Bytes::from_static(b"\"\xff\""))).await, Err(Answer::no_text()));
        let read = read(Full::new(Bytes::from(skipped))).await;
        assert_eq!(read, Ok(json!({"metadata": {}})), "what is not counted is not made");
    }
}
