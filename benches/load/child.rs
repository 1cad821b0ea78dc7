//! A server in a process of its own, and what the kernel says of it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flamewarden::serve::renew_folder;
use serde_json::Value;
use tempfile::TempDir;

use crate::bare::Work;
use crate::reviews::POLICIES;

/// Policies and a certificate.
pub(crate) struct Folder {
    pub(crate) folder: TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        for (name, text) in POLICIES {
            fs::write(folder.path().join(name), text).unwrap();
        }
        renew_folder(folder.path(), &["127.0.0.1".to_owned()].into(), jiff::Timestamp::now()).unwrap();
        Folder { folder }
    }
}

/// A running server; killed when dropped.
pub(crate) struct Child {
    child: std::process::Child,
    pub(crate) address: SocketAddr,
    /// From its start until it was ready.
    pub(crate) ready: Duration,
}

impl Child {
    pub(crate) fn flamewarden(folder: &Folder) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flamewarden"));
        command.arg("serve").arg("--policies").arg(folder.folder.path());
        command.arg("--certificates").arg(folder.folder.path());
        command.args(["--listen=127.0.0.1:0", "--probes=127.0.0.1:0", "--log-format=json"]).env_remove("KUBECONFIG");
        Child::start(command)
    }

    pub(crate) fn bare(work: Work, folder: &Folder) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(work.word()).arg(folder.folder.path());
        Child::start(command)
    }

    fn start(mut command: Command) -> Self {
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
        while address("probes").is_some_and(|probes| !is_ready(probes)) {}
        let ready = begun.elapsed();
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Child { child, address: address("webhook").unwrap(), ready }
    }

    /// Time on the processor so far, of all threads.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks: Vec<u64> = fields.split(' ').skip(11).take(2).map(|field| field.parse().unwrap()).collect();
        // A tick is a hundredth of a second on every Linux.
        Duration::from_millis(ticks.iter().sum::<u64>() * 10)
    }

    /// Resident memory in MB.
    pub(crate) fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }
}

fn is_ready(probes: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(probes).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.starts_with("HTTP/1.1 200")
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
