//! Python with what `requirements.txt` names, in a folder of its own that is made once and kept.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The Python to run; made by the first test that asks.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(make)
}

/// A file beside this one.
pub(crate) fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract").join(name)
}

fn make() -> PathBuf {
    let requirements = beside("requirements.txt");
    let version = run(Command::new("python3").arg("--version"));
    let mut hasher = DefaultHasher::new();
    (fs::read(&requirements).unwrap(), version).hash(&mut hasher);
    let cache = cache();
    fs::create_dir_all(&cache).unwrap();
    // Of two test runs at once one makes it.
    let lock = File::create(cache.join("lock")).unwrap();
    lock.lock().unwrap();
    let folder = cache.join(format!("{:016x}", hasher.finish()));
    let whole = folder.join("whole");
    if !whole.exists() {
        let _ = fs::remove_dir_all(&folder);
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let quietly =
            ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"];
        run(Command::new(folder.join("bin/pip")).args(quietly).arg("--requirement").arg(&requirements));
        fs::write(whole, "").unwrap();
    }
    folder.join("bin/python")
}

fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME").expect("HOME is set").join(".cache");
    let cache =
        set("FLAMEWARDEN_CACHE").unwrap_or_else(|| set("XDG_CACHE_HOME").unwrap_or_else(home).join("flamewarden"));
    cache.join("contract")
}

/// Runs it to its end; gives what it said.
pub(crate) fn run(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
    let said = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(done.status.success(), "{command:?} ended with {}:\n{said}", done.status);
    said
}
