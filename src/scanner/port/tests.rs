//! What reaches the port and what does not, over TLS on a loopback address.

use std::convert::Infallible;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::{pending, repeat_with};
use futures::{Stream, StreamExt};
use http::{Method, StatusCode};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use reqwest::{Body, Certificate, Client, Response};
use tempfile::TempDir;

use super::*;
use crate::registry::Scanned;
use crate::scan::Census;
use crate::scanner::worker::hand_over;

async fn port() -> Port {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (port, answered) = Port::open(listener, at, Drain::default()).unwrap();
    tokio::spawn(answered);
    port
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn client(order: &PortOrder) -> Client {
    let authorities = Certificate::from_pem_bundle(order.authority.as_bytes()).unwrap();
    Client::builder().no_proxy().tls_certs_only(authorities).resolve(NAME, order.at).build().unwrap()
}

/// Sends as a worker does, but for what is given.
async fn send(order: &PortOrder, piece: &str, body: impl Into<Body>) -> Response {
    try_to_send(order, piece, body).await.unwrap()
}

async fn try_to_send(order: &PortOrder, piece: &str, body: impl Into<Body>) -> reqwest::Result<Response> {
    let address = format!("https://{NAME}:{}/v1/scans/{}/{piece}", order.at.port(), order.digest);
    client(order).post(address).bearer_auth(&order.nonce).body(body).send().await
}

fn streamed(stream: impl Stream<Item = Bytes> + Send + Sync + 'static) -> Body {
    Body::wrap(StreamBody::new(stream.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)))))
}

fn written() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sbom.json"), SBOM).unwrap();
    fs::write(folder.path().join("report.json"), REPORT).unwrap();
    folder
}

#[tokio::test]
async fn a_worker_brings_an_sbom_and_a_report_once() {
    let port = port().await;
    let mut expected = port.expect(digest("a"), LONG).unwrap();
    let folder = written();
    hand_over(&expected.order, &Scanned::at(folder.path())).await.unwrap();
    let evidence = expected.brought().await.unwrap();
    assert_eq!(evidence.report.version, "[not provided]");
    assert_eq!(evidence.census, Census::read(SBOM.as_bytes()).unwrap());
    let again = hand_over(&expected.order, &Scanned::at(folder.path())).await.unwrap_err();
    let refused = "the controller did not take the sbom (401): no scan of this digest awaits this nonce";
    assert_eq!(again.told().1, refused);
}

#[tokio::test]
async fn whoever_asks_wrongly_gets_nowhere_and_hinders_nobody() {
    let port = port().await;
    let mut expected = port.expect(digest("a"), LONG).unwrap();
    let other = port.expect(digest("b"), LONG).unwrap();
    let ended = port.expect(digest("c"), LONG).unwrap();
    let late = port.expect(digest("d"), Duration::ZERO).unwrap();
    let (left, order) = (ended.order.clone(), expected.order.clone());
    drop(ended);
    let nonce = |nonce: &str| PortOrder { nonce: nonce.to_owned(), ..order.clone() };
    let of = |digest: &str| PortOrder { digest: digest.to_owned(), ..order.clone() };
    let zeroes = URL_SAFE_NO_PAD.encode([0; 32]);
    for (what, order, piece, status) in [
        ("another's digest", of(&other.order.digest), "sbom", 401),
        ("another's nonce", nonce(&other.order.nonce), "sbom", 401),
        ("no nonce", nonce(""), "sbom", 401),
        ("half a nonce", nonce(&order.nonce[..20]), "sbom", 401),
        ("more than the nonce", nonce(&format!("{}AAAA", order.nonce)), "sbom", 401),
        ("a guess", nonce(&zeroes), "sbom", 401),
        ("a guess of nobody's", PortOrder { nonce: zeroes.clone(), ..of(&digest("x").to_string()) }, "sbom", 401),
        ("nobody waits", left, "sbom", 401),
        ("too late", late.order.clone(), "sbom", 401),
        ("the report first", order.clone(), "report", 409),
        ("another piece", order.clone(), "verdict", 404),
        ("no digest", of("sha256:0"), "sbom", 404),
        ("somewhere else", of("../../v1"), "sbom", 404),
    ] {
        assert_eq!(send(&order, piece, SBOM).await.status(), status, "{what}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let address = format!("https://{NAME}:{}/v1/scans/{}/sbom", order.at.port(), order.digest);
        let asked = client(&order).request(method, address).bearer_auth(&order.nonce).send().await.unwrap();
        assert_eq!(asked.status(), StatusCode::NOT_FOUND);
    }
    // After all of that, it is as if nothing had been.
    assert_eq!(send(&order, "sbom", SBOM).await.status(), StatusCode::OK);
    for (piece, status) in [("sbom", 409), ("report", 200), ("report", 401), ("sbom", 401)] {
        assert_eq!(send(&order, piece, if piece == "sbom" { SBOM } else { REPORT }).await.status(), status, "{piece}");
    }
    assert!(expected.brought().await.is_ok());
}

#[tokio::test]
async fn what_is_no_report_ends_the_scan() {
    let port = port().await;
    for (what, sbom, report, says) in [
        ("garbage", "\0\0", None, "expected value"),
        ("nothing", "", None, "it is empty"),
        ("another form", r#"{"bomFormat":"SPDX"}"#, None, "it is of the form `SPDX`"),
        ("a cut", &SBOM[..20], None, "EOF"),
        ("no report", SBOM, Some("{}"), "no Grype report"),
        ("another's report", SBOM, Some(r#"{"matches":[],"descriptor":{"name":"trivy"}}"#), "not by grype"),
    ] {
        let mut expected = port.expect(digest(what), LONG).unwrap();
        let order = expected.order.clone();
        let mut answer = send(&order, "sbom", sbom.to_owned()).await;
        if let Some(report) = report {
            assert_eq!(answer.status(), StatusCode::OK, "{what}");
            answer = send(&order, "report", report).await;
        }
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{what}");
        assert!(answer.text().await.unwrap().contains(says), "{what}");
        let ended = expected.brought().await.unwrap_err();
        assert!(matches!(&ended, ScanProblem::Evidence(told) if told.contains(says)), "{what}: {ended}");
        assert_eq!(send(&order, "sbom", SBOM).await.status(), StatusCode::UNAUTHORIZED, "{what}");
    }
}

#[tokio::test]
async fn a_body_without_an_end_is_cut_off() {
    let port = port().await;
    let broken = ScanProblem::Unmade("what its worker sent broke off".to_owned());
    let mut expected = port.expect(digest("long"), LONG).unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let endless = repeat_with(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Bytes::from_static(&[b' '; 1 << 20])
    });
    // The answer comes while the body still does, so it may be lost.
    let answer = try_to_send(&expected.order, "sbom", streamed(endless)).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == StatusCode::PAYLOAD_TOO_LARGE));
    assert_eq!(expected.brought().await.unwrap_err(), broken);
    let sent = sent.load(Ordering::Relaxed);
    assert!((128..160).contains(&sent), "{sent} MiB");
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_with_its_scan() {
    let port = port().await;
    let mut expected = port.expect(digest("slow"), Duration::from_secs(1)).unwrap();
    let sbom = streamed(futures::stream::iter([Bytes::from_static(b"{")]).chain(pending()));
    let answer = send(&expected.order, "sbom", sbom).await;
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    let ended = expected.brought().await.unwrap_err();
    assert!(ended == ScanProblem::Exceeded(Bound::Time) || ended.to_string().contains("broke off"), "{ended}");
}

#[tokio::test]
async fn many_bodies_at_once_wait_for_each_other_and_all_arrive() {
    let port = port().await;
    let expected: Vec<Expected> = (0..12).map(|one| port.expect(digest(&one.to_string()), LONG).unwrap()).collect();
    let folder = written();
    let all = expected.into_iter().map(|mut expected| {
        let scanned = Scanned::at(folder.path());
        async move {
            hand_over(&expected.order, &scanned).await.unwrap();
            expected.brought().await.is_ok()
        }
    });
    assert_eq!(futures::future::join_all(all).await, [true; 12]);
}

#[tokio::test]
async fn what_was_brought_is_let_go_before_more_is_read() {
    let port = port().await;
    let folder = written();
    let mut first = port.expect(digest("a"), LONG).unwrap();
    hand_over(&first.order, &Scanned::at(folder.path())).await.unwrap();
    let held = first.brought().await.unwrap();
    let mut second = port.expect(digest("b"), LONG).unwrap();
    let mut third = port.expect(digest("c"), Duration::from_secs(1)).unwrap();
    // It takes as long as it may, and is not read.
    assert_eq!(send(&third.order, "sbom", SBOM).await.status(), StatusCode::REQUEST_TIMEOUT);
    assert!(third.brought().await.is_err());
    let (scanned, order) = (Scanned::at(folder.path()), second.order.clone());
    let (handed, brought, ()) = tokio::join!(hand_over(&order, &scanned), second.brought(), async { drop(held) });
    assert_eq!((handed, brought.is_ok()), (Ok(()), true));
}

#[tokio::test]
async fn a_digest_is_awaited_once_and_by_those_who_wait() {
    let port = port().await;
    let first = port.expect(digest("a"), LONG).unwrap();
    let second = port.expect(digest("a"), LONG).err().map(|problem| problem.told().1);
    assert_eq!(second.as_deref(), Some("it is being made already"));
    let order = first.order.clone();
    drop(first);
    let again = port.expect(digest("a"), LONG).unwrap();
    assert_ne!(order.nonce, again.order.nonce);
    assert_eq!(send(&order, "sbom", SBOM).await.status(), StatusCode::UNAUTHORIZED, "the nonce before counts no more");
    assert_eq!(send(&again.order, "sbom", SBOM).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_worker_gives_its_nonce_to_nobody_but_the_port() {
    let (port, stranger) = (port().await, port().await);
    let expected = port.expect(digest("a"), LONG).unwrap();
    let folder = written();
    let elsewhere = PortOrder { at: stranger.at, ..expected.order.clone() };
    let problem = hand_over(&elsewhere, &Scanned::at(folder.path())).await.unwrap_err();
    let (_, told) = problem.told();
    assert!(
        told.starts_with("cannot reach the controller's port for scans: ") && told.contains("certificate"),
        "{told}"
    );
    assert!(!told.contains(&expected.order.nonce));
}

const LONG: Duration = Duration::from_secs(60);
const SBOM: &str = include_str!("../../../tests/fixtures/grype/sbom.json");
const REPORT: &str = include_str!("../../../tests/fixtures/grype/report.json");
