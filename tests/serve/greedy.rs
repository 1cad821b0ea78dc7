//! Who takes more than his part of the memory: small reviews are answered all the same.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::Caller;
use crate::server::{Place, review, until};

/// A connection on which a review was begun, and so much of it sent.
async fn begun(caller: &Caller, address: SocketAddr, announced: usize, sent: usize) -> TlsStream<TcpStream> {
    let mut stream = caller.open(address).await.unwrap();
    let head = format!(
        "POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; sent]).await.unwrap();
    stream.flush().await.unwrap();
    stream
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

const MIB: usize = 1 << 20;
