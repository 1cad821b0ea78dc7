//! Edge: the webhook over HTTP: paths, sizes, time, and the promise that a panic is a refusal.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::budget::{Budget, Share};
use super::lines::Lines;
use super::turns::Turns;
use super::{Answer, DecisionStream, Record, Reply, ReviewLimits, Side, Webhook, early_uid};
use crate::model::{DECISIONS_PATH, Outcome};
use crate::serve::{Address, Handler, Peer};
use crate::telemetry::{Metrics, ReasonLabels, ReviewLabels, RuleLabels, SideLabels};

/// Answers `POST /mutate` and `POST /validate`.
pub struct WebhookHandler {
    webhook: Arc<Webhook>,
    decisions: DecisionStream,
    metrics: Arc<Metrics>,
    lines: Arc<Lines>,
    limits: ReviewLimits,
    budget: Arc<Budget>,
    middling: Arc<Turns>,
    large: Arc<Turns>,
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unread {
    /// All bodies together would take more than they may, and none that is larger gives way.
    Overload,
    /// This one is longer than any that the API server sends.
    Oversize,
    /// It did not arrive in time.
    Late,
    /// The caller went away, or sent no HTTP.
    Broken,
}

/// A body, where it came from, and its share of the bytes in flight.
struct Held {
    bytes: Bytes,
    address: IpAddr,
    share: Share,
}

impl Handler for WebhookHandler {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let begun = Instant::now();
        if request.uri().path() == DECISIONS_PATH {
            return self.decisions.answer(&request).await.unwrap_or_else(nothing_here);
        }
        if request.extensions().get::<Peer>().is_some_and(|peer| !self.decisions.peers.may_review(peer)) {
            return plain(StatusCode::FORBIDDEN, "reviews are for the API server\n");
        }
        let side = match side_of(&request) {
            Ok(side) => side,
            Err(response) => return *response,
        };
        let deadline = begun + self.limits.time_for(request.uri().query());
        let address = request.extensions().get::<Address>().map_or(NOWHERE, |address| address.0);
        let share = self.budget.share(address);
        let mut body = request.into_body();
        let reading = timeout_at(deadline.min(begun + self.limits.body), self.read(&mut body, &share));
        let bytes = tokio::select! {
            read = reading => read.unwrap_or(Err(Unread::Late)),
            () = share.lost() => Err(Unread::Overload),
        };
        let reply = match bytes {
            Ok(bytes) => self.decide(side, Held { bytes, address, share }, deadline).await,
            Err(unread) => {
                drop(share);
                Err(unread)
            }
        };
        match reply {
            Ok(reply) => {
                self.remember(side, &reply.record, begun, address);
                json(&reply.answer)
            }
            Err(unread) => self.turn_away(unread, address, body, deadline).await,
        }
    }
}

impl WebhookHandler {
    /// A handler that asks this webhook.
    pub fn new(webhook: Arc<Webhook>, decisions: DecisionStream, metrics: Arc<Metrics>, limits: ReviewLimits) -> Self {
        WebhookHandler {
            lines: Lines::new(Arc::clone(&metrics), decisions.peers.checks_reviews()),
            decisions,
            budget: Budget::new(limits.bytes_in_flight, Arc::clone(&metrics)),
            middling: Turns::new(limits.middling),
            large: Turns::new(limits.large),
            webhook,
            metrics,
            limits,
        }
    }

    /// Reads a body as it comes; only what has come counts, so that announcing much takes nothing.
    async fn read(&self, body: &mut Incoming, share: &Share) -> Result<Bytes, Unread> {
        if body.size_hint().lower() > self.limits.body_bytes as u64 {
            return Err(Unread::Oversize);
        }
        let mut first = Bytes::new();
        let mut all = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
            if first.len().max(all.len()) + data.len() > self.limits.body_bytes {
                return Err(Unread::Oversize);
            }
            if !share.grow(data.len()) {
                return Err(Unread::Overload);
            }
            if first.is_empty() && all.is_empty() {
                first = data;
                continue;
            }
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
        Ok(if all.is_empty() { first } else { Bytes::from(all) })
    }

    /// Small reviews are judged here, large ones where they keep nobody waiting; those that wait for their turn may
    /// have to give way.
    async fn decide(&self, side: Side, held: Held, deadline: Instant) -> Result<Reply, Unread> {
        let bytes = held.bytes.clone();
        let judging = async {
            if bytes.len() <= self.limits.inline_bytes {
                return Ok(judged(&self.webhook, side, &held.bytes, deadline).await);
            }
            let turns = if bytes.len() <= self.limits.middling_bytes { &self.middling } else { &self.large };
            let turn = turns.queue(held.address);
            tokio::select! {
                () = turn.begun() => {}
                () = held.share.lost() => return Err(Unread::Overload),
            }
            if !held.share.keep() {
                return Err(Unread::Overload);
            }
            let (webhook, runtime) = (Arc::clone(&self.webhook), Handle::current());
            // The share and the turn go along: work that nobody waits for any more still takes memory.
            let work = spawn_blocking(move || {
                let (held, _turn) = (held, turn);
                runtime.block_on(judged(&webhook, side, &held.bytes, deadline))
            });
            Ok(work.await.unwrap_or_else(|_| refused(&bytes, "internal-error", INTERNAL)))
        };
        match timeout_at(deadline, judging).await {
            Ok(reply) => reply,
            Err(_) => Ok(refused(&bytes, "deadline", "it could not be judged in time; try again")),
        }
    }

    /// The response to what was not read. The rest of the body is taken off the wire first, for a
    /// while: a caller whose writing meets a closed connection does not read why.
    ///
    /// No AdmissionReview can be answered here, since its uid is unknown. The validating side fails
    /// closed, so the API server refuses; what the mutating side misses the validating side sees.
    async fn turn_away(
        &self,
        unread: Unread,
        from: IpAddr,
        mut body: Incoming,
        deadline: Instant,
    ) -> Response<Full<Bytes>> {
        let (status, word, text) = unread.told();
        self.metrics.turned_away.get_or_create(&ReasonLabels { reason: word }).inc();
        self.lines.turned_away(word, from);
        let mut left = 2 * self.limits.body_bytes;
        let discard = async {
            while let Some(Ok(frame)) = body.frame().await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    return false;
                }
            }
            true
        };
        let worth_it = matches!(unread, Unread::Overload | Unread::Oversize);
        let emptied = worth_it && timeout_at(deadline, discard).await.unwrap_or(false);
        let mut response = plain(status, text);
        if unread == Unread::Overload {
            // The API server tries again by itself only when it is told when.
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if !emptied {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn remember(&self, side: Side, record: &Record, begun: Instant, from: IpAddr) {
        let labels = ReviewLabels {
            side: side.word(),
            operation: record.operation,
            resource: record.resource,
            decision: record.decision.word(),
        };
        self.metrics.requests.get_or_create(&labels).inc();
        self.metrics.duration.get_or_create(&SideLabels { side: side.word() }).observe(begun.elapsed().as_secs_f64());
        let stuck = i64::try_from(self.webhook.workers.stuck()).unwrap_or(i64::MAX);
        self.metrics.rule_threads_stuck.set(stuck);
        for rule in
            record.notice.iter().filter(|_| record.decision == Outcome::Refused).flat_map(|notice| &notice.rules)
        {
            self.metrics.refusals.get_or_create(&RuleLabels { rule: rule.clone() }).inc();
        }
        self.decisions.keep(record, from);
        self.lines.answered(side, record, from);
    }
}

impl Unread {
    fn told(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Unread::Overload => (StatusCode::SERVICE_UNAVAILABLE, "overload", "flamewarden is overloaded; try again\n"),
            Unread::Oversize => (StatusCode::PAYLOAD_TOO_LARGE, "oversize", "flamewarden refuses: review too large\n"),
            Unread::Late => (StatusCode::REQUEST_TIMEOUT, "late", "flamewarden refuses: review came too slowly\n"),
            Unread::Broken => (StatusCode::BAD_REQUEST, "broken", "flamewarden refuses: review is cut short\n"),
        }
    }
}

/// Judges, and makes a refusal of a panic.
async fn judged(webhook: &Webhook, side: Side, text: &[u8], deadline: Instant) -> Reply {
    let answer = AssertUnwindSafe(webhook.answer(side, text, deadline)).catch_unwind().await;
    answer.unwrap_or_else(|_| refused(text, "internal-error", INTERNAL))
}

fn refused(text: &[u8], rule: &str, why: &str) -> Reply {
    let uid = early_uid(text).unwrap_or_default();
    Reply {
        answer: Answer::refuse(&uid, 500, format!("flamewarden refuses this: {why}")),
        record: Record::unreadable(&uid, rule),
    }
}

/// Whom a request asks, or why nobody can be asked. Nothing is ever redirected: the API server would follow.
fn side_of(request: &Request<Incoming>) -> Result<Side, Box<Response<Full<Bytes>>>> {
    let Some(side) = Side::of_path(request.uri().path()) else {
        return Err(Box::new(nothing_here()));
    };
    if request.method() != Method::POST {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "reviews are posted\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return Err(Box::new(response));
    }
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(JSON) || request.headers().contains_key(CONTENT_ENCODING) {
        let text = "reviews are application/json, not compressed\n";
        return Err(Box::new(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)));
    }
    Ok(side)
}

fn nothing_here() -> Response<Full<Bytes>> {
    plain(StatusCode::NOT_FOUND, "there is /mutate and /validate\n")
}

fn json(answer: &Answer) -> Response<Full<Bytes>> {
    let Ok(text) = serde_json::to_vec(answer) else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "flamewarden refuses: its answer cannot be written\n");
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const INTERNAL: &str = "an internal error kept it from being judged";
const JSON: &str = "application/json";
