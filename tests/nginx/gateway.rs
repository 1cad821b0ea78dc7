//! A real nginx with a gateway's configuration, on a free port of the loopback, in a folder of its own and without root; it
//! ends with the test run, however that ends.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use crate::part::{Janitor, Part, Recipe, write_file};
use crate::rendered::{Family, placed, printed};

/// A running one.
pub(crate) struct Gateway {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    folder: PathBuf,
    // Ends before its folder goes.
    part: Part,
    _port: TcpSocket,
    _janitor: Janitor,
}

impl Gateway {
    /// Starts one before upstreams with these addresses.
    pub(crate) fn before(upstreams: &[SocketAddr]) -> Gateway {
        let family = if upstreams[0].is_ipv6() { Family::Ipv6 } else { Family::Ipv4 };
        Gateway::changed(family, upstreams, &[])
    }

    /// The same with other texts in its configuration.
    pub(crate) fn changed(family: Family, upstreams: &[SocketAddr], changes: &[(&str, &str)]) -> Gateway {
        let folder = folder();
        let janitor = Janitor::of(&folder);
        let (port, address) = kept(family);
        let mut text = placed(&printed(family, &[]), family, address, &folder, upstreams);
        for (old, new) in changes {
            assert!(text.contains(old), "the configuration has no {old}");
            text = text.replace(old, new);
        }
        write_file(&folder.join("nginx.conf"), &text);
        // One process, since one that is killed could not end another. The gateway's own call is in the name of the first.
        let arguments = call(&folder, &["-g", "daemon off; master_process off;"]);
        let (program, arguments) = arguments.split_first().unwrap();
        let part = Part::start(Recipe {
            name: "nginx".to_owned(),
            program: PathBuf::from(program),
            arguments: arguments.to_vec(),
            environment: Vec::new(),
            log: folder.join("nginx.log"),
        });
        let mut gateway = Gateway { address, folder, part, _port: port, _janitor: janitor };
        gateway.await_start();
        gateway
    }

    /// Waits until it takes connections.
    fn await_start(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let ended = self.part.ended();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "nginx {ended:?}; its log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("nginx.log")).unwrap_or_default()
    }

    /// Bytes on disk below its folder, besides configuration, log and process id.
    pub(crate) fn stored(&self) -> u64 {
        let own = ["nginx.conf", "nginx.log", "nginx.pid"].map(|name| self.folder.join(name));
        files(&self.folder)
            .iter()
            .filter(|file| !own.contains(file))
            .map(|file| fs::metadata(file).unwrap().len())
            .sum()
    }

    /// Whose it is, and the most memory that it has used, in KiB.
    pub(crate) fn user_and_memory(&self) -> (u32, u64) {
        let process = fs::read_to_string(self.folder.join("nginx.pid")).unwrap();
        let process = Path::new("/proc").join(process.trim());
        let status = fs::read_to_string(process.join("status")).unwrap();
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        (fs::metadata(&process).unwrap().uid(), most.trim().trim_end_matches(" kB").parse().unwrap())
    }
}

/// What `nginx -t` says of a configuration.
pub(crate) fn tried(printed: &str, family: Family, upstreams: &[SocketAddr]) -> Output {
    let folder = folder();
    let _janitor = Janitor::of(&folder);
    let (_port, address) = kept(family);
    write_file(&folder.join("nginx.conf"), &placed(printed, family, address, &folder, upstreams));
    let arguments = call(&folder, &["-t", "-q"]);
    Command::new(&arguments[0]).args(&arguments[1..]).output().unwrap()
}

/// The program and its arguments, as somebody without rights.
fn call(folder: &Path, more: &[&str]) -> Vec<String> {
    let configuration = folder.join("nginx.conf").display().to_string();
    let mut call: Vec<&str> = Vec::new();
    if is_root() {
        call.extend(["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs"]);
        call.extend(["--inh-caps=-all", "--bounding-set=-all", "--pdeathsig", "KILL", "--"]);
    }
    call.extend(["/usr/sbin/nginx", "-e", "stderr", "-c", &configuration]);
    call.extend(more);
    call.into_iter().map(str::to_owned).collect()
}

fn folder() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("flamewarden-nginx.").tempdir().unwrap().keep();
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    if is_root() {
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    folder
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A port that is kept for somebody: who listens there must do so by this socket, or allow it to be bound twice, as nginx
/// does. Until then connections are refused.
pub(crate) fn kept(family: Family) -> (TcpSocket, SocketAddr) {
    let (socket, address) = match family {
        Family::Ipv4 => (TcpSocket::new_v4(), IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Family::Ipv6 => (TcpSocket::new_v6(), IpAddr::V6(Ipv6Addr::LOCALHOST)),
    };
    let socket = socket.unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind((address, 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).map(|entries| entries.map(|entry| entry.unwrap().path()).collect());
    let entries: Vec<PathBuf> = entries.unwrap_or_default();
    entries.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

const NOBODY: u32 = 65534;
const PATIENCE: Duration = Duration::from_secs(30);
