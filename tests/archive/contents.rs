//! What is put into the archive comes back, and nothing else.

use std::collections::BTreeMap;

use flamewarden::archive::{LogSource, RunRecord};

use crate::Server;
use crate::database::{archive, column, line, moment, run};

#[tokio::test]
async fn a_run_is_recorded_once_and_then_updated() {
    let (server, archive) = archive().await;
    assert_eq!(archive.latest_run("a").await.unwrap(), None);
    let first = run("a", 1);
    for _ in 0..2 {
        archive.record(&first).await.unwrap();
        assert_eq!(archive.latest_run("a").await.unwrap(), Some(first.clone()));
    }
    let ended = RunRecord {
        project: "another".to_owned(),
        image: "b".to_owned(),
        phase: "executed".to_owned(),
        progress: 100,
        pods: Vec::new(),
        reason: String::new(),
        started: None,
        ended: Some(moment(9)),
        ..first
    };
    archive.record(&ended).await.unwrap();
    assert_eq!(archive.latest_run("a").await.unwrap(), Some(ended));
    assert_eq!(column(&server, "SELECT analysis FROM runs").await, ["a"]);
}

#[tokio::test]
async fn the_latest_run_counts_by_number_whatever_was_written_last() {
    let (_server, archive) = archive().await;
    for (analysis, number, phase) in
        [("a", 10, "failed"), ("a", 9, "executed"), ("b", 1, "stopped"), ("c", 1, "executed"), ("c", 2, "starting")]
    {
        archive.record(&RunRecord { phase: phase.to_owned(), ..run(analysis, number) }).await.unwrap();
    }
    let latest = [
        RunRecord { phase: "failed".to_owned(), ..run("a", 10) },
        RunRecord { phase: "stopped".to_owned(), ..run("b", 1) },
        RunRecord { phase: "starting".to_owned(), ..run("c", 2) },
    ];
    for (phases, want) in [
        (vec![], vec![0, 1, 2]),
        (vec!["failed", "stopped", "executed"], vec![0, 1]),
        (vec!["starting"], vec![2]),
        (vec!["stuck"], vec![]),
    ] {
        let want: Vec<_> = want.into_iter().map(|place: usize| latest[place].clone()).collect();
        assert_eq!(archive.latest_runs(&phases).await.unwrap(), want, "{phases:?}");
    }
    assert_eq!(archive.latest_run("a").await.unwrap().as_ref(), Some(&latest[0]));
}

#[tokio::test]
async fn texts_come_back_as_they_were_whatever_they_would_be_elsewhere() {
    let (_server, archive) = archive().await;
    for text in HOSTILE {
        let (mut run, mut line) = (run(text, 1), line(text));
        for field in [&mut run.project, &mut run.image, &mut run.phase, &mut run.reason] {
            *field = (*text).to_owned();
        }
        run.pods = vec![(*text).to_owned(), "x".to_owned()];
        line.status = (*text).to_owned();
        archive.record(&run).await.unwrap();
        archive.append_log(text, 1, LogSource::Nginx, text).await.unwrap();
        archive.append_lines(text, 1, std::slice::from_ref(&line)).await.unwrap();
        assert_eq!(archive.latest_run(text).await.unwrap(), Some(run), "{text}");
        let logs = BTreeMap::from([(LogSource::Nginx, (*text).to_owned())]);
        assert_eq!(archive.logs(text, 1).await.unwrap(), logs, "{text}");
        assert_eq!(archive.lines(text, 1, 10).await.unwrap(), [line], "{text}");
    }
    assert_eq!(archive.latest_runs(&[]).await.unwrap().len(), HOSTILE.len());
}

#[tokio::test]
async fn what_is_neither_printable_nor_short_is_made_so() {
    let (_server, archive) = archive().await;
    let given = RunRecord { reason: "no\0w \u{202e}gr\u{fc}n\r\n".to_owned(), progress: 200, ..run("a", 1) };
    archive.record(&given).await.unwrap();
    let kept = RunRecord { reason: "now grn\n".to_owned(), progress: 100, ..run("a", 1) };
    assert_eq!(archive.latest_run("a").await.unwrap(), Some(kept));
    archive.append_lines("a", 1, &[line(&"x".repeat(5000))]).await.unwrap();
    let kept = line(&format!("{} [904 bytes left out]", "x".repeat(4096)));
    assert_eq!(archive.lines("a", 1, 10).await.unwrap(), [kept]);
}

#[tokio::test]
async fn what_belongs_to_no_run_is_refused() {
    let (_server, archive) = archive().await;
    archive.record(&run("a", 1)).await.unwrap();
    for (analysis, number) in [("a", 2), ("b", 1)] {
        let log = archive.append_log(analysis, number, LogSource::Analysis, "x").await.unwrap_err();
        let replaced = archive.replace_log(analysis, number, LogSource::Nginx, "x").await.unwrap_err();
        let lines = archive.append_lines(analysis, number, &[line("x")]).await.unwrap_err();
        for problem in [log, replaced, lines] {
            let told = problem.to_string();
            assert!(told.ends_with("it has no such run") && !problem.may_pass(), "{told}");
            assert!(told.contains(&format!("run {number} of analysis {analysis}")), "{told}");
        }
    }
    assert_eq!(archive.logs("b", 1).await.unwrap(), BTreeMap::new());
    assert_eq!(archive.lines("b", 1, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_forgotten_analysis_leaves_nothing_and_others_stay() {
    let (server, archive) = archive().await;
    for (analysis, runs) in [("a", 20), ("b", 1)] {
        for number in 1..=runs {
            archive.record(&run(analysis, number)).await.unwrap();
            archive.append_log(analysis, number, LogSource::Analysis, "x").await.unwrap();
            archive.append_lines(analysis, number, &[line("x")]).await.unwrap();
        }
    }
    assert_eq!(archive.forget("a").await.unwrap(), 20);
    assert_eq!(archive.forget("a").await.unwrap(), 0);
    for query in OWNERS {
        assert_eq!(column(&server, query).await, ["b"], "{query}");
    }
}

#[tokio::test]
async fn what_ended_before_a_moment_is_forgotten_and_what_runs_is_not() {
    let (_server, archive) = archive().await;
    let ends = (1..=20).map(|second| (format!("old-{second}"), Some(moment(second))));
    for (analysis, ended) in ends.chain([("new".to_owned(), Some(moment(21))), ("running".to_owned(), None)]) {
        archive.record(&RunRecord { ended, ..run(&analysis, 1) }).await.unwrap();
        archive.append_log(&analysis, 1, LogSource::Analysis, "x").await.unwrap();
    }
    assert_eq!(archive.forget_ended_before(moment(21)).await.unwrap(), 20);
    let left: Vec<_> = archive.latest_runs(&[]).await.unwrap().into_iter().map(|run| run.analysis).collect();
    assert_eq!(left, ["new", "running"]);
    assert_eq!(archive.forget_ended_before(moment(21)).await.unwrap(), 0);
}

#[tokio::test]
async fn no_column_is_made_for_a_secret() {
    let (server, _archive) = archive().await;
    assert_eq!(column(&server, Server::COLUMNS).await, ALL_COLUMNS);
}

const HOSTILE: &[&str] = &[
    "'; DROP TABLE runs; --",
    "\" OR 1=1 --",
    "$1 ? :name %s {0}",
    "\\'; \\x00 \\",
    "NULL",
    "[\"json\", {\"a\": 1}]",
    "<script>alert(1)</script>",
    "COMMIT; BEGIN",
    "100%_",
    "two\nlines and\ta tab",
    "0x27",
    "",
];
const OWNERS: &[&str] = &[
    "SELECT analysis FROM runs",
    "SELECT analysis FROM logs",
    "SELECT analysis FROM log_chunks",
    "SELECT analysis FROM lines",
];
const ALL_COLUMNS: &[&str] = &[
    "archive_migrations.number",
    "lines.analysis",
    "lines.log",
    "lines.log_type",
    "lines.number",
    "lines.place",
    "lines.progress",
    "lines.status",
    "lines.written",
    "log_chunks.analysis",
    "log_chunks.number",
    "log_chunks.place",
    "log_chunks.source",
    "log_chunks.text",
    "logs.analysis",
    "logs.number",
    "logs.source",
    "logs.total",
    "runs.analysis",
    "runs.ended",
    "runs.image",
    "runs.number",
    "runs.phase",
    "runs.pods",
    "runs.progress",
    "runs.project",
    "runs.reason",
    "runs.started",
];
