//! The program itself: its exit codes, its one line, its signals.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;

use crate::client::{Caller, Connection};
use crate::server::{PATIENCE, Place, review};

fn flamewarden() -> Command {
    Command::new(env!("CARGO_BIN_EXE_flamewarden"))
}

/// The program that serves a place.
pub(crate) fn serve(place: &Place) -> Command {
    let mut command = flamewarden();
    command.arg("serve").arg("--policies").arg(place.policies()).arg("--certificates").arg(place.certificates());
    command.args(["--listen=127.0.0.1:0", "--probes=127.0.0.1:0", "--log-format=json", "--linger=0s"]);
    command
}

fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8(output.stderr.clone()).unwrap())
}

/// A child that does not outlive its test.
pub(crate) struct Running {
    child: Child,
    log: Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (lines, log) = channel();
        let written = BufReader::new(child.stderr.take().unwrap()).lines();
        thread::spawn(move || written.map_while(Result::ok).try_for_each(|line| lines.send(line)));
        Running { child, log }
    }

    /// The next log line with that message.
    pub(crate) fn line(&mut self, message: &str) -> Value {
        while let Ok(line) = self.log.recv_timeout(PATIENCE) {
            let value: Value = serde_json::from_str(&line).unwrap();
            if value["message"] == message {
                return value;
            }
        }
        panic!("the log ends without {message:?}");
    }

    /// Its memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_broken_policy_at_the_first_start_is_one_line_that_names_file_line_and_reason() {
    let place = Place::mounted();
    fs::write(place.policies().join("broken.yaml"), "# why\napiVersion: flamewarden.dev/v1alpha1\nkind: Profil\n")
        .unwrap();
    let (code, text) = told(&serve(&place).output().unwrap());
    assert_eq!(code, Some(1));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{text}");
    for part in ["flamewarden: ", "broken.yaml", "line 3", "Profil"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[test]
fn what_cannot_start_says_why() {
    let place = Place::mounted();
    let none = told(&serve(&place).args(["--policies", "/nonexistent"]).output().unwrap());
    assert_eq!(none.0, Some(2), "given twice: {}", none.1);
    fs::remove_dir_all(place.policies()).unwrap();
    let (code, text) = told(&serve(&place).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(text.starts_with("flamewarden: cannot read policies in "), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_drains_and_a_refusal_is_one_line_without_values() {
    let place = Place::mounted();
    let mut running = Running::start(serve(&place));
    let line = running.line("serving");
    let address = |key: &str| line[key].as_str().unwrap().parse::<SocketAddr>().unwrap();
    let mut kept = Caller::trusting(&place.generation("first")).connect(address("webhook")).await.unwrap();
    let hostile = review().replace("\"jane\"", r#""ja\nne""#).replace("node/a:1", "node/secret-value:1");
    kept.post("/validate", hostile).await.unwrap();
    let refused = running.line("review answered");
    assert_eq!(refused["user"], "ja\\u{a}ne");
    assert_eq!(
        (&refused["uid"], &refused["namespace"], &refused["name"], &refused["resource"]),
        (&"u-1".into(), &"flame".into(), &"p".into(), &"pods".into())
    );
    assert_eq!((&refused["from"], &refused["checked"]), (&"127.0.0.1".into(), &false.into()));
    assert!(refused["rules"].as_str().unwrap().contains("pull-secret"), "{refused}");
    assert!(!refused.to_string().contains("secret-value"), "{refused}");
    let killed = Command::new("kill").args(["-TERM", &running.child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    running.line("told to stop");
    let ready = Connection::plain(address("probes")).await.fetch("/readyz").await;
    assert_eq!(ready.status, 503);
    let last = kept.post("/validate", review()).await.unwrap();
    assert_eq!(last.header("connection"), Some("close"));
    let code = tokio::task::spawn_blocking(move || running.child.wait().unwrap().code()).await.unwrap();
    assert_eq!(code, Some(0));
}

#[test]
fn certs_makes_a_certificate_once_and_leaves_others_alone() {
    let place = Place::new();
    let folder = place.certificates();
    let certs = || told(&flamewarden().arg("certs").arg(&folder).output().unwrap());
    assert_eq!(certs().0, Some(0));
    let read = || ["ca.crt", "ca.key", "tls.crt", "tls.key"].map(|file| fs::read(folder.join(file)).unwrap());
    let made = read();
    assert_eq!(certs().0, Some(0));
    assert_eq!(read(), made);
    fs::remove_file(folder.join("ca.key")).unwrap();
    let (code, text) = certs();
    assert_eq!(code, Some(1));
    assert!(text.contains("renewed by whoever made it"), "{text}");
    assert_eq!(fs::read(folder.join("tls.crt")).unwrap(), made[2]);
}
