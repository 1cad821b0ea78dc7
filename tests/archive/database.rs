//! What both kinds of databases offer to the tests: a look into them, and a time to wait.

use flamewarden::archive::{Archive, LogLine, RunRecord};
use flamewarden::model::{Phase, Run};
use jiff::Timestamp;
use sqlx::{AnyConnection, Connection as _};

use crate::Server;

/// An empty archive, and the server that has it.
pub(crate) async fn archive() -> (Server, Archive) {
    let server = Server::shared().await;
    let archive = Archive::open(&server.url()).await.unwrap();
    (server, archive)
}

/// A connection past the archive.
pub(crate) async fn beside(server: &Server) -> AnyConnection {
    connection(&server.url()).await
}

/// A connection to what the driver's URL names.
pub(crate) async fn connection(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}

/// What one column of a query has.
pub(crate) async fn column(server: &Server, query: &'static str) -> Vec<String> {
    let mut connection = beside(server).await;
    sqlx::query_scalar(query).fetch_all(&mut connection).await.unwrap()
}

/// A run of an analysis that a letter stands for.
pub(crate) fn run(letter: char, number: u32) -> Run {
    Run { analysis: format!("00000000-0000-4000-8000-{:012x}", u32::from(letter)).parse().unwrap(), number }
}

/// A record of it with something in every field.
pub(crate) fn record(run: Run) -> RunRecord {
    RunRecord {
        run,
        project: "11111111-0000-4000-8000-000000000001".parse().unwrap(),
        image: "harbor.example/node/analysis@sha256:0123".to_owned(),
        phase: Phase::Executing,
        progress: 40,
        pods: vec!["pod-1".to_owned(), "pod-2".to_owned()],
        reason: "it answers".to_owned(),
        started: Some(moment(1)),
        ended: None,
    }
}

/// A line with something in every field.
pub(crate) fn line(log: &str) -> LogLine {
    LogLine {
        log: log.to_owned(),
        log_type: "info".to_owned(),
        status: "executing".to_owned(),
        progress: 50,
        written: moment(2),
    }
}

/// So many seconds after a moment, and a microsecond.
pub(crate) fn moment(second: i64) -> Timestamp {
    Timestamp::from_microsecond(1_790_000_000_000_001 + second * 1_000_000).unwrap()
}
