//! Edge: runs Grype on one image: with settings of its own, nothing of the caller's environment, and an end.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::OFlags;
use tempfile::TempDir;
use tokio::process::Command;

use super::is_asked_plainly;
use crate::model::ImageRef;

/// How Grype is run.
#[derive(Debug, Clone)]
pub struct Grype {
    /// The program, or its name on the search path.
    pub program: PathBuf,
    /// What it is run through, such as what bounds it first: a program and its first arguments.
    pub through: Vec<OsString>,
    /// The folder of its databases (`GRYPE_DB_CACHE_DIR`); never updated here.
    pub databases: PathBuf,
    /// How registries are spoken to.
    pub transport: Transport,
    /// The folder of Docker's settings with the credentials for registries, if it gets any.
    pub credentials: Option<PathBuf>,
    /// Variables that it gets besides: where proxies and authorities are.
    pub environment: Vec<(String, String)>,
    /// How long a scan may take.
    pub patience: Duration,
}

/// How registries are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTPS alone; in Grype's case, which does not hold to that everywhere, no credential by anything else.
    Tls,
    /// Also HTTP: for registries of tests.
    Plain,
}

/// What a scan left behind.
#[derive(Debug)]
pub struct Scanned {
    folder: PathBuf,
    /// The folder, where it is the scan's own; it goes when this is dropped.
    _own: Option<TempDir>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum GrypeProblem {
    /// Something on this machine.
    #[error("cannot {doing} {}", path.display())]
    Local {
        /// What was to be done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It took too long and was ended.
    #[error("grype has not ended after {} s and was stopped", .0.as_secs())]
    Slow(Duration),
    /// It ended without a report, or with one that it does not stand for.
    #[error("grype came to no end ({status}): {told}")]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// What it said last.
        told: String,
    },
    /// It was not run: the credential might go over the network as it is.
    #[error(
        "grype is given no credential for `{0}`: a host that looks local it also asks in plain HTTP; name the registry by a \
         DNS name that does not end in .local or .localhost, or, if plain HTTP is meant, list it in `insecureRegistries` of \
         the document of kind Scanner"
    )]
    Unsafe(String),
    /// A part of it failed, so that something may be missing in the report; it ends well all the same.
    #[error("a part of grype failed: {0}")]
    Degraded(String),
}

impl Grype {
    /// Scans an image that stands in a registry, for one platform where one is named.
    ///
    /// # Errors
    /// Grype could not be run, did not end in time, or made no report.
    pub async fn scan(&self, image: &str, platform: Option<&str>) -> Result<Scanned, GrypeProblem> {
        let folder = tempfile::Builder::new().prefix("flamewarden-scan.").tempdir();
        let folder = folder.map_err(local("make a folder in", &std::env::temp_dir()))?;
        let scanned = self.scan_in(folder.path(), image, platform).await?;
        Ok(Scanned { _own: Some(folder), ..scanned })
    }

    /// The same in a folder that is there already, and stays.
    ///
    /// # Errors
    /// As for [`Grype::scan`].
    pub async fn scan_in(&self, folder: &Path, image: &str, platform: Option<&str>) -> Result<Scanned, GrypeProblem> {
        let host = ImageRef::parse(image).map_or(image, |image| image.host);
        if self.credentials.is_some() && self.transport == Transport::Tls && is_asked_plainly(host) {
            return Err(GrypeProblem::Unsafe(host.to_owned()));
        }
        let scanned = Scanned::at(folder);
        let settings = scanned.path("settings.yaml");
        fs::write(&settings, SETTINGS).map_err(local("write", &settings))?;
        // Into a file: what nobody reads would hold Grype up.
        let said = scanned.path("said");
        let errors = File::create(&said).map_err(local("write", &said))?;
        let mut command = self.command(&scanned, image, platform);
        command.stderr(errors);
        let mut child = command.spawn().map_err(local("run", &self.program))?;
        let Ok(ended) = tokio::time::timeout(self.patience, child.wait()).await else {
            return Err(GrypeProblem::Slow(self.patience));
        };
        let status = ended.map_err(local("wait for", &self.program))?;
        let told = tail(&said).map_err(local("read", &said))?;
        // 2: something reached `fail-on-severity`, which nobody asked for here; the report is whole.
        if !matches!(status.code(), Some(0 | 2)) {
            let told = told.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned();
            return Err(GrypeProblem::Ended { status, told });
        }
        match told.lines().find(|line| line.contains("matcher returned error")) {
            Some(line) => Err(GrypeProblem::Degraded(line.to_owned())),
            None => Ok(scanned),
        }
    }

    fn command(&self, scanned: &Scanned, image: &str, platform: Option<&str>) -> Command {
        let mut words = self.through.iter().map(OsString::as_os_str).chain([self.program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or(self.program.as_os_str()));
        let folder = &scanned.folder;
        command
            .args(words)
            .arg(format!("registry:{image}"))
            .arg("-c")
            .arg(scanned.path("settings.yaml"))
            .args(["-o", &format!("json={}", scanned.path(REPORT).display())])
            .args(["-o", &format!("cyclonedx-json={}", scanned.path(SBOM).display())])
            .args(platform.into_iter().flat_map(|platform| ["--platform", platform]))
            .env_clear()
            .envs(self.environment.iter().cloned())
            // Without, it looks in its home, which is empty.
            .envs(self.credentials.iter().map(|folder| ("DOCKER_CONFIG", folder)))
            .env("GRYPE_DB_CACHE_DIR", &self.databases)
            .env("GRYPE_REGISTRY_INSECURE_USE_HTTP", if self.transport == Transport::Plain { "true" } else { "false" })
            // Layers are unpacked there; settings would be sought in the others.
            .env("TMPDIR", folder)
            .env("HOME", folder)
            .env("XDG_CACHE_HOME", folder)
            .env("XDG_CONFIG_HOME", folder)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // What is meant for the terminal's group is not for it, and its own group can be ended as one.
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

impl Scanned {
    /// What a scan left behind in this folder.
    pub fn at(folder: &Path) -> Self {
        Scanned { folder: folder.to_owned(), _own: None }
    }

    /// Grype's report.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn report(&self) -> io::Result<File> {
        open(&self.path(REPORT))
    }

    /// The SBOM of the same run.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn sbom(&self) -> io::Result<File> {
        open(&self.path(SBOM))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn local(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> GrypeProblem + use<> {
    let path = path.to_owned();
    move |source| GrypeProblem::Local { doing, path, source }
}

/// Opens a file that something hostile may have put there: it leads nowhere else, and opening it does not wait.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no file")) }
}

/// The end of what was said, of which there may be any amount.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(SAID)))?;
    let mut bytes = Vec::new();
    file.take(SAID).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whatever changes a report is as Grype has it by default. A database's age is ours to judge: Grype would end without a
/// report.
const SETTINGS: &str = "check-for-app-update: false\ndb: {auto-update: false, validate-age: false}\n";
const REPORT: &str = "report.json";
const SBOM: &str = "sbom.json";
const SAID: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn grype_is_not_run_where_it_could_show_a_credential_without_tls() {
        let credential = || Some(PathBuf::from("/nowhere"));
        for (host, transport, credentials, runs) in [
            ("127.0.0.1:5000", Transport::Tls, credential(), false),
            ("harbor.local", Transport::Tls, credential(), false),
            ("127.0.0.1:5000", Transport::Tls, None, true),
            ("127.0.0.1:5000", Transport::Plain, credential(), true),
            ("harbor.example", Transport::Tls, credential(), true),
        ] {
            let grype = Grype {
                program: PathBuf::from("/nowhere/grype"),
                through: Vec::new(),
                databases: PathBuf::from("/nowhere"),
                transport,
                credentials,
                environment: Vec::new(),
                patience: Duration::from_secs(10),
            };
            let problem = grype.scan(&format!("{host}/a/b:1"), None).await.unwrap_err();
            match problem {
                GrypeProblem::Unsafe(named) => assert!(!runs && named == host, "{host} {transport:?}"),
                problem => assert!(runs && problem.to_string().contains("cannot run"), "{host}: {problem}"),
            }
        }
    }
}
