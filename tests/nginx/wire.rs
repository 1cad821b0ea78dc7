//! Bytes to a gateway and bytes back, without a client library that would set anything right.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends these bytes, and reads until the other side closes.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Who has refused the beginning closes before the end is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    if timeout(PATIENCE, stream.read_to_end(&mut answer)).await.is_err() {
        answer.extend(OPEN);
    }
    answer
}

/// The status of each answer in what was read.
pub(crate) fn statuses(answers: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answers);
    let statuses = text.match_indices("HTTP/1.1 ").filter_map(|(at, sign)| text.get(at + sign.len()..)?.get(..3));
    let statuses = statuses.filter_map(|status| status.parse().ok());
    // "Go on" is no answer yet.
    let statuses: Vec<u16> = statuses.filter(|status| *status != 100).collect();
    if !statuses.is_empty() {
        return statuses;
    }
    // HTTP/0.9 has no heads; nginx's own pages bear the status in their titles.
    text.split_once("<title>").and_then(|(_, title)| title.get(..3)?.parse().ok()).into_iter().collect()
}

const PATIENCE: Duration = Duration::from_secs(5);
/// Stands behind what was read where the other side has not closed.
const OPEN: &[u8] = b"HTTP/1.1 999 still open";
