//! What is answered to good, bad and hostile requests.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use flamewarden::app::start;
use flamewarden::model::Request as Asked;
use flamewarden::rules::{Case, Judgement};
use http_body_util::Full;
use hyper::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Caller, Connection};
use crate::server::{PATIENCE, Place, review, review_with, until};

async fn connected(place: &Place, running: &flamewarden::app::Running) -> Connection {
    Caller::trusting(&place.generation("first")).connect(running.webhook.unwrap()).await.unwrap()
}

#[tokio::test]
async fn both_sides_answer_a_review() {
    let place = Place::mounted();
    let running = place.start().await;
    let mut connection = connected(&place, &running).await;
    let mended = connection.post("/mutate?timeout=10s", review()).await.unwrap();
    assert_eq!(mended.answer(), ("u-1".to_owned(), true, None));
    assert_eq!(mended.json()["response"]["patchType"], "JSONPatch");
    let refused = connection.post("/validate?timeout=10s", review()).await.unwrap();
    assert_eq!(refused.answer(), ("u-1".to_owned(), false, Some(403)));
    let metrics = Connection::plain(running.probes).await.fetch("/metrics").await.text;
    for line in [
        r#"flamewarden_admission_requests_total{side="mutate",operation="CREATE",resource="pods",decision="patched"} 1"#,
        r#"flamewarden_admission_requests_total{side="validate",operation="CREATE",resource="pods",decision="refused"} 1"#,
        r#"flamewarden_admission_refusals_total{rule="pull-secret"} 1"#,
        "flamewarden_admission_in_flight_bytes 0",
        "flamewarden_policies_valid 1",
    ] {
        assert!(metrics.lines().any(|had| had == line), "{line} is missing in\n{metrics}");
    }
}

#[tokio::test]
async fn whatever_is_no_posted_json_review_is_told_so_and_never_sent_elsewhere() {
    let place = Place::mounted();
    let running = place.start().await;
    let json = ("content-type", "application/json");
    for (method, path, header, status) in [
        ("POST", "/", json, 404),
        ("POST", "/mutate/", json, 404),
        ("POST", "//mutate", json, 404),
        ("POST", "/validate/..", json, 404),
        ("POST", "/Mutate", json, 404),
        ("GET", "/mutate", json, 405),
        ("PUT", "/validate", json, 405),
        ("POST", "/validate", ("content-type", "text/plain"), 415),
        ("POST", "/validate", ("accept", "application/json"), 415),
        ("POST", "/validate", ("content-encoding", "gzip"), 415),
        ("POST", "/validate", ("content-type", "Application/JSON; charset=utf-8"), 200),
    ] {
        let request = Request::builder().method(method).uri(path).header("host", "x").header(header.0, header.1);
        let mut connection = connected(&place, &running).await;
        let response = connection.send(request.body(Full::new(review().into())).unwrap()).await.unwrap();
        assert_eq!(response.status, status, "{method} {path} {header:?}");
        assert_eq!(response.header("location"), None);
        assert_eq!(response.header("allow"), (status == 405).then_some("POST"));
    }
}

#[tokio::test]
async fn a_review_that_two_readers_could_read_differently_is_refused_under_its_own_uid() {
    let place = Place::mounted();
    let running = place.start().await;
    let mut connection = connected(&place, &running).await;
    let deep = format!(",\"x\":{}{}", "[".repeat(200), "]".repeat(200));
    for (what, text, uid) in [
        ("twice the same key", review_with(r#","kind":"Pod""#), "u-1"),
        ("a key in another case", review_with(r#","Spec":{}"#), "u-1"),
        ("too deep", review_with(&deep), "u-1"),
        ("another version", review().replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1"), "u-1"),
        ("cut short", review().trim_end_matches('}').to_owned(), "u-1"),
        ("no review", "[]".to_owned(), ""),
        ("nothing", String::new(), ""),
    ] {
        for path in ["/mutate", "/validate"] {
            let response = connection.post(path, text.clone()).await.unwrap();
            assert_eq!((response.status, response.answer()), (200, (uid.to_owned(), false, Some(400))), "{what}");
        }
    }
    let mut bad = review().into_bytes();
    let place = bad.windows(4).position(|four| four == b"jane").unwrap();
    bad[place] = 0xff;
    let response = connection.post("/validate", bad).await.unwrap();
    assert_eq!(response.answer(), ("u-1".to_owned(), false, Some(400)), "bad UTF-8");
}

#[tokio::test]
async fn a_review_that_is_too_large_is_turned_away_and_the_reason_is_read() {
    let place = Place::mounted();
    let mut settings = place.settings();
    // However slow this machine is.
    (settings.reviews.body, settings.reviews.timeout) = (PATIENCE, PATIENCE);
    let running = start(&settings, flamewarden::rules::judge).await.unwrap();
    let mut connection = connected(&place, &running).await;
    let full = |size: usize| review() + &" ".repeat(size - review().len());
    let fits = full(LARGEST);
    assert_eq!(fits.len(), LARGEST);
    let response = connection.post("/validate", fits).await.unwrap();
    assert_eq!(response.answer(), ("u-1".to_owned(), false, Some(403)));
    let response = connection.post("/validate", full(LARGEST + 1)).await.unwrap();
    assert_eq!((response.status, response.text.as_str()), (413, "flamewarden refuses: review too large\n"));
}

/// As README says.
const LARGEST: usize = 32 * 1024 * 1024;

#[tokio::test]
async fn too_much_at_once_is_told_to_come_again_and_welcome_afterwards() {
    let place = Place::mounted();
    let mut settings = place.settings();
    settings.reviews.bytes_in_flight = 8 * 1024;
    let running = start(&settings, flamewarden::rules::judge).await.unwrap();
    let mut connection = connected(&place, &running).await;
    for _ in 0..3 {
        let full = connection.post("/validate", " ".repeat(9 * 1024)).await.unwrap();
        assert_eq!((full.status, full.header("retry-after")), (503, Some("1")));
        let response = connection.post("/validate", review()).await.unwrap();
        assert_eq!(response.answer(), ("u-1".to_owned(), false, Some(403)));
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let place = Place::mounted();
    let mut settings = place.settings();
    settings.reviews.body = Duration::from_millis(50);
    let running = start(&settings, flamewarden::rules::judge).await.unwrap();
    let mut stream = Caller::trusting(&place.generation("first")).open(running.webhook.unwrap()).await.unwrap();
    let head = "POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 4096\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut had = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut had)).await.unwrap().unwrap();
    assert!(had.starts_with("HTTP/1.1 408 ") && had.contains("connection: close"), "{had}");
}

fn panicking(_: &Asked<'_>, _: &Case<'_>) -> Judgement {
    panic!("a rule has a fault")
}

#[tokio::test]
async fn a_panic_is_a_refusal_and_the_next_call_is_answered() {
    let place = Place::mounted();
    let running = place.start_judged_by(panicking).await;
    let mut connection = connected(&place, &running).await;
    let large = review_with(&format!(",\"x\":\"{}\"", " ".repeat(300 * 1024)));
    for text in [review(), large, review()] {
        for path in ["/mutate", "/validate"] {
            let response = connection.post(path, text.clone()).await.unwrap();
            assert_eq!(response.answer(), ("u-1".to_owned(), false, Some(500)));
        }
    }
}

static STUCK: Mutex<bool> = Mutex::new(true);
static RELEASED: Condvar = Condvar::new();

fn stuck(_: &Asked<'_>, _: &Case<'_>) -> Judgement {
    drop(RELEASED.wait_timeout_while(STUCK.lock().unwrap(), PATIENCE, |stuck| *stuck).unwrap());
    Judgement::default()
}

#[tokio::test]
async fn what_takes_too_long_is_refused_before_the_api_server_gives_up() {
    let place = Place::mounted();
    let running = place.start_judged_by(stuck).await;
    let begun = std::time::Instant::now();
    let [middling, large] = [20, 300].map(|size| review_with(&format!(",\"x\":\"{}\"", " ".repeat(size * 1024))));
    let texts = [&middling, &large, &middling, &large, &large, &large];
    let mut connections = Vec::new();
    for _ in texts {
        connections.push(connected(&place, &running).await);
    }
    let calls = connections.iter_mut().zip(texts);
    let calls = calls.map(|(connection, text)| connection.post("/validate?timeout=1s", text.clone()));
    for response in futures::future::join_all(calls).await {
        assert_eq!(response.unwrap().answer(), ("u-1".to_owned(), false, Some(500)));
    }
    assert!(begun.elapsed() < PATIENCE, "no judgement kept the runtime, and so the probes, waiting");
    assert!(begun.elapsed() >= Duration::from_millis(800));
    *STUCK.lock().unwrap() = false;
    RELEASED.notify_all();
    let probes = running.probes;
    until("the bytes are given back", async || {
        let metrics = Connection::plain(probes).await.fetch("/metrics").await.text;
        metrics.contains("flamewarden_admission_in_flight_bytes 0\n")
    })
    .await;
}
