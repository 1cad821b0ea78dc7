//! Who takes more than his part of the memory: small reviews are answered all the same, and nothing is kept for him.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::Caller;
use crate::process::{Running, serve};
use crate::server::{Place, review, until};

/// A connection on which a review was begun, and so much of it sent.
async fn begun(caller: &Caller, address: SocketAddr, announced: usize, sent: usize) -> TlsStream<TcpStream> {
    let mut stream = caller.open(address).await.unwrap();
    send(&mut stream, announced, sent).await;
    stream
}

async fn send(stream: &mut TlsStream<TcpStream>, announced: usize, sent: usize) {
    let head = format!(
        "POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; sent]).await.unwrap();
    stream.flush().await.unwrap();
}

#[tokio::test]
async fn a_small_review_is_answered_beside_large_ones_that_stall() {
    let place = Place::mounted();
    let mut settings = place.settings();
    settings.reviews.bytes_in_flight = 4 * MIB;
    let running = flamewarden::app::start(&settings, flamewarden::rules::judge).await.unwrap();
    let (address, probes) = (running.webhook.unwrap(), running.probes);
    let caller = Caller::trusting(&place.generation("first"));
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(begun(&caller, address, 2 * MIB, MIB).await);
    }
    until("all bytes are taken", async || {
        let metrics = crate::client::Connection::plain(probes).await.fetch("/metrics").await.text;
        metrics.contains(&format!("flamewarden_admission_in_flight_bytes {}\n", 4 * MIB))
    })
    .await;
    let mut connection = caller.connect(address).await.unwrap();
    for _ in 0..3 {
        let response = connection.post("/validate", review()).await.unwrap();
        assert_eq!(response.answer(), ("u-1".to_owned(), false, Some(403)));
    }
}

#[tokio::test]
async fn a_resting_connection_keeps_little_of_what_it_sent() {
    let place = Place::mounted();
    let mut running = Running::start(serve(&place));
    let line = running.line("serving");
    let address = line["webhook"].as_str().unwrap().parse::<SocketAddr>().unwrap();
    let caller = Caller::trusting(&place.generation("first"));
    let mut resting = Vec::new();
    // The first ones pay for what is there once only.
    let mut before = 0;
    for number in 0..8 + RESTING {
        if number == 8 {
            before = running.resident();
        }
        let mut stream = caller.open(address).await.unwrap();
        send(&mut stream, MIB, MIB).await;
        assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
        resting.push(stream);
    }
    // It was 350 with the HTTP library's own size of buffers; the allocator adds up to 100 of noise.
    let each = running.resident().saturating_sub(before) / RESTING;
    assert!(each < 230, "{each} KiB each");
}

const MIB: usize = 1 << 20;
const RESTING: u64 = 96;
