//! The archive's form: made once, brought up to date, and left alone where it is newer.

use flamewarden::archive::{Archive, ArchiveProblem, LogSource};
use futures::future::join_all;
use sqlx::Executor as _;

use crate::Server;
use crate::database::{archive, beside, column, line, record, run};

/// Those that came later.
const TABLES: &[&str] = &[
    "DROP TABLE reports",
    "DROP TABLE journal",
    "DROP TABLE journal_sources",
    "DROP TABLE journal_receivers",
    "DROP TABLE audit_runs",
    "DROP TABLE audit_turn",
    "DROP TABLE findings",
    "DROP TABLE decisions",
    "DROP TABLE decision_rules",
    "DROP TABLE audit_told",
    "DROP TABLE sessions",
];
const NUMBERS: &str = "SELECT CAST(number AS TEXT) FROM archive_migrations ORDER BY number";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_open_it_at_once_make_it_once() {
    for _ in 0..5 {
        let (server, url) = {
            let server = Server::shared().await;
            let url = server.url();
            (server, url)
        };
        let opening = (0..8).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { Archive::open(&url).await.map(drop).map_err(|problem| format!("{problem:?}")) })
        });
        for opened in join_all(opening).await {
            assert_eq!(opened.unwrap(), Ok(()));
        }
        assert_eq!(column(&server, NUMBERS).await, ["1", "2", "3", "4", "5", "6", "7", "8"]);
    }
}

#[tokio::test]
async fn an_older_one_is_brought_up_to_date_and_keeps_what_it_has() {
    let (server, archive) = archive().await;
    archive.record(&record(run('a', 1))).await.unwrap();
    archive.append_log(run('a', 1), LogSource::Analysis, "kept\n").await.unwrap();
    drop(archive);
    let mut connection = beside(&server).await;
    connection.execute("DROP TABLE lines").await.unwrap();
    for table in TABLES {
        connection.execute(*table).await.unwrap();
    }
    connection.execute("DELETE FROM archive_migrations WHERE number > 2").await.unwrap();
    drop(connection);
    let archive = Archive::open(&server.url()).await.unwrap();
    assert_eq!(column(&server, NUMBERS).await, ["1", "2", "3", "4", "5", "6", "7", "8"]);
    archive.append_lines(run('a', 1), &[line("new")]).await.unwrap();
    assert_eq!(archive.latest_run(run('a', 1).analysis).await.unwrap(), Some(record(run('a', 1))));
    assert_eq!(archive.logs(run('a', 1)).await.unwrap()[&LogSource::Analysis], "kept\n");
}

#[tokio::test]
async fn a_newer_one_is_left_alone() {
    let (server, archive) = archive().await;
    drop(archive);
    beside(&server).await.execute("INSERT INTO archive_migrations (number) VALUES (99)").await.unwrap();
    let problem = Archive::open(&server.url()).await.map(drop).unwrap_err();
    assert!(matches!(&problem, ArchiveProblem::Newer { found: 99, known: 8, .. }), "{problem:?}");
    assert!(!problem.may_pass());
}
