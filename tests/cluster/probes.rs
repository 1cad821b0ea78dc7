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
    let value = |labels: &str| Some(labels.split_once("=\"")?.1.trim_end_matches('"').to_owned());
    counts(part, metric).await?.into_iter().map(|(labels, count)| Some((value(&labels)?, count))).collect()
}

/// The samples of a metric by their labels as they are written; none while the program does not answer.
pub(crate) async fn counts(part: &Part, metric: &str) -> Option<BTreeMap<String, u64>> {
    let text = metrics(part).await?;
    let sample = |line: &str| {
        let (labels, count) = line.strip_prefix(metric)?.strip_prefix('{')?.split_once("} ")?;
        Some((labels.to_owned(), count.trim().parse().ok()?))
    };
    Some(text.lines().filter_map(sample).collect())
}
