//! What only a server can do: ask for a password, prove who it is, fall silent, and have other clients.

use std::error::Error as _;
use std::time::{Duration, Instant};

use flamewarden::archive::{Archive, ArchiveProblem};
use sqlx::Executor as _;

use crate::Server;
use crate::database::{beside, column, record, run};
use crate::postgres_server::PASSWORD;
use crate::postgres_server::until;

#[tokio::test]
async fn a_wrong_password_is_an_error_that_tells_none() {
    let server = Server::shared().await;
    let problem = Archive::open(&server.url().replace(PASSWORD, "wrong-0815")).await.map(drop).unwrap_err();
    let told = format!("{problem} {} {problem:?}", problem.source().unwrap());
    assert!(told.contains("password authentication failed"), "{told}");
    assert!(!told.contains("0815") && !told.contains(PASSWORD), "{told}");
    assert!(!problem.may_pass());
}

#[tokio::test]
async fn the_url_says_whether_the_server_must_prove_who_it_is() {
    let server = Server::alone().await;
    let authority = |name: &str| server.folder().join(name).display().to_string();
    for (parameters, encrypted) in [
        ("sslmode=disable".to_owned(), Some("false")),
        ("sslmode=require".to_owned(), Some("true")),
        (format!("sslmode=verify-full&sslrootcert={}", authority("ca.crt")), Some("true")),
        (format!("sslmode=verify-full&sslrootcert={}", authority("other.crt")), None),
        ("sslmode=verify-full".to_owned(), None),
    ] {
        let opened = Archive::open(&format!("{}?{parameters}", server.url())).await;
        let Some(encrypted) = encrypted else {
            let problem = opened.map(drop).unwrap_err();
            let cause = problem.source().unwrap().to_string();
            assert!(cause.contains("certificate"), "{parameters}: {cause}");
            continue;
        };
        let archive = opened.unwrap();
        assert_eq!(column(&server, ENCRYPTED).await, [encrypted], "{parameters}");
        drop(archive);
        until("the connections are gone", async || column(&server, ENCRYPTED).await.is_empty().then_some(())).await;
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_holds_nobody_up() {
    let mut server = Server::alone().await;
    let archive = Archive::open(&server.url()).await.unwrap();
    archive.record(&record(run('a', 1))).await.unwrap();
    server.signal("STOP");
    // A backend that is connected answers on; a new one would not come.
    freeze(&server, "STOP");
    let begun = Instant::now();
    let (reading, writing) = (archive.latest_run(run('a', 1).analysis), record(run('a', 2)));
    let (read, written) = tokio::join!(reading, archive.record(&writing));
    for problem in [read.map(drop).unwrap_err(), written.unwrap_err()] {
        assert!(matches!(problem, ArchiveProblem::Late { .. }) && problem.may_pass(), "{problem:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    freeze(&server, "CONT");
    server.signal("CONT");
    archive.record(&record(run('a', 2))).await.unwrap();
    assert_eq!(archive.latest_run(run('a', 1).analysis).await.unwrap(), Some(record(run('a', 2))));
}

#[tokio::test]
async fn connections_that_the_server_ends_are_made_anew_unseen() {
    let server = Server::shared().await;
    let archive = Archive::open(&server.url()).await.unwrap();
    for number in 1..4 {
        archive.record(&record(run('a', number))).await.unwrap();
        archive.check().await.unwrap();
        beside(&server).await.execute(END_OTHERS).await.unwrap();
    }
    assert_eq!(archive.latest_run(run('a', 1).analysis).await.unwrap(), Some(record(run('a', 3))));
}

#[tokio::test]
async fn a_writer_that_holds_the_archive_is_waited_for_and_not_for_ever() {
    let server = Server::shared().await;
    let archive = Archive::open(&server.url()).await.unwrap();
    let mut other = beside(&server).await;
    other.execute("BEGIN; LOCK TABLE runs IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let problem = archive.record(&record(run('a', 1))).await.unwrap_err();
    assert!(problem.may_pass(), "{problem:?}");
    other.execute("ROLLBACK").await.unwrap();
    archive.record(&record(run('a', 1))).await.unwrap();
}

/// Sends a signal to every process of the server's but its first.
fn freeze(server: &Server, signal: &str) {
    let data = std::fs::read_to_string(server.folder().join("data/postmaster.pid")).unwrap();
    let first = data.lines().next().unwrap().to_owned();
    let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
    for child in children.split_whitespace() {
        let sent = std::process::Command::new("kill").args([&format!("-{signal}"), child]).status().unwrap();
        assert!(sent.success(), "{child}");
    }
}

/// Whether the connections but this one are encrypted.
const ENCRYPTED: &str = "\
    SELECT DISTINCT CAST(ssl AS TEXT) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
const END_OTHERS: &str = "\
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid()";
