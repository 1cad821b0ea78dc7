//! The services behind a gateway: they keep what arrives as it stood on the wire, and answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::rendered::{Family, UPSTREAMS};

/// One request that came through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) upstream: &'static str,
    /// Request line and headers, up to the empty line.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One recorder for each upstream.
pub(crate) struct Recorders {
    pub(crate) addresses: Vec<SocketAddr>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    connections: Arc<AtomicUsize>,
}

impl Recorders {
    /// Each answers 200 with its own name.
    pub(crate) async fn start(family: Family) -> Recorders {
        let arrived = Arc::<Mutex<Vec<Arrived>>>::default();
        let connections = Arc::<AtomicUsize>::default();
        let mut addresses = Vec::new();
        for upstream in UPSTREAMS {
            let listener = listener(family).await;
            addresses.push(listener.local_addr().unwrap());
            tokio::spawn(record(listener, upstream, String::new(), arrived.clone(), connections.clone()));
        }
        Recorders { addresses, arrived, connections }
    }

    /// Starts another in place of one of them, which adds these lines to the head of its answers. `{own}` is its address.
    pub(crate) async fn answering(mut self, upstream: &'static str, lines: &str) -> Recorders {
        let listener = listener(Family::Ipv4).await;
        let place = UPSTREAMS.iter().position(|name| *name == upstream).unwrap();
        self.addresses[place] = listener.local_addr().unwrap();
        let lines = lines.replace("{own}", &self.addresses[place].to_string());
        tokio::spawn(record(listener, upstream, lines, self.arrived.clone(), self.connections.clone()));
        self
    }

    /// How many connections have come, with a request or without.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// What has come since the last time.
    pub(crate) fn take(&self) -> Vec<Arrived> {
        std::mem::take(&mut self.arrived.lock().unwrap())
    }
}

/// A free port.
pub(crate) async fn listener(family: Family) -> TcpListener {
    let address = match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    TcpListener::bind((address, 0)).await.unwrap()
}

/// Takes connections for ever.
pub(crate) async fn record(
    listener: TcpListener,
    upstream: &'static str,
    lines: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    connections: Arc<AtomicUsize>,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.fetch_add(1, Ordering::SeqCst);
        let (lines, arrived) = (lines.clone(), arrived.clone());
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            while let Some(head) = head(&mut stream).await {
                let body = body(&mut stream, &head).await;
                arrived.lock().unwrap().push(Arrived { upstream, head, body: latin(&body) });
                let length = upstream.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{lines}\r\n{upstream}");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// The next request's head; none at the end. What ends within a head is a head, too.
pub(crate) async fn head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_until(b'\n', &mut head).await, Ok(read) if read > 0) {
            break;
        }
    }
    (!head.is_empty()).then(|| latin(&head))
}

async fn body(stream: &mut BufReader<TcpStream>, head: &str) -> Vec<u8> {
    let mut body = Vec::new();
    if let Some(length) = header(head, "content-length") {
        stream.take(length.parse().unwrap()).read_to_end(&mut body).await.unwrap();
    }
    if header(head, "transfer-encoding").is_some() {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let length = u64::from_str_radix(line.trim_end(), 16).unwrap();
            let before = body.len();
            stream.take(length + 2).read_to_end(&mut body).await.unwrap();
            assert!(body.ends_with(b"\r\n"));
            body.truncate(before + usize::try_from(length).unwrap());
            if length == 0 {
                break;
            }
        }
    }
    body
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Each byte as the letter with its number, so that none is lost.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
