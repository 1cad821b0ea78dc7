//! A control plane of its own: its parts start again, and a killed test run leaves nothing behind.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::control_plane::{ControlPlane, PARTS};
use crate::shared::{run, wait_until};

#[test]
fn an_api_server_starts_again_with_what_it_had() {
    run(async {
        let plane = ControlPlane::start().await;
        let admin = plane.admin().await;
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kept"}});
        admin.create("/api/v1/namespaces", &namespace).await.unwrap();
        for signal in ["TERM", "KILL"] {
            plane.restart("kube-apiserver", signal).await;
            assert_eq!(admin.get("/api/v1/namespaces/kept").await.unwrap()["metadata"]["name"], "kept");
        }
        let folder = plane.folder().to_owned();
        drop(plane);
        assert_eq!(processes_of(&folder), Vec::<String>::new());
    });
}

#[test]
fn a_killed_run_leaves_no_process_and_no_folder() {
    if let Some(folder) = std::env::var_os(HELD) {
        return run(hold(folder.as_ref()));
    }
    let folder = tempfile::Builder::new().prefix("flamewarden-killed.").tempdir().unwrap().keep();
    let mut test_run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::a_killed_run_leaves_no_process_and_no_folder", "--nocapture"])
        .env(HELD, &folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    run(async {
        let held = folder.join("held");
        wait_until("the run has its cluster", START, async || {
            assert_eq!(test_run.try_wait().unwrap(), None, "the run to be killed ended by itself");
            held.exists().then_some(())
        })
        .await;
        let running = processes_of(&folder);
        for part in PARTS {
            assert!(running.iter().any(|line| line.contains(&format!("/{part} "))), "{part} is not among {running:?}");
        }
        test_run.kill().unwrap();
        test_run.wait().unwrap();
        wait_until("all processes of the killed run are gone", END, async || {
            (processes_of(&folder).is_empty() && !folder.exists()).then_some(())
        })
        .await;
    });
}

/// What the run that is going to be killed does: it starts a cluster, says so and stays.
async fn hold(folder: &Path) {
    let _plane = ControlPlane::start_in(folder.to_owned()).await;
    fs::write(folder.join("held"), "").unwrap();
    std::future::pending::<()>().await;
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

const HELD: &str = "FLAMEWARDEN_TEST_HELD_CLUSTER";
const START: Duration = Duration::from_secs(180);
const END: Duration = Duration::from_secs(20);
