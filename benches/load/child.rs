//! A server in a process of its own, and what the kernel says of it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flamewarden::serve::renew_folder;
use serde_json::Value;
use tempfile::TempDir;

use crate::bare::Work;
use crate::reviews::POLICIES;
use crate::scans;

/// Policies, a certificate, and who tells what has passed.
pub(crate) struct Folder {
    pub(crate) folder: TempDir,
    kubeconfig: PathBuf,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in POLICIES {
            fs::write(folder.path().join(name), text).unwrap();
        }
        renew_folder(folder.path(), &["127.0.0.1".to_owned()].into(), jiff::Timestamp::now()).unwrap();
        Folder { folder, kubeconfig: scans::served() }
    }
}

/// A running server; killed when dropped.
pub(crate) struct Child {
    child: std::process::Child,
    webhook: Option<SocketAddr>,
    probes: Option<SocketAddr>,
    /// From its start until it was ready.
    pub(crate) ready: Duration,
}

impl Child {
    pub(crate) fn flamewarden(folder: &Folder) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
        command.arg("serve").arg("--policies").arg(folder.folder.path());
        command.arg("--certificates").arg(folder.folder.path());
        command.args(["--listen=127.0.0.1:0", "--probes=127.0.0.1:0", "--log-format=json"]);
        command.arg("--kubeconfig").arg(&folder.kubeconfig);
        Child::start(command)
    }

    pub(crate) fn bare(work: Work, folder: &Folder) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(work.word()).arg(folder.folder.path());
        Child::start(command)
    }

    /// Starts a server that says in JSON where it serves.
    pub(crate) fn start(mut command: Command) -> Self {
        let begun = Instant::now();
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let line = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "the server ended");
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "serving" {
                break line;
            }
        };
        let address = |key: &str| line[key].as_str().map(|text| text.parse::<SocketAddr>().unwrap());
        let (webhook, probes) = (address("webhook"), address("probes"));
        while probes.is_some_and(|probes| !ask(probes, "/readyz").starts_with("HTTP/1.1 200")) {}
        let ready = begun.elapsed();
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Child { child, webhook, probes, ready }
    }

    /// Where reviews are answered.
    pub(crate) fn address(&self) -> SocketAddr {
        self.webhook.unwrap()
    }

    /// What the probes' port says to a path.
    pub(crate) fn told(&self, path: &str) -> String {
        ask(self.probes.unwrap(), path)
    }

    /// Time on the processor so far, of all threads that live.
    pub(crate) fn cpu(&self) -> Duration {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanos = threads.map(|thread| {
            let stat = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            stat.split(' ').next().unwrap().parse::<u64>().unwrap()
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Resident memory in MB.
    pub(crate) fn memory(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most resident memory that it ever had, in MB.
    pub(crate) fn most_memory(&self) -> f64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }
}

fn ask(probes: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(probes).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
