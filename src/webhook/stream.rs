//! Edge: `GET /decisions`: what the controller fetches, and nobody else.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use tokio::time::timeout;

use super::queue::Pushed;
use super::{DecisionQueue, Record};
use crate::serve::{Drain, Peer, Peers};
use crate::telemetry::Metrics;

/// The decisions of this replica, and who may have them.
pub struct DecisionStream {
    /// The decisions.
    pub queue: DecisionQueue,
    /// Who is who.
    pub peers: Arc<Peers>,
    /// A drain keeps nobody waiting.
    pub drain: Drain,
    /// Where losses are counted.
    pub metrics: Arc<Metrics>,
}

impl DecisionStream {
    /// Keeps what was decided: every answer of the validating side, and of the mutating one what it mended or refused;
    /// what it leaves as it is the validating side decides alone.
    pub(super) fn keep(&self, record: &Record, from: IpAddr) {
        let Some(mut decision) = record.decision(Timestamp::now()) else { return };
        (decision.from, decision.checked) = (from.to_string(), self.peers.checks_reviews());
        let admitted = decision.outcome.is_admitted();
        match (self.queue.push(decision), admitted) {
            (Pushed::In, _) => {}
            (Pushed::AnotherOut, false) => drop(self.metrics.decisions_pushed_out.inc()),
            (Pushed::AnotherOut, true) => drop(self.metrics.decisions_admitted_pushed_out.inc()),
        }
    }

    /// The decisions after `?after=N` of `&run=ID`, as soon as there are any; to all but the controller there is
    /// nothing here, and whoever asks is told at once.
    pub(super) async fn answer(&self, request: &Request<Incoming>) -> Option<Response<Full<Bytes>>> {
        let controller = request.extensions().get::<Peer>().is_some_and(|peer| self.peers.is_controller(peer));
        if !controller || request.method() != Method::GET {
            return None;
        }
        let query = request.uri().query().unwrap_or_default();
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let run = value("run").unwrap_or_default();
        let after = value("after").and_then(|number| number.parse().ok()).unwrap_or_default();
        let waited = tokio::select! {
            waited = timeout(POLL, self.queue.wait(run, after)) => waited.ok(),
            () = self.drain.begun() => None,
        };
        let mut decisions = waited.unwrap_or_else(|| self.queue.take(run, after));
        decisions.ending = self.drain.has_begun();
        let mut response = match serde_json::to_vec(&decisions) {
            Ok(text) => Response::new(Full::new(Bytes::from(text))),
            Err(_) => {
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Some(response)
    }
}

/// How long a question without an answer is held: short enough for every proxy and limit on the way.
const POLL: Duration = Duration::from_secs(20);
