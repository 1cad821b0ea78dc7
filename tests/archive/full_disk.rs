//! A disk that is full is an error that passes, and what was written before and after it is one chain.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flamewarden::archive::{Archive, Verdict};

use crate::journal::{fetched, told};

#[tokio::test]
async fn on_a_full_disk_nothing_is_written_and_with_room_again_the_chain_goes_on() {
    if let Ok(folder) = std::env::var(DISK) {
        return write(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    // A disk of its own, which nobody else sees and which goes with the process.
    let test = "full_disk::on_a_full_disk_nothing_is_written_and_with_room_again_the_chain_goes_on";
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-ec"])
        .arg(format!("mount -t tmpfs -o size={SIZE} none \"$1\"; shift; exec \"$@\""))
        .arg("sh")
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DISK, folder.path())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains(DONE), "{said}");
}

/// What is done on the small disk.
async fn write(folder: &Path) {
    let filler: PathBuf = folder.join("filler");
    fs::write(&filler, vec![0; 1 << 20]).unwrap();
    let archive = Archive::open(&format!("sqlite:{}", folder.join("archive.db").display())).await.unwrap();
    let (mut number, mut kept) = (0, 0);
    let problem = loop {
        number += 1;
        let batch: Vec<u64> = (number * 100 - 99..=number * 100).collect();
        match archive.keep_decisions(fetched("r", &batch, 0)).await {
            Ok(_) => kept += 100,
            Err(problem) => break problem,
        }
    };
    let cause = format!("{problem:?}");
    assert!(problem.may_pass() && cause.contains("full"), "{cause}");
    assert!(kept > 0, "there was room for some");
    // What could be read before can be read still.
    assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
    fs::remove_file(&filler).unwrap();
    let next = number * 100 + 1;
    archive.keep_decisions(fetched("r", &[next], 0)).await.unwrap();
    let told = told(&archive).await;
    let want = ["gap not_kept 100".to_owned(), format!("decision r {next}")];
    assert_eq!(told.get(kept..).unwrap(), want);
    assert_eq!(archive.verify_journal(None).await.unwrap().verdict, Verdict::Whole);
    // The test that has started this one looks for it.
    std::io::Write::write_all(&mut std::io::stdout(), DONE.as_bytes()).unwrap();
}

const DISK: &str = "FLAMEWARDEN_TEST_SMALL_DISK";
const SIZE: &str = "3m";
const DONE: &str = "all of it was done\n";
