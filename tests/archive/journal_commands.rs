//! The commands `audit verify` and `audit export`, as somebody types them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flamewarden::archive::{Archive, Keep};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sqlx::{Connection as _, Executor as _};
use tempfile::TempDir;

use crate::Server;
use crate::database::{archive, beside};
use crate::journal::{fetched, gap};

#[tokio::test]
async fn verify_says_whether_the_journal_is_whole_and_where_it_is_not() {
    let (server, archive) = archive().await;
    let url = Url::of(&server);
    archive.keep_decisions(fetched("r", &[1, 2, 3], 0)).await.unwrap();
    let head = gap(&archive, "replica_gone", 1).await;
    let (number, other) = (head.number.to_string(), format!("sha256:{}", "0".repeat(64)));
    for (more, code, says) in [
        (vec![], 0, format!("the journal is whole: 4 entries fit, the last of them 4 with the hash {}", head.hash)),
        (vec!["--number", &number, "--head", &head.hash], 0, "is whole".to_owned()),
        (vec!["--number", &number, "--head", &other], 3, "the journal is broken at entry 4: it is known".to_owned()),
        (vec!["--number", "5", "--head", &head.hash], 3, "broken at entry 5: it is known".to_owned()),
        (vec!["--number", "4"], 2, "--head <HASH>".to_owned()),
        (vec!["--number", "4", "--head", "abc"], 2, "write sha256: and 64 hexadecimal digits".to_owned()),
    ] {
        assert_said(&url.asked("verify", &more), code, &says);
    }
    archive.prune_journal(Keep { days: 30, entries: 3 }, jiff::Timestamp::now()).await.unwrap();
    assert_said(&url.asked("verify", &[]), 0, "entries up to 2 were pruned");
    assert_said(&url.asked("verify", &["--number", "1", "--head", &other]), 1, "nobody can tell");
    beside(&server).await.execute("DELETE FROM journal WHERE number = 4").await.unwrap();
    assert_said(&url.asked("verify", &[]), 3, "broken at entry 4: it is missing; the next that there is is 5");
}

#[tokio::test]
async fn what_is_exported_can_be_verified_by_anybody() {
    let (server, archive) = archive().await;
    let url = Url::of(&server);
    archive.keep_decisions(fetched("r", &[1, 2], 0)).await.unwrap();
    gap(&archive, "j\u{e4}", 1).await;
    let (lines, code, _) = url.asked("export", &[]);
    assert_eq!((lines.lines().count(), code), (3, 0), "{lines}");
    let mut previous = String::new();
    for (number, line) in (1_i64..).zip(lines.lines()) {
        assert!(line.is_ascii(), "{line}");
        let told: Value = serde_json::from_str(line).unwrap();
        let body = line.strip_prefix("{\"body\":").unwrap().rsplit_once(",\"hash\":").unwrap().0;
        let time: jiff::Timestamp = told["time"].as_str().unwrap().parse().unwrap();
        let kind = told["kind"].as_str().unwrap();
        let text = format!("{previous}\n{number}\n{}\n{kind}\n{body}", time.as_microsecond());
        let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        previous = format!("sha256:{hash}");
        assert_eq!((told["number"].as_i64(), told["hash"].as_str()), (Some(number), Some(previous.as_str())));
        assert_eq!(told.get("unchecked").is_some(), kind == "decision", "{line}");
    }
    let third = lines.lines().nth(2).unwrap();
    assert_eq!(url.asked("export", &["--from", "3"]).0, format!("{third}\n"));
    assert_eq!(url.asked("export", &["--since", "2020-01-01T00:00:00Z"]).0, lines);
    for (more, code, says) in [
        (vec!["--since", "2999-01-01T00:00:00Z"], 0, ""),
        (vec!["--from", "4"], 0, ""),
        (vec!["--from", "0"], 2, "0 is not in 1.."),
        (vec!["--from", "1", "--since", "2020-01-01T00:00:00Z"], 2, "cannot be used with"),
        (vec!["--since", "yesterday"], 2, "invalid value 'yesterday'"),
    ] {
        assert_said(&url.asked("export", &more), code, says);
    }
    archive.prune_journal(Keep { days: 30, entries: 2 }, jiff::Timestamp::now()).await.unwrap();
    assert_said(&url.asked("export", &[]), 0, "entries 1 to 2 are not there");
}

#[tokio::test]
async fn export_tells_what_is_no_entry_and_goes_on() {
    let (server, archive) = archive().await;
    let url = Url::of(&server);
    archive.keep_decisions(fetched("r", &[1, 2, 3, 4, 5], 0)).await.unwrap();
    let (whole, ..) = url.asked("export", &[]);
    let mut connection = beside(&server).await;
    connection.execute("UPDATE journal SET written = -9223372036854775807 WHERE number IN (2, 5)").await.unwrap();
    let (lines, code, said) = url.asked("export", &[]);
    assert_eq!((lines.lines().count(), code), (5, 0), "{lines}");
    for (number, (line, before)) in (1..).zip(lines.lines().zip(whole.lines())) {
        match number {
            2 | 5 => {
                assert!(line.contains(r#""kind":"unreadable""#) && line.contains(&format!(r#""number":{number},"#)));
                assert!(said.contains(&format!("entry {number} is not as it was written; see audit verify")), "{said}");
            }
            _ => assert_eq!(line, before),
        }
    }
    assert_said(&url.asked("verify", &[]), 3, "the journal is broken at entry 2");
}

#[tokio::test]
async fn an_archive_that_is_not_there_is_neither_made_nor_taken_for_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    for command in ["verify", "export"] {
        let (folder, missing) = (folder.path().to_str().unwrap(), missing.to_str().unwrap());
        for (arguments, code, says) in [
            (vec!["--archive", folder], 1, "there is no archive.db in this folder"),
            (vec!["--archive-url-file", missing], 1, "No such file or directory"),
            (vec![], 2, "--archive"),
            (vec!["--archive", folder, "--archive-url-file", missing], 2, "cannot be used with"),
        ] {
            assert_said(&asked(command, &arguments), code, says);
        }
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_copy_of_a_file_is_verified_and_stays_as_it_is() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let url = format!("sqlite:{}", folder.path().join("archive.db").display());
    let archive = Archive::open(&url).await.unwrap();
    archive.keep_decisions(fetched("r", &[1, 2], 0)).await.unwrap();
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    let file = copy.path().join("archive.db");
    fs::copy(folder.path().join("archive.db"), &file).unwrap();
    let before = fs::read(&file).unwrap();
    let arguments = ["--archive", copy.path().to_str().unwrap()];
    assert_said(&asked("verify", &arguments), 0, "the journal is whole: 2 entries fit");
    assert_eq!(asked("export", &arguments).0.lines().count(), 2);
    assert!(fs::read(&file).unwrap() == before, "not one byte is written");
    assert_eq!(fs::read_dir(copy.path()).unwrap().count(), 1, "and no file beside it");
    // One that is open is read beside whoever writes.
    assert_said(&asked("verify", &["--archive", folder.path().to_str().unwrap()]), 0, "2 entries fit");
}

/// A file with the URL of a server.
struct Url(TempDir);

impl Url {
    fn of(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("url"), server.url()).unwrap();
        Url(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("url")
    }

    fn asked(&self, command: &str, more: &[&str]) -> (String, i32, String) {
        let file = self.file();
        let arguments = [["--archive-url-file", Path::to_str(&file).unwrap()].as_slice(), more].concat();
        asked(command, &arguments)
    }
}

/// What is printed, the exit code, and what is said besides.
fn asked(command: &str, arguments: &[&str]) -> (String, i32, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_flamewarden")).args(["audit", command]).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), output.status.code().unwrap(), text(output.stderr))
}

fn assert_said((printed, code, said): &(String, i32, String), want: i32, says: &str) {
    assert!(*code == want && format!("{printed}{said}").contains(says), "{code} for {says}: {printed}{said}");
}
