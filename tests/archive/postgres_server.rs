//! A PostgreSQL of the tests' own, in a folder and on a port of its own, which ends with the test run whatever happens.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::sync::OnceCell;

use crate::database::connection;
use crate::part::{Janitor, Part, Recipe, write_file};
use crate::pki::Authority;

/// An empty database of a running server.
pub(crate) struct Server {
    port: u16,
    database: String,
    /// The server's program, where it is this test's alone.
    own: Option<Instance>,
}

/// A running server. Its fields are dropped in order: the program before its folder.
pub(crate) struct Instance {
    part: Part,
    port: u16,
    folder: PathBuf,
    _janitor: Janitor,
}

impl Server {
    /// A database of the server that the tests of a run share.
    pub(crate) async fn shared() -> Server {
        static SHARED: OnceCell<Instance> = OnceCell::const_new();
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let instance = SHARED.get_or_init(Instance::start).await;
        let database = format!("archive_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {database}"));
        connection(&url(instance.port, "postgres")).await.execute(sqlx::raw_sql(create)).await.unwrap();
        Server { port: instance.port, database, own: None }
    }

    /// A server of its own, which can be stopped.
    pub(crate) async fn alone() -> Server {
        let instance = Instance::start().await;
        Server { port: instance.port, database: "postgres".to_owned(), own: Some(instance) }
    }

    /// What `Archive::open` takes.
    pub(crate) fn url(&self) -> String {
        url(self.port, &self.database)
    }

    /// The server goes away as on an ordinary restart.
    pub(crate) async fn stop(&mut self) {
        let own = self.own.as_mut().unwrap();
        own.part.signal("INT");
        own.part.wait();
    }

    /// It comes back with what it had.
    pub(crate) async fn start(&mut self) {
        let own = self.own.as_mut().unwrap();
        own.part = Part::start(own.part.recipe().clone());
        assert!(own.ready().await, "PostgreSQL does not start again; its log ends:\n{}", own.part.log_tail());
    }

    /// Sends a signal to the server's own process alone.
    pub(crate) fn signal(&mut self, name: &str) {
        self.own.as_mut().unwrap().part.signal(name);
    }

    /// The folder of the server's files, certificates among them.
    pub(crate) fn folder(&self) -> &Path {
        &self.own.as_ref().unwrap().folder
    }

    /// Lists every table with its columns.
    pub(crate) const COLUMNS: &'static str = "\
        SELECT table_name || '.' || column_name FROM information_schema.columns \
        WHERE table_schema = 'public' ORDER BY (table_name || '.' || column_name) COLLATE \"C\"";
}

impl Instance {
    async fn start() -> Instance {
        sqlx::any::install_default_drivers();
        let folder = tempfile::Builder::new().prefix("flamewarden-postgres.").tempdir().unwrap().keep();
        let janitor = Janitor::of(&folder);
        prepare(&folder);
        let port = free_port();
        let mut instance = Instance { part: Part::start(recipe(&folder, port)), port, folder, _janitor: janitor };
        assert!(instance.ready().await, "PostgreSQL does not start; its log ends:\n{}", instance.part.log_tail());
        instance
    }

    /// Waits until it answers, or has ended.
    async fn ready(&mut self) -> bool {
        let url = url(self.port, "postgres");
        until("PostgreSQL answers", async || match self.part.ended() {
            Some(_) => Some(false),
            None => AnyConnection::connect(&url).await.ok().map(|_| true),
        })
        .await
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It clears up what lies outside of its folder, and does so even where a test has stopped it.
        self.part.signal("CONT");
        self.part.signal("QUIT");
        self.part.wait();
    }
}

/// Makes the server's files, its certificate and its one user's password.
fn prepare(folder: &Path) {
    let authority = Authority::new("test-database");
    let leaf = authority.serving(&["127.0.0.1"]);
    write_file(&folder.join("password"), PASSWORD);
    write_file(&folder.join("ca.crt"), &authority.certificate);
    write_file(&folder.join("other.crt"), &Authority::new("another").certificate);
    write_file(&folder.join("server.crt"), &leaf.certificate);
    write_file(&folder.join("server.key"), &leaf.key);
    fs::set_permissions(folder.join("server.key"), Permissions::from_mode(0o600)).unwrap();
    if is_root() {
        run(Command::new("chown").args(["-R", USER]).arg(folder));
    }
    let (program, arguments) = as_user(
        "initdb",
        &[
            format!("--pgdata={}", folder.join("data").display()),
            format!("--pwfile={}", folder.join("password").display()),
            "--username=flame".to_owned(),
            "--auth=scram-sha-256".to_owned(),
            "--encoding=UTF8".to_owned(),
            "--locale=C".to_owned(),
            "--no-sync".to_owned(),
        ],
    );
    run(Command::new(program).args(arguments));
}

fn recipe(folder: &Path, port: u16) -> Recipe {
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        // What outlives a killed process is tested, not what outlives a machine.
        "fsync=off".to_owned(),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", folder.join("server.crt").display()),
        format!("ssl_key_file={}", folder.join("server.key").display()),
    ];
    let settings = settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]);
    let arguments = ["-D".to_owned(), folder.join("data").display().to_string()].into_iter().chain(settings);
    let (program, arguments) = as_user("postgres", &arguments.collect::<Vec<_>>());
    let (name, log) = ("postgres".to_owned(), folder.join("postgres.log"));
    Recipe { name, program, arguments, environment: Vec::new(), log }
}

/// A program of PostgreSQL's and its arguments, not as root, which it refuses to be.
fn as_user(program: &str, arguments: &[String]) -> (PathBuf, Vec<String>) {
    let program = Path::new(PROGRAMS).join(program);
    assert!(program.exists(), "{} is missing; install Debian's package postgresql-15", program.display());
    if !is_root() {
        return (program, arguments.to_vec());
    }
    // The change of user takes back what `supervise` asked for, so it is asked for again.
    let user = ["--reuid", USER, "--regid", USER, "--clear-groups", "--pdeathsig", "KILL", "--"].map(str::to_owned);
    let all = user.into_iter().chain([program.display().to_string()]).chain(arguments.iter().cloned());
    ("setpriv".into(), all.collect())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|problem| panic!("cannot start {command:?}: {problem}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A port that is free now. It lies below those that Linux gives to outgoing connections, so that none of these takes
/// it before the server has it.
fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new((std::process::id() % 9_000) as u16));
    let next = || 20_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 9_000;
    std::iter::repeat_with(next).take(9_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://flame:{PASSWORD}@127.0.0.1:{port}/{database}")
}

/// Asks again until there is an answer. The one place where these tests wait.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain until {what}");
        tokio::time::sleep(PACE).await;
    }
}

/// The password of the database's user.
pub(crate) const PASSWORD: &str = "hush-4711";
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
const USER: &str = "postgres";
const PATIENCE: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_millis(20);
