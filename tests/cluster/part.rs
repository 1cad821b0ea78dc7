//! One program of the control plane: started, signalled, stopped, and ended with the test run whatever happens.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

/// How a part is started; kept, so that it can be started again as it was.
#[derive(Clone)]
pub(crate) struct Recipe {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) log: PathBuf,
}

/// A running program under `supervise`, which ends it when our end of the pipe closes.
pub(crate) struct Part {
    recipe: Recipe,
    supervisor: Child,
    orders: Option<ChildStdin>,
}

impl Part {
    /// Starts the program; its output goes to the end of its log.
    pub(crate) fn start(recipe: Recipe) -> Part {
        let log = OpenOptions::new().create(true).append(true).open(&recipe.log).unwrap();
        let mut supervisor = Command::new(SUPERVISE)
            .arg(&recipe.program)
            .args(&recipe.arguments)
            .envs(recipe.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|problem| panic!("cannot start {}: {problem}", recipe.name));
        let orders = supervisor.stdin.take();
        Part { recipe, supervisor, orders }
    }

    /// How it was started.
    pub(crate) fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Sends a signal by its name without `SIG`.
    pub(crate) fn signal(&mut self, name: &str) {
        if let Some(orders) = &mut self.orders {
            // A program that has ended meanwhile reads no orders; that is no fault of the caller's.
            let _ = writeln!(orders, "{name}");
        }
    }

    /// Its exit status, once it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.supervisor.try_wait().unwrap()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.supervisor.wait().unwrap()
    }

    /// What it said last, for the message of a test that fails.
    pub(crate) fn log_tail(&self) -> String {
        let text = fs::read(&self.recipe.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.supervisor.wait();
    }
}

/// Removes a folder when it is dropped, or when this process has ended, however it ends.
pub(crate) struct Janitor(Child);

impl Janitor {
    /// Waits beside a folder.
    pub(crate) fn of(folder: &Path) -> Janitor {
        let mut command = Command::new(SUPERVISE);
        command.arg(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Janitor(command.spawn().expect("cannot start supervise"))
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Writes a file in the folder of a control plane, which is its owner's alone.
pub(crate) fn write_file(path: &Path, content: &str) {
    let mut file = File::create(path).unwrap_or_else(|problem| panic!("cannot write {}: {problem}", path.display()));
    file.write_all(content.as_bytes()).unwrap();
}

const SUPERVISE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/supervise");
const TAIL: usize = 25;
