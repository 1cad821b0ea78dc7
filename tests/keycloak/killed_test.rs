//! A killed test run leaves no Keycloak behind.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::{Server, flame_realm};

#[tokio::test]
async fn a_killed_run_leaves_no_process_and_no_folder() {
    if let Some(folder) = std::env::var_os(HELD) {
        let _server = Server::launch(folder.into(), &[flame_realm(&[])]);
        return std::future::pending().await;
    }
    let folder = tempfile::Builder::new().prefix("flamewarden-killed.").tempdir().unwrap().keep();
    let mut test_run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed_test::a_killed_run_leaves_no_process_and_no_folder", "--nocapture"])
        .env(HELD, &folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // Java itself, not what starts it.
    let is_java = |line: &String| line.split(' ').next().is_some_and(|program| program.ends_with("java"));
    let runs = || processes_of(&folder).iter().any(is_java);
    wait_until("Keycloak runs", runs).await;
    test_run.kill().unwrap();
    test_run.wait().unwrap();
    wait_until("all is gone", || processes_of(&folder).is_empty() && !folder.exists()).await;
}

async fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The command lines of all processes that name a folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let name = folder.to_str().unwrap();
    let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(name)).collect()
}

const HELD: &str = "FLAMEWARDEN_TEST_HELD_KEYCLOAK";
const PATIENCE: Duration = Duration::from_secs(120);
