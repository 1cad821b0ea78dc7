//! Results go through as they come, however long they are, and so do answers: nothing lies on disk, little in memory.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::gateway::Gateway;
use crate::recorder::{Recorders, head, listener};
use crate::rendered::Family;
use crate::wire::statuses;

/// How the length of what is sent is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Before,
    InChunks,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_arrives_while_it_is_still_sent_and_lies_on_no_disk() {
    for told in [Told::Before, Told::InChunks] {
        let (storage, gateway) = before_own_storage().await;
        let begun = Instant::now();
        let (report, mut progress) = watch::channel(0);
        let upstream = tokio::spawn(take_upload(storage, told, report));
        let mut caller = TcpStream::connect(gateway.address).await.unwrap();
        let framing = match told {
            Told::Before => format!("Content-Length: {}", length()),
            Told::InChunks => "Transfer-Encoding: chunked".to_owned(),
        };
        let head = format!("PUT /storage/final/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{framing}\r\n\r\n");
        caller.write_all(head.as_bytes()).await.unwrap();
        send(&mut caller, told, 1).await;
        // The rest is sent only once the beginning has arrived.
        let arrived = timeout(PATIENCE, progress.wait_for(|arrived| *arrived >= PIECE.len())).await;
        assert!(arrived.is_ok_and(|arrived| arrived.is_ok()), "{told:?}: nothing arrives before the end is sent");
        send(&mut caller, told, length_in_pieces() / 2).await;
        let stored = gateway.stored();
        send(&mut caller, told, length_in_pieces() - length_in_pieces() / 2 - 1).await;
        if told == Told::InChunks {
            caller.write_all(b"0\r\n\r\n").await.unwrap();
        }
        let mut answer = Vec::new();
        caller.read_to_end(&mut answer).await.unwrap();
        let (user, memory) = gateway.user_and_memory();
        println!("{} MiB up in {:.1} s; nginx used {memory} KiB", length_in_pieces(), begun.elapsed().as_secs_f64());
        assert_eq!((statuses(&answer), upstream.await.unwrap()), (vec![201], length()), "{told:?}");
        assert_eq!((stored, gateway.stored(), gateway.log()), (0, 0, String::new()), "{told:?}");
        assert!(user != 0 && memory < MOST_MEMORY, "user {user}, {memory} KiB");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_back_while_it_is_still_made_and_lies_on_no_disk() {
    let (storage, gateway) = before_own_storage().await;
    let (go_on, wait) = oneshot::channel();
    let upstream = tokio::spawn(answer_slowly(storage, wait));
    let mut caller = TcpStream::connect(gateway.address).await.unwrap();
    let call = "GET /storage/local/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    caller.write_all(call.as_bytes()).await.unwrap();
    let mut answer = vec![0; PIECE.len()];
    let first = timeout(PATIENCE, caller.read_exact(&mut answer)).await;
    assert!(first.is_ok_and(|first| first.is_ok()), "nothing comes back before the end is made");
    go_on.send(()).unwrap();
    // The upstream is faster than this caller, and has to wait for it.
    let mut read = answer.len();
    let mut stored = None;
    loop {
        let more = caller.read(&mut answer).await.unwrap();
        read += more;
        if more == 0 {
            break;
        }
        if read > length() / 2 && stored.is_none() {
            stored = Some(gateway.stored());
        }
    }
    let (_, memory) = gateway.user_and_memory();
    println!("{} MiB back; nginx used {memory} KiB", length_in_pieces());
    let sent: usize = upstream.await.unwrap();
    assert!(read > length() && read - length() < 1000 && sent == length(), "{read} came of {sent}");
    assert_eq!((stored, gateway.stored(), gateway.log()), (Some(0), 0, String::new()));
    assert!(memory < MOST_MEMORY, "{memory} KiB");
}

/// A gateway whose storage service is the test's own.
async fn before_own_storage() -> (TcpListener, Gateway) {
    let upstreams = Recorders::start(Family::Ipv4).await;
    let storage = listener(Family::Ipv4).await;
    let mut addresses: Vec<SocketAddr> = upstreams.addresses.clone();
    addresses[1] = storage.local_addr().unwrap();
    (storage, Gateway::before(&addresses))
}

/// Reads an upload of which each byte is known, and tells how far it is.
async fn take_upload(storage: TcpListener, told: Told, report: watch::Sender<usize>) -> usize {
    let mut stream = BufReader::new(storage.accept().await.unwrap().0);
    let head = head(&mut stream).await.unwrap();
    assert!(head.starts_with("PUT /final/ HTTP/1.1\r\n"), "{head}");
    let (mut arrived, mut buffer) = (0, vec![0; 1 << 16]);
    let mut tail = Vec::new();
    while arrived < length() || (told == Told::InChunks && !tail.ends_with(b"0\r\n\r\n")) {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the upload ends after {arrived} bytes");
        // Between chunks stand their lengths, which have other letters.
        let own = buffer[..read].iter().filter(|byte| **byte == PIECE[0]).count();
        assert!(told == Told::InChunks || own == read);
        arrived += own;
        tail = buffer[read.saturating_sub(5)..read].to_vec();
        report.send_replace(arrived);
    }
    stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    arrived
}

/// Answers with the beginning, waits, and then gives the rest.
async fn answer_slowly(storage: TcpListener, wait: oneshot::Receiver<()>) -> usize {
    let mut stream = BufReader::new(storage.accept().await.unwrap().0);
    head(&mut stream).await.unwrap();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", length());
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.write_all(PIECE).await.unwrap();
    wait.await.unwrap();
    for _ in 1..length_in_pieces() {
        stream.write_all(PIECE).await.unwrap();
    }
    length()
}

async fn send(caller: &mut TcpStream, told: Told, pieces: usize) {
    for _ in 0..pieces {
        match told {
            Told::Before => caller.write_all(PIECE).await.unwrap(),
            Told::InChunks => {
                caller.write_all(format!("{:x}\r\n", PIECE.len()).as_bytes()).await.unwrap();
                caller.write_all(PIECE).await.unwrap();
                caller.write_all(b"\r\n").await.unwrap();
            }
        }
    }
}

fn length() -> usize {
    length_in_pieces() * PIECE.len()
}

/// 100 MiB; a gibibyte in the soak.
fn length_in_pieces() -> usize {
    if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { 1024 } else { 100 }
}

const PIECE: &[u8] = &[b'x'; 1 << 20];
const PATIENCE: Duration = Duration::from_secs(20);
/// In KiB.
const MOST_MEMORY: u64 = 16 << 10;
