//! The archive's file.

use std::os::unix::fs::PermissionsExt as _;
use std::{fs, io};

use flamewarden::archive::{Archive, ArchiveProblem};

use crate::database::{archive, column, record, run};

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
