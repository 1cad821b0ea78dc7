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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use jiff::ToSpan;

    use super::*;
    use crate::serve::{CertificateFolder, CertificateStore, renew_folder};

    #[tokio::test]
    async fn readiness_ends_with_the_certificate_and_comes_back_with_the_next() {
        let place = tempfile::tempdir().unwrap();
        let names = ["127.0.0.1".to_owned()].into();
        let now: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        renew_folder(place.path(), &names, now).unwrap();
        let (mut folder, store) = (CertificateFolder::new(place.path()), Arc::new(CertificateStore::default()));
        let held = store.clone();
        let check = Check { name: "certificate", missing: Box::new(move |now| held.missing(now)) };
        let probes = Probes { checks: vec![check], drain: Drain::default(), metrics: Arc::new(Metrics::new()) };
        let ready = async |now| {
            let response = probes.readiness(now);
            let status = response.status().as_u16();
            let text = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(text.to_vec()).unwrap())
        };
        assert_eq!(ready(now).await, (503, "certificate: no certificate has been loaded\n".to_owned()));
        let first = folder.look(&store, now).unwrap().not_after;
        let expired = first + 1.second();
        assert_eq!(ready(now).await, (200, "ok\n".to_owned()));
        assert_eq!(ready(first).await, (200, "ok\n".to_owned()), "its last moment");
        let told = format!("certificate: the certificate expired at {first}\n");
        assert_eq!(ready(expired).await, (503, told.clone()));
        assert!(folder.look(&store, expired).is_none(), "what has expired is not taken again");
        assert_eq!(ready(expired).await, (503, told));
        renew_folder(place.path(), &names, expired).unwrap();
        assert!(folder.look(&store, expired).is_some());
        assert_eq!(ready(expired).await, (200, "ok\n".to_owned()));
    }
}
