//! A database that is away for a while is an error meanwhile, and then works again.

use std::time::{Duration, Instant};

use flamewarden::archive::Archive;

use crate::Server;
use crate::database::{record, run};

#[tokio::test]
async fn while_the_database_is_away_calls_fail_in_time_and_afterwards_they_work() {
    let mut server = Server::alone().await;
    let archive = Archive::open(&server.url()).await.unwrap();
    archive.record(&record(run('a', 1))).await.unwrap();
    for number in [2, 3] {
        server.stop().await;
        let begun = Instant::now();
        let problem = archive.record(&record(run('a', number))).await.unwrap_err();
        assert!(problem.may_pass(), "{problem:?}");
        assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
        assert_eq!(problem.to_string().lines().count(), 1, "{problem}");
        server.start().await;
        archive.record(&record(run('a', number))).await.unwrap();
        assert_eq!(archive.latest_run(run('a', 1).analysis).await.unwrap(), Some(record(run('a', number))));
    }
}

#[tokio::test]
async fn an_archive_can_be_had_before_its_database_is_there() {
    let mut server = Server::alone().await;
    server.stop().await;
    let archive = Archive::at(&server.url()).unwrap();
    assert!(archive.check().await.unwrap_err().may_pass());
    server.start().await;
    archive.check().await.unwrap();
    archive.record(&record(run('a', 1))).await.unwrap();
    assert_eq!(archive.latest_run(run('a', 1).analysis).await.unwrap(), Some(record(run('a', 1))));
}

/// The deadline of a call, and some time for a machine that is busy.
const IN_TIME: Duration = Duration::from_secs(8);
