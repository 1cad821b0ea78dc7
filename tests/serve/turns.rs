//! Who posts many reviews that wait for a turn: another address's next one does not wait behind them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use flamewarden::app::start;
use flamewarden::model::Request;
use flamewarden::rules::{Case, Judgement};
use futures::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use crate::client::{Caller, Connection};
use crate::server::{PATIENCE, Place, review_with, until};

/// Posts a middling review of this user from 127.0.0.N, and reads the status.
async fn post(caller: Caller, last: u8, address: SocketAddr, text: String) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
    let stream = socket.connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(caller.config)).connect(name, stream).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::post("/validate").header("host", "x").header("content-type", "application/json");
    let response = sender.send_request(request.body(Full::new(Bytes::from(text))).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    response.into_body().collect().await.unwrap();
    status
}

fn middling(user: &str) -> String {
    let text = review_with(&format!(",\"x\":\"{}\"", " ".repeat(20 * 1024)));
    text.replace("\"jane\"", &format!("\"{user}\""))
}

static JUDGED: Mutex<Vec<String>> = Mutex::new(Vec::new());
static GO: Mutex<bool> = Mutex::new(false);
static GOES: Condvar = Condvar::new();

/// Remembers whose reviews are judged, in their order, and keeps its turn until all may go on.
fn slow(request: &Request<'_>, _: &Case<'_>) -> Judgement {
    JUDGED.lock().unwrap().push(request.user.name.to_owned());
    drop(GOES.wait_timeout_while(GO.lock().unwrap(), PATIENCE, |go| !*go).unwrap());
    Judgement::default()
}

#[tokio::test]
async fn who_has_a_turn_waits_for_whoever_has_none() {
    let place = Place::mounted();
    let mut settings = place.settings();
    (settings.reviews.middling, settings.reviews.timeout) = (1, PATIENCE);
    settings.reviews.body = Duration::from_secs(30);
    let running = start(&settings, slow).await.unwrap();
    let (address, probes) = (running.webhook.unwrap(), running.probes);
    let caller = Caller::trusting(&place.generation("first"));
    let mut bytes = 0;
    let mut calls = Vec::new();
    for (last, user) in [(2, "stranger"), (2, "stranger"), (2, "stranger"), (3, "server"), (3, "server")] {
        let text = middling(user);
        bytes += text.len();
        calls.push(tokio::spawn(post(caller.clone(), last, address, text)));
        until("the review is read", async || {
            let metrics = Connection::plain(probes).await.fetch("/metrics").await.text;
            metrics.contains(&format!("flamewarden_admission_in_flight_bytes {bytes}\n"))
        })
        .await;
    }
    *GO.lock().unwrap() = true;
    GOES.notify_all();
    for status in join_all(calls).await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(*JUDGED.lock().unwrap(), ["stranger", "server", "stranger", "server", "stranger"]);
}
