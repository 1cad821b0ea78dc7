//! What is put into the archive comes back, and nothing else.

use std::collections::BTreeMap;

use flamewarden::archive::{LogSource, RunRecord};
use flamewarden::model::Phase::{self, Executed, Executing, Failed, Started, Starting, Stopped, Stopping, Stuck};
use sqlx::Executor as _;

use crate::Server;
use crate::database::{archive, beside, column, line, moment, record, run};

#[tokio::test]
async fn a_run_is_recorded_once_and_then_updated() {
    let (server, archive) = archive().await;
    let analysis = run('a', 1).analysis;
    assert_eq!(archive.latest_run(analysis).await.unwrap(), None);
    let first = record(run('a', 1));
    for _ in 0..2 {
        archive.record(&first).await.unwrap();
        assert_eq!(archive.latest_run(analysis).await.unwrap(), Some(first.clone()));
    }
    let ended = RunRecord {
        project: "22222222-0000-4000-8000-000000000002".parse().unwrap(),
        image: "b".to_owned(),
        phase: Executed,
        progress: 100,
        pods: Vec::new(),
        reason: String::new(),
        started: None,
        ended: Some(moment(9)),
        ..first.clone()
    };
    archive.record(&ended).await.unwrap();
    assert_eq!(archive.latest_run(analysis).await.unwrap(), Some(ended.clone()));
    for (run, known) in [(first.clone(), ended), (record(run('b', 1)), record(run('b', 1)))] {
        archive.record_first(&run).await.unwrap();
        assert_eq!(archive.latest_run(run.run.analysis).await.unwrap(), Some(known), "what is known stays");
    }
    archive.forget(run('b', 1).analysis).await.unwrap();
    assert_eq!(column(&server, "SELECT analysis FROM runs").await, [analysis.to_string()]);
}

#[tokio::test]
async fn every_phase_comes_back_and_is_stored_as_flame_names_it() {
    let (server, archive) = archive().await;
    let phases = [Starting, Started, Stopping, Stopped, Executing, Executed, Stuck, Failed];
    for (number, phase) in (1..).zip(phases) {
        let record = RunRecord { phase, ..record(run('a', number)) };
        archive.record(&record).await.unwrap();
        assert_eq!(archive.latest_run(record.run.analysis).await.unwrap(), Some(record));
    }
    let names = column(&server, "SELECT phase FROM runs ORDER BY number").await;
    assert_eq!(names, ["starting", "started", "stopping", "stopped", "executing", "executed", "stuck", "failed"]);
    beside(&server).await.execute("UPDATE runs SET phase = 'paused'").await.unwrap();
    let problem = archive.latest_runs(&[]).await.unwrap_err();
    assert!(!problem.may_pass(), "{problem:?}");
}

#[tokio::test]
async fn the_latest_run_counts_by_number_whatever_was_written_last() {
    let (_server, archive) = archive().await;
    let with = |letter, number, phase: Phase| RunRecord { phase, ..record(run(letter, number)) };
    for (letter, number, phase) in
        [('a', 10, Failed), ('a', 9, Executed), ('b', 1, Stopped), ('c', 1, Executed), ('c', 2, Starting)]
    {
        archive.record(&with(letter, number, phase)).await.unwrap();
    }
    let latest = [with('a', 10, Failed), with('b', 1, Stopped), with('c', 2, Starting)];
    for (phases, want) in [
        (vec![], vec![0, 1, 2]),
        (vec![Failed, Stopped, Executed], vec![0, 1]),
        (vec![Starting], vec![2]),
        (vec![Stuck], vec![]),
    ] {
        let want: Vec<_> = want.into_iter().map(|place: usize| latest[place].clone()).collect();
        assert_eq!(archive.latest_runs(&phases).await.unwrap(), want, "{phases:?}");
    }
    assert_eq!(archive.latest_run(run('a', 1).analysis).await.unwrap().as_ref(), Some(&latest[0]));
}

#[tokio::test]
async fn texts_come_back_as_they_were_whatever_they_would_be_elsewhere() {
    let (_server, archive) = archive().await;
    for (number, text) in (1..).zip(HOSTILE) {
        let (run, text) = (run('a', number), (*text).to_owned());
        let pods = vec![text.clone(), "x".to_owned()];
        let record = RunRecord { image: text.clone(), reason: text.clone(), pods, ..record(run) };
        let mut line = line(&text);
        line.status.clone_from(&text);
        archive.record(&record).await.unwrap();
        archive.append_log(run, LogSource::Nginx, &text).await.unwrap();
        archive.append_lines(run, std::slice::from_ref(&line)).await.unwrap();
        assert_eq!(archive.latest_run(run.analysis).await.unwrap(), Some(record), "{text}");
        assert_eq!(archive.lines(run, 10).await.unwrap(), [line], "{text}");
        assert_eq!(archive.logs(run).await.unwrap(), BTreeMap::from([(LogSource::Nginx, text)]));
    }
}

#[tokio::test]
async fn what_is_neither_printable_nor_short_is_made_so() {
    let (_server, archive) = archive().await;
    let run = run('a', 1);
    let given = RunRecord { reason: "no\0w \u{202e}gr\u{fc}n\r\n".to_owned(), progress: 200, ..record(run) };
    archive.record(&given).await.unwrap();
    let kept = RunRecord { reason: "now grn\n".to_owned(), progress: 100, ..record(run) };
    assert_eq!(archive.latest_run(run.analysis).await.unwrap(), Some(kept));
    archive.append_lines(run, &[line(&"x".repeat(5000))]).await.unwrap();
    let kept = line(&format!("{} [904 bytes left out]", "x".repeat(4096)));
    assert_eq!(archive.lines(run, 10).await.unwrap(), [kept]);
}

#[tokio::test]
async fn of_many_lines_the_newest_are_told_that_fit() {
    let (_server, archive) = archive().await;
    let run = run('a', 1);
    archive.record(&record(run)).await.unwrap();
    assert_eq!(archive.newest_text(run, 100).await.unwrap(), None);
    archive.append_lines(run, &["first", "", "last"].map(line)).await.unwrap();
    for (most, want) in [
        (12, "first\n\nlast\n"),
        (11, "[6 bytes left out]\n\nlast\n"),
        (5, "[7 bytes left out]\nlast\n"),
        (4, "[12 bytes left out]\n"),
    ] {
        assert_eq!(archive.newest_text(run, most).await.unwrap(), Some(want.to_owned()), "{most}");
    }
}

#[tokio::test]
async fn what_belongs_to_no_run_is_refused() {
    let (_server, archive) = archive().await;
    archive.record(&record(run('a', 1))).await.unwrap();
    for run in [run('a', 2), run('b', 1)] {
        let log = archive.append_log(run, LogSource::Analysis, "x").await.unwrap_err();
        let replaced = archive.replace_log(run, LogSource::Nginx, "x").await.unwrap_err();
        let lines = archive.append_lines(run, &[line("x")]).await.unwrap_err();
        for problem in [log, replaced, lines] {
            let told = problem.to_string();
            assert!(told.ends_with("it has no such run") && !problem.may_pass(), "{told}");
            assert!(told.contains(&run.app()), "{told}");
        }
        assert_eq!(archive.logs(run).await.unwrap(), BTreeMap::new());
        assert_eq!(archive.lines(run, 10).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_forgotten_analysis_leaves_nothing_and_others_stay() {
    let (server, archive) = archive().await;
    for (letter, runs) in [('a', 20), ('b', 1)] {
        for run in (1..=runs).map(|number| run(letter, number)) {
            archive.record(&record(run)).await.unwrap();
            archive.append_log(run, LogSource::Analysis, "x").await.unwrap();
            archive.append_lines(run, &[line("x")]).await.unwrap();
        }
    }
    assert_eq!(archive.forget(run('a', 1).analysis).await.unwrap(), 20);
    assert_eq!(archive.forget(run('a', 1).analysis).await.unwrap(), 0);
    for query in OWNERS {
        assert_eq!(column(&server, query).await, [run('b', 1).analysis.to_string()], "{query}");
    }
}

#[tokio::test]
async fn what_ended_before_a_moment_is_forgotten_and_what_runs_is_not() {
    let (_server, archive) = archive().await;
    let ends = ('a'..='t').zip(1..).map(|(letter, second)| (letter, Some(moment(second))));
    for (letter, ended) in ends.chain([('y', Some(moment(21))), ('z', None)]) {
        archive.record(&RunRecord { ended, ..record(run(letter, 1)) }).await.unwrap();
        archive.append_log(run(letter, 1), LogSource::Analysis, "x").await.unwrap();
    }
    assert_eq!(archive.forget_ended_before(moment(21)).await.unwrap(), 20);
    let left: Vec<_> = archive.latest_runs(&[]).await.unwrap().into_iter().map(|record| record.run).collect();
    assert_eq!(left, [run('y', 1), run('z', 1)]);
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
    "audit_runs.counts",
    "audit_runs.fixed",
    "audit_runs.made",
    "audit_runs.number",
    "audit_runs.opened",
    "audit_runs.score",
    "audit_runs.subject",
    "audit_told.run",
    "audit_told.subject",
    "audit_told.told",
    "audit_turn.place",
    "audit_turn.turn",
    "decision_rules.number",
    "decision_rules.outcome",
    "decision_rules.rule",
    "decisions.analysis",
    "decisions.asker",
    "decisions.namespace",
    "decisions.number",
    "decisions.outcome",
    "decisions.run",
    "decisions.words",
    "findings.api_version",
    "findings.failing",
    "findings.fingerprint",
    "findings.first_seen",
    "findings.fixed",
    "findings.fixed_run",
    "findings.kind",
    "findings.last_seen",
    "findings.message",
    "findings.name",
    "findings.namespace",
    "findings.opened_run",
    "findings.outcome",
    "findings.path",
    "findings.remedy",
    "findings.rule",
    "findings.severity",
    "findings.since",
    "findings.subject",
    "findings.told",
    "findings.value",
    "journal.body",
    "journal.hash",
    "journal.kind",
    "journal.number",
    "journal.written",
    "journal_receivers.hash",
    "journal_receivers.number",
    "journal_receivers.receiver",
    "journal_sources.explained",
    "journal_sources.last",
    "journal_sources.place",
    "journal_sources.source",
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
    "reports.image",
    "reports.length",
    "reports.place",
    "reports.text",
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
    "sessions.ends",
    "sessions.session",
    "sessions.who",
];
