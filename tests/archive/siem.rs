//! The journal as a SIEM receives it: whole, framed, again after it was away, and nothing for a stranger.

use std::collections::BTreeSet;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flamewarden::archive::{Archive, JournalEntry};
use flamewarden::history::{Ended, Feed, FeedProblem, Pace};
use flamewarden::policy::SyslogSettings;
use flamewarden::telemetry::Metrics;
use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sqlx::Executor as _;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::database::{archive, beside};
use crate::journal::{fetched, gap};

#[tokio::test]
async fn every_entry_arrives_though_the_receiver_dies_in_the_middle_and_goes_on_where_it_was() {
    let (_server, archive) = archive().await;
    let receiver = Receiver::start(vec![130, 40, 3]).await;
    let mut got = receiver.messages;
    let metrics = Metrics::new();
    let feed = feed(&archive, &receiver.settings, &metrics);
    for number in 0..3 {
        let batch: Vec<u64> = (number * 100 + 1..=number * 100 + 100).collect();
        archive.keep_decisions(fetched("r", &batch, 0)).await.unwrap();
    }
    let head = archive.journal_head().await.unwrap();
    let (mut seen, mut deaths) = (BTreeSet::new(), 0);
    while seen.len() < 300 {
        tokio::select! {
            ended = feed.send(pending()) => {
                deaths += 1;
                assert!(matches!(ended.problem, FeedProblem::Broken(_) | FeedProblem::HungUp | FeedProblem::Connect(_)), "{ended:?}");
            }
            () = async {
                while seen.len() < 300 {
                    seen.insert(number(&next(&mut got).await));
                }
            } => {}
        }
    }
    assert_eq!(seen, (1..=300).collect());
    assert!(deaths >= 2, "it died in the middle: {deaths}");
    // What has settled is not sent again.
    let settled = async {
        while archive.sent_to(&receiver.settings.address).await.unwrap().is_none_or(|sent| sent.number < head.number) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = feed.send(pending()) => panic!("{ended:?}"),
        settled = timeout(PATIENCE, settled) => settled.unwrap(),
    }
    while got.try_recv().is_ok() {}
    gap(&archive, "a", 1).await;
    let last = with(&feed, next(&mut got)).await;
    assert_eq!(number(&last), 301);
    let entry = archive.journal_after(300, 1).await.unwrap().remove(0);
    assert_eq!(last, message(&entry));
    let counted = metrics.text();
    assert!(
        counted.contains("flamewarden_syslog_up 1") && counted.contains("flamewarden_syslog_lost_total 0"),
        "{counted}"
    );
}

#[tokio::test]
async fn what_was_pruned_unsent_is_counted_and_a_journal_that_was_changed_is_sent_anew() {
    let (server, archive) = archive().await;
    let receiver = Receiver::start(vec![]).await;
    let mut got = receiver.messages;
    let metrics = Metrics::new();
    let feed = feed(&archive, &receiver.settings, &metrics);
    for number in 1..=4 {
        gap(&archive, "a", number).await;
    }
    let second = archive.journal_after(1, 1).await.unwrap().remove(0);
    let sent = |entry: JournalEntry| flamewarden::archive::Sent { number: entry.number, hash: entry.hash };
    archive.mark_sent(&receiver.settings.address, sent(second.clone())).await.unwrap();
    assert_eq!(number(&with(&feed, next(&mut got)).await), 3);
    while got.try_recv().is_ok() {}
    // Entries 1 to 3 go.
    archive.mark_sent(&receiver.settings.address, sent(second.clone())).await.unwrap();
    archive.prune_journal(flamewarden::archive::Keep { days: 30, entries: 2 }, jiff::Timestamp::now()).await.unwrap();
    assert_eq!(number(&with(&feed, next(&mut got)).await), 4);
    assert!(metrics.text().contains("flamewarden_syslog_lost_total 1"), "{}", metrics.text());
    while got.try_recv().is_ok() {}
    // The journal was cut off behind what was sent.
    let sent = flamewarden::archive::Sent { number: 99, ..sent(second) };
    archive.mark_sent(&receiver.settings.address, sent).await.unwrap();
    beside(&server).await.execute("DELETE FROM journal WHERE number = 4").await.unwrap();
    assert_eq!(number(&with(&feed, next(&mut got)).await), 5);
}

#[tokio::test]
async fn what_was_cut_off_while_it_is_sent_is_sent_anew() {
    let (server, archive) = archive().await;
    let receiver = Receiver::start(vec![]).await;
    let mut got = receiver.messages;
    let metrics = Metrics::new();
    let feed = feed(&archive, &receiver.settings, &metrics);
    for number in 1..=4 {
        gap(&archive, "a", number).await;
    }
    let cut = async {
        while number(&next(&mut got).await) < 4 {}
        let mut connection = beside(&server).await;
        connection.execute("DELETE FROM journal WHERE number > 2").await.unwrap();
        gap(&archive, "b", 1).await;
        let mut told = Vec::new();
        while told.len() < 4 {
            told.push(next(&mut got).await);
        }
        told
    };
    let told = with(&feed, cut).await;
    assert_eq!(told.iter().map(|message| number(message)).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(told[2].contains("\"changed\""), "{}", told[2]);
}

#[tokio::test]
async fn a_receiver_whom_the_authority_does_not_know_gets_nothing() {
    let (_server, archive) = archive().await;
    gap(&archive, "a", 1).await;
    let (mut receiver, other) = (Receiver::start(vec![]).await, Receiver::start(vec![]).await);
    let metrics = Metrics::new();
    let port = receiver.settings.address.rsplit_once(':').unwrap().1.to_owned();
    let wrong = [
        // Another's authority.
        SyslogSettings { authority_file: other.settings.authority_file.clone(), ..receiver.settings.clone() },
        // The right authority, and another host than the certificate is of.
        SyslogSettings { address: format!("localhost:{port}"), ..receiver.settings.clone() },
    ];
    for settings in wrong {
        let Ended { sent, problem } = feed(&archive, &settings, &metrics).send(pending()).await;
        assert!(matches!(problem, FeedProblem::Connect(_)) && sent == 0, "{problem:?}");
    }
    for (file, says) in
        [("missing.crt", "cannot read the authority's certificates"), ("empty.crt", "has no certificates in PEM")]
    {
        let authority_file = other.folder.path().join(file);
        let settings = SyslogSettings { authority_file, ..receiver.settings.clone() };
        let Ended { problem, .. } = feed(&archive, &settings, &metrics).send(pending()).await;
        assert!(problem.to_string().contains(says), "{problem}");
    }
    assert!(receiver.messages.try_recv().is_err(), "nothing was sent");
    assert!(metrics.text().contains("flamewarden_syslog_up 0"));
    let settings = receiver.settings.clone();
    let first = with(&feed(&archive, &settings, &metrics), next(&mut receiver.messages)).await;
    assert_eq!(number(&first), 1, "the right one gets it");
}

#[tokio::test]
async fn what_waits_is_told_while_the_receiver_is_away() {
    let (_server, archive) = archive().await;
    let receiver = Receiver::start(vec![]).await;
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = SyslogSettings { address: gone.local_addr().unwrap().to_string(), ..receiver.settings.clone() };
    drop(gone);
    let metrics = Metrics::new();
    for (number, waiting) in [(1, 1), (2, 2), (3, 3)] {
        gap(&archive, "a", number).await;
        let Ended { problem, .. } = feed(&archive, &settings, &metrics).send(pending()).await;
        assert!(matches!(problem, FeedProblem::Connect(_)), "{problem:?}");
        assert_eq!(metrics.syslog_waiting.get(), waiting);
    }
    let mut got = receiver.messages;
    let settings = receiver.settings.clone();
    let feed = feed(&archive, &settings, &metrics);
    let taken = async {
        while number(&next(&mut got).await) < 3 {}
        while metrics.syslog_waiting.get() > 0 {
            tokio::task::yield_now().await;
        }
    };
    with(&feed, taken).await;
}

#[tokio::test]
async fn whoever_is_not_wanted_any_more_says_goodbye() {
    let (_server, archive) = archive().await;
    gap(&archive, "a", 1).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (config, settings, _folder) = tls(&listener);
    let metrics = Metrics::new();
    let feed = feed(&archive, &settings, &metrics);
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let listening = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        let mut first = [0; 16];
        stream.read_exact(&mut first).await.unwrap();
        tell.send(()).unwrap();
        // An end without a goodbye is an error here: anybody could have cut the connection.
        stream.read_to_end(&mut Vec::new()).await.map(drop)
    };
    let (ended, heard) =
        timeout(PATIENCE, async { tokio::join!(feed.send(async { told.await.unwrap() }), listening) }).await.unwrap();
    assert!(matches!(ended.problem, FeedProblem::NotWanted), "{ended:?}");
    heard.unwrap();
}

#[tokio::test]
async fn what_is_no_entry_is_told_and_the_rest_is_sent() {
    let (server, archive) = archive().await;
    let receiver = Receiver::start(vec![]).await;
    let mut got = receiver.messages;
    let metrics = Metrics::new();
    let feed = feed(&archive, &receiver.settings, &metrics);
    for number in 1..=5 {
        gap(&archive, "a", number).await;
    }
    beside(&server).await.execute("UPDATE journal SET written = 9223372036854775807 WHERE number = 3").await.unwrap();
    let told = async {
        let mut told = Vec::new();
        while told.len() < 5 {
            told.push(next(&mut got).await);
        }
        told
    };
    let told = with(&feed, told).await;
    assert_eq!(told.iter().map(|message| number(message)).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(told[2].starts_with("<105>1 ") && told[2].contains(r#""kind":"unreadable""#), "{}", told[2]);
}

/// A server that reads frames counted by octets.
struct Receiver {
    settings: SyslogSettings,
    folder: TempDir,
    /// Whole messages, in the order in which they came.
    messages: mpsc::UnboundedReceiver<String>,
}

impl Receiver {
    /// Each of its first connections ends after so many messages; later ones do not.
    async fn start(deaths: Vec<usize>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (config, settings, folder) = tls(&listener);
        let (told, messages) = mpsc::unbounded_channel();
        tokio::spawn(receive(listener, TlsAcceptor::from(Arc::new(config)), deaths, told));
        Receiver { settings, folder, messages }
    }
}

/// How a listener shows who it is, how it is reached, and the folder with its authority.
fn tls(listener: &TcpListener) -> (ServerConfig, SyslogSettings, TempDir) {
    // The first of all: rustls panics where two providers could be meant.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let authority_file: PathBuf = folder.path().join("ca.crt");
    std::fs::write(&authority_file, cert.pem()).unwrap();
    std::fs::write(folder.path().join("empty.crt"), "none").unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let certificates = vec![CertificateDer::from(cert.der().to_vec())];
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (config, SyslogSettings { address, authority_file }, folder)
}

async fn receive(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    deaths: Vec<usize>,
    told: mpsc::UnboundedSender<String>,
) {
    let mut deaths = deaths.into_iter();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let most = deaths.next().unwrap_or(usize::MAX);
        let Ok(stream) = acceptor.accept(stream).await else { continue };
        let mut stream = BufReader::new(stream);
        for _ in 0..most {
            let Some(message) = message_of(&mut stream).await else { break };
            told.send(message).unwrap();
        }
    }
}

/// A length in digits, a space, and so many bytes.
async fn message_of(stream: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> Option<String> {
    let mut length = Vec::new();
    stream.read_until(b' ', &mut length).await.ok()?;
    let length: usize = std::str::from_utf8(length.strip_suffix(b" ")?).unwrap().parse().unwrap();
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.ok()?;
    Some(String::from_utf8(message).unwrap())
}

fn feed<'a>(archive: &'a Archive, settings: &'a SyslogSettings, metrics: &'a Metrics) -> Feed<'a> {
    let pace = Pace { look: Duration::from_millis(10), settled: Duration::from_millis(300) };
    Feed { archive, settings, host: "controller-0", metrics, pace }
}

/// Something that comes while the feed is at work.
async fn with<T>(feed: &Feed<'_>, coming: impl Future<Output = T>) -> T {
    tokio::select! {
        ended = feed.send(pending()) => panic!("{ended:?}"),
        came = coming => came,
    }
}

async fn next(messages: &mut mpsc::UnboundedReceiver<String>) -> String {
    timeout(PATIENCE, messages.recv()).await.unwrap().unwrap()
}

/// The number of a message's entry, after a look at its header.
fn number(message: &str) -> i64 {
    let (header, text) = message.split_once(" {").unwrap();
    let line: serde_json::Value = serde_json::from_str(&format!("{{{text}")).unwrap();
    let number = line["number"].as_i64().unwrap();
    assert!(
        header.starts_with("<1") && header.contains(">1 ") && header.contains(" controller-0 flamewarden - "),
        "{header}"
    );
    assert!(header.ends_with(&format!(" [meta sequenceId=\"{number}\"]")), "{header}");
    number
}

/// A gap as a message.
fn message(entry: &JournalEntry) -> String {
    format!(
        "<108>1 {:.6} controller-0 flamewarden - gap [meta sequenceId=\"{}\"] {}",
        entry.written,
        entry.number,
        entry.line()
    )
}

const PATIENCE: Duration = Duration::from_secs(30);
