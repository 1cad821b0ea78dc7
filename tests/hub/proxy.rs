//! A forward proxy that says through whom traffic went: tunnels by CONNECT, and plain requests with a whole address.
//!
//! Other targets take this file by `#[path]`.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running proxy; it ends with the test.
pub(crate) struct Proxy {
    /// Its host and port.
    pub(crate) authority: String,
    passed: Arc<Mutex<Vec<Passed>>>,
    server: JoinHandle<()>,
}

/// One request to the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Method and target.
    pub(crate) line: String,
    /// Who the caller says he is.
    pub(crate) authorization: Option<String>,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let passed: Arc<Mutex<Vec<Passed>>> = Arc::default();
        let kept = passed.clone();
        let server = tokio::spawn(async move {
            loop {
                let (caller, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(caller, kept.clone()));
            }
        });
        Proxy { authority, passed, server }
    }

    /// What went through it.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.passed.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass(mut caller: TcpStream, passed: Arc<Mutex<Vec<Passed>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match caller.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
    let header = |name: &str| {
        let mut pairs = head.split("\r\n").filter_map(|line| line.split_once(": "));
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    passed.lock().unwrap().push(Passed { line: line.clone(), authorization: header("proxy-authorization") });
    let (method, target) = line.split_once(' ').unwrap();
    // Names are the proxy's to know: here all are this machine.
    let host = if method == "CONNECT" { target.to_owned() } else { header("host").unwrap() };
    let port: u16 = host.rsplit_once(':').unwrap().1.parse().unwrap();
    let Ok(mut system) = TcpStream::connect(("127.0.0.1", port)).await else {
        let _ = caller.write_all(b"HTTP/1.1 502 Bad gateway\r\ncontent-length: 0\r\n\r\n").await;
        return;
    };
    if method == "CONNECT" {
        caller.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    } else {
        // A server is asked for the path alone.
        system.write_all(head.replacen(&format!("http://{host}"), "", 1).as_bytes()).await.unwrap();
    }
    let _ = copy_bidirectional(&mut caller, &mut system).await;
}
