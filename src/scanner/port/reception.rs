//! Edge: takes what workers bring: piece by piece into a file without a name, of a bounded length, in a bounded time.

use std::fs::File;
use std::io::{self, Seek};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONNECTION, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use super::desk::{Claim, Desk, Piece, Refused};
use crate::model::Digest;
use crate::scan::{Census, MOST_BYTES, read};
use crate::scanner::ScanProblem;
use crate::scanner::brought::Holder;
use crate::serve::Handler;

/// Answers `POST /v1/scans/DIGEST/sbom` and `POST /v1/scans/DIGEST/report`.
pub(super) struct Reception {
    desk: Arc<Desk>,
    /// How many bodies are taken at one time; each may fill a file.
    places: Arc<Semaphore>,
    /// What a body says takes memory when it is read, so one is read at a time.
    holder: Holder,
}

/// Why a body was not taken.
enum Unread {
    Large,
    Late,
    /// The caller went away; nobody hears of it.
    Broken,
    /// It is not what Grype writes.
    Form(String),
    /// Something on this machine.
    Ours(io::Error),
}

impl Handler for Reception {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let Some((digest, piece)) = asked(&request) else {
            return told(StatusCode::NOT_FOUND, "nothing is taken here but POST /v1/scans/DIGEST/sbom and /report");
        };
        let claim = match self.desk.claim(digest, &shown(&request), piece, Instant::now()) {
            Ok(claim) => claim,
            Err(Refused::Nobody) => return told(StatusCode::UNAUTHORIZED, "no scan of this digest awaits this nonce"),
            Err(Refused::Turn) => {
                return told(StatusCode::CONFLICT, "first the SBOM and then the report is taken, each once");
            }
        };
        match self.take(request.into_body(), piece, claim).await {
            Ok(()) => told(StatusCode::OK, "taken"),
            Err(Unread::Large) => {
                told(StatusCode::PAYLOAD_TOO_LARGE, &format!("more than {} MiB is not read", MOST_BYTES >> 20))
            }
            Err(Unread::Late) => told(StatusCode::REQUEST_TIMEOUT, "it did not arrive in time"),
            Err(Unread::Broken) => told(StatusCode::BAD_REQUEST, "it broke off"),
            Err(Unread::Form(problem)) => told(StatusCode::BAD_REQUEST, &problem),
            Err(Unread::Ours(problem)) => {
                tracing::warn!(%problem, "cannot keep what a worker sends");
                told(StatusCode::INTERNAL_SERVER_ERROR, "it cannot be kept here")
            }
        }
    }
}

impl Reception {
    pub(super) fn new(desk: Arc<Desk>, holder: Holder) -> Self {
        Reception { desk, places: Arc::new(Semaphore::new(AT_ONCE)), holder }
    }

    /// Whatever becomes of it, the claim is used up.
    async fn take(&self, body: Incoming, piece: Piece, claim: Claim) -> Result<(), Unread> {
        let until = claim.until.min(Instant::now() + PATIENCE);
        let kept = async {
            let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Unread::Late)?;
            let file = kept(body).await?;
            Ok((file, place, self.holder.take().await.ok_or(Unread::Late)?))
        };
        let (file, place, hold) = timeout_at(until.into(), kept).await.unwrap_or(Err(Unread::Late))?;
        // Also where the caller has gone away, the right is held until the reading has ended.
        let read = spawn_blocking(move || {
            let read = match piece {
                Piece::Sbom => {
                    Census::read(file).map(|census| (Some(census), None)).map_err(|problem| problem.to_string())
                }
                Piece::Report => read(file).map(|report| (None, Some(report))).map_err(|problem| problem.to_string()),
            };
            drop(place);
            (read, hold)
        });
        let (read, hold) = read.await.map_err(|problem| Unread::Ours(io::Error::other(problem)))?;
        match read {
            Ok((Some(census), _)) => claim.sbom(census),
            Ok((_, Some(report))) => claim.report(report, hold),
            Ok((None, None)) => {}
            Err(problem) => {
                claim.fail(ScanProblem::evidence(&problem));
                return Err(Unread::Form(problem));
            }
        }
        Ok(())
    }
}

/// The body in a file that only this process ever sees.
async fn kept(mut body: Incoming) -> Result<File, Unread> {
    if body.size_hint().lower() > MOST_BYTES {
        return Err(Unread::Large);
    }
    let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(Unread::Ours)?);
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        length += data.len() as u64;
        if length > MOST_BYTES {
            return Err(Unread::Large);
        }
        file.write_all(&data).await.map_err(Unread::Ours)?;
    }
    file.flush().await.map_err(Unread::Ours)?;
    let mut file = file.into_std().await;
    file.rewind().map_err(Unread::Ours)?;
    Ok(file)
}

fn asked(request: &Request<Incoming>) -> Option<(Digest, Piece)> {
    let (digest, piece) = request.uri().path().strip_prefix("/v1/scans/")?.split_once('/')?;
    let piece = match piece {
        "sbom" => Piece::Sbom,
        "report" => Piece::Report,
        _ => return None,
    };
    (request.method() == Method::POST).then_some((Digest::parse(digest)?, piece))
}

/// The nonce that is shown; nothing where none is.
fn shown(request: &Request<Incoming>) -> Vec<u8> {
    let mut all = request.headers().get_all(AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return Vec::new() };
    let nonce = only.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
    nonce.and_then(|nonce| URL_SAFE_NO_PAD.decode(nonce).ok()).unwrap_or_default()
}

/// Who is refused has no business to go on, also where its body is still coming.
fn told(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    if status != StatusCode::OK {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

const AT_ONCE: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);
