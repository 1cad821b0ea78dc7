//! The archive's file.

use std::os::unix::fs::PermissionsExt as _;
use std::{fs, io};

use flamewarden::archive::{Archive, ArchiveProblem, LogSource, Misfit, RunRecord, Verdict};
use sqlx::Executor as _;

use crate::database::{archive, beside, column, line, moment, record, run};
use crate::journal::gap;

#[tokio::test]
async fn its_files_are_its_owners_alone() {
    let (server, archive) = archive().await;
    archive.record(&record(run('a', 1))).await.unwrap();
    let mode = |ending: &str| {
        let file = format!("{}{ending}", server.file().display());
        fs::metadata(&file).unwrap().permissions().mode() & 0o777
    };
    for ending in ["", "-wal", "-shm"] {
        assert_eq!(mode(ending), 0o600, "{ending}");
    }
    assert_eq!(column(&server, "PRAGMA journal_mode").await, ["wal"]);
}

#[tokio::test]
async fn a_file_of_any_name_is_that_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a b", "50%25", "what?", "semi;colon#1", "gr\u{fc}n"] {
        let path = folder.path().join(name);
        drop(Archive::open(&format!("sqlite:{}", path.display())).await.unwrap());
        assert!(path.exists(), "{name}");
    }
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.retain(|name| !name.to_string_lossy().ends_with("-wal") && !name.to_string_lossy().ends_with("-shm"));
    assert_eq!(names.len(), 5, "{names:?}");
}

/// To SQLite a text ends at its first NUL, wherever it looks into one; others show what stands behind.
#[tokio::test]
async fn what_somebody_hides_behind_a_nul_shows() {
    let (server, archive) = archive().await;
    for number in 1..=3 {
        gap(&archive, "a", number).await;
    }
    let mut connection = beside(&server).await;
    connection.execute("CREATE TABLE kept AS SELECT * FROM journal").await.unwrap();
    for (act, misfit) in [
        ("UPDATE journal SET body = body || CHAR(0) || ' and more' WHERE number = 2", Misfit::Changed),
        ("UPDATE journal SET body = CAST(CAST(body AS BLOB) || X'00FF' AS TEXT) WHERE number = 2", Misfit::Changed),
        ("UPDATE journal SET hash = hash || CHAR(0) || 'x' WHERE number = 2", Misfit::Changed),
        ("UPDATE journal SET kind = kind || CHAR(0) || 'x' WHERE number = 2", Misfit::Unreadable),
    ] {
        connection.execute(act).await.unwrap();
        let verdict = archive.verify_journal(None).await.unwrap().verdict;
        assert_eq!(verdict, Verdict::Broken { number: 2, misfit }, "{act}");
        connection.execute("DELETE FROM journal").await.unwrap();
        connection.execute("INSERT INTO journal SELECT * FROM kept").await.unwrap();
    }
    // Nor is a text that is none of Unicode's the end of reading.
    connection.execute("UPDATE journal SET body = CAST(X'7B22FF227D' AS TEXT) WHERE number = 2").await.unwrap();
    for (after, most, want) in [(0, 10, vec!["gap", "unreadable", "gap"]), (0, 2, vec!["gap", "unreadable"])] {
        let kinds = archive.journal_after(after, most).await.unwrap().into_iter().map(|entry| entry.kind);
        assert_eq!(kinds.collect::<Vec<_>>(), want);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/archive.db");
    let problem = Archive::open(&format!("sqlite:{}", path.display())).await.map(drop).unwrap_err();
    assert_eq!(problem.to_string(), format!("cannot make the archive {}", path.display()));
    let ArchiveProblem::File { source, .. } = problem else { panic!("{problem:?}") };
    assert_eq!(source.kind(), io::ErrorKind::NotFound);
    let text = folder.path().join("text");
    fs::write(&text, "this is no database, and long enough to be seen as none".repeat(40)).unwrap();
    let problem = Archive::open(&format!("sqlite:{}", text.display())).await.map(drop).unwrap_err();
    assert!(matches!(&problem, ArchiveProblem::Database { .. }) && !problem.may_pass(), "{problem:?}");
}

#[tokio::test]
async fn what_is_forgotten_goes_in_small_pieces_and_what_has_gone_stays_gone() {
    for by_end in [false, true] {
        let (server, archive) = archive().await;
        let forget = async || match by_end {
            true => archive.forget_ended_before(moment(9)).await,
            false => archive.forget(run('a', 1).analysis).await,
        };
        archive.record(&RunRecord { ended: Some(moment(8)), ..record(run('a', 1)) }).await.unwrap();
        archive.append_lines(run('a', 1), &vec![line("x"); 1200]).await.unwrap();
        let log = "a line of a log\n".repeat(1 << 17);
        archive.append_log(run('a', 1), LogSource::Analysis, &log).await.unwrap();
        let left = async || (column(&server, LINES).await.len(), column(&server, CHUNKS).await.len());
        assert_eq!(left().await, (1200, 128));
        // Each of these keeps one piece from going, and all that would go with it.
        for (trigger, want) in [
            (
                "CREATE TRIGGER t BEFORE DELETE ON lines WHEN OLD.place = 600 BEGIN SELECT RAISE(ABORT, 'no'); END",
                (700, 128),
            ),
            (
                "CREATE TRIGGER t BEFORE DELETE ON log_chunks WHEN OLD.place = 110 BEGIN SELECT RAISE(ABORT, 'no'); END",
                (0, 28),
            ),
            ("CREATE TRIGGER t BEFORE DELETE ON runs BEGIN SELECT RAISE(ABORT, 'no'); END", (0, 0)),
        ] {
            let mut connection = beside(&server).await;
            connection.execute(trigger).await.unwrap();
            forget().await.unwrap_err();
            assert_eq!(left().await, want, "{trigger}");
            connection.execute("DROP TRIGGER t").await.unwrap();
        }
        assert_eq!(forget().await.unwrap(), 1);
        assert_eq!(column(&server, "SELECT analysis FROM runs").await, Vec::<String>::new());
    }
}

const LINES: &str = "SELECT analysis FROM lines";
const CHUNKS: &str = "SELECT analysis FROM log_chunks";
