//! Edge: liveness, readiness and metrics on a plain port of their own.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use jiff::Timestamp;

use super::{Drain, Handler};
use crate::telemetry::Metrics;

/// One thing that must be there before calls are welcome: its name, and what is missing of it at a moment.
pub struct Check {
    /// What is looked at, such as `certificate`.
    pub name: &'static str,
    /// What is missing, if anything is.
    pub missing: Box<dyn Fn(Timestamp) -> Option<String> + Send + Sync>,
}

/// Answers `/livez`, `/readyz` and `/metrics`.
pub struct Probes {
    /// What readiness asks for.
    pub checks: Vec<Check>,
    /// Readiness ends when the drain begins.
    pub drain: Drain,
    /// What `/metrics` prints.
    pub metrics: Arc<Metrics>,
}

impl Handler for Probes {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let known = matches!(request.uri().path(), "/livez" | "/readyz" | "/metrics");
        if known && request.method() != Method::GET && request.method() != Method::HEAD {
            return response(StatusCode::METHOD_NOT_ALLOWED, TEXT, String::new());
        }
        match request.uri().path() {
            "/livez" => response(StatusCode::OK, TEXT, "ok\n".to_owned()),
            "/readyz" => self.readiness(Timestamp::now()),
            "/metrics" => response(StatusCode::OK, OPEN_METRICS, self.metrics.text()),
            _ => response(StatusCode::NOT_FOUND, TEXT, String::new()),
        }
    }
}

impl Probes {
    fn readiness(&self, now: Timestamp) -> Response<Full<Bytes>> {
        let mut missing: Vec<String> = self
            .checks
            .iter()
            .filter_map(|check| Some(format!("{}: {}\n", check.name, (check.missing)(now)?)))
            .collect();
        if self.drain.has_begun() {
            missing.push("drain: on the way out\n".to_owned());
        }
        if missing.is_empty() {
            response(StatusCode::OK, TEXT, "ok\n".to_owned())
        } else {
            response(StatusCode::SERVICE_UNAVAILABLE, TEXT, missing.concat())
        }
    }
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
