//! What a program says of itself on its port for probes.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::part::Part;

/// All metrics; none while the program does not answer.
pub(crate) async fn metrics(part: &Part) -> Option<String> {
    let address = part.recipe().arguments.iter().find_map(|argument| argument.strip_prefix("--probes=")).unwrap();
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    Some(text)
}

/// The samples of a metric with one label, by that label's value; none while the program does not answer.
pub(crate) async fn samples(part: &Part, metric: &str) -> Option<BTreeMap<String, u64>> {
    let text = metrics(part).await?;
    let sample = |line: &str| {
        let (_, rest) = line.strip_prefix(metric)?.split_once("=\"")?;
        let (label, value) = rest.split_once("\"} ")?;
        Some((label.to_owned(), value.trim().parse().ok()?))
    };
    Some(text.lines().filter_map(sample).collect())
}
