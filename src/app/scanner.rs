//! Edge: composition of the scanner: by whom scans are made, and with what.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::cluster::Recorder;
use crate::guard::GuardSettings;
use crate::remote::Ways;
use crate::scanner::{Child, ChildSettings, Runner, ScannerSettings, Scanning};

/// What scanning images takes.
#[derive(Debug, Clone)]
pub struct ScanTools {
    /// Grype, or its name on the search path.
    pub grype: PathBuf,
    /// The folder of its databases; without it nothing is scanned here.
    pub databases: Option<PathBuf>,
    /// Where images are unpacked.
    pub folder: PathBuf,
}

/// The scanner, with what the guard has too; none where there is nothing to scan with.
pub(super) fn scanning(
    tools: &ScanTools,
    guard: &GuardSettings,
    recorder: Arc<Recorder>,
) -> anyhow::Result<Option<Scanning>> {
    let Some(databases) = tools.databases.clone() else { return Ok(None) };
    let child = ChildSettings {
        program: std::env::current_exe().context("cannot tell which program this is")?,
        grype: tools.grype.clone(),
        databases,
        environment: HANDED_ON
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect(),
        folder: tools.folder.clone(),
        policies: guard.policies.clone(),
    };
    let child = Child::new(child).with_context(|| format!("--scan-folder {}", tools.folder.display()))?;
    Ok(Some(Scanning::new(ScannerSettings {
        cluster: guard.cluster.clone(),
        leadership: guard.leadership.clone(),
        policies: guard.policies.clone(),
        scans: guard.scans.clone(),
        recorder,
        runner: Arc::new(Runner::Child(child)),
        ways: Ways::plain(REGISTRY),
        metrics: guard.metrics.clone(),
    })))
}

/// Where programs are, and where the machine's authorities are.
const HANDED_ON: [&str; 3] = ["PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"];
/// For one answer of a registry.
const REGISTRY: Duration = Duration::from_secs(15);
