//! What a worker is told: what to scan, by what, within which bounds, and where what it brings goes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Errand;
use crate::policy::Scanner;

/// One scan, as its worker is told of it. It holds a credential, so nothing shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    /// The image by its digest.
    pub image: String,
    /// Its platform, where that is known.
    pub platform: Option<String>,
    /// The registry's one credential, as a `.dockerconfigjson`.
    pub credential: Option<String>,
    /// The registry's own authorities, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorities: Option<String>,
    /// Whether the registry is spoken to without TLS.
    pub insecure: bool,
    /// Grype, or its name on the search path.
    pub grype: PathBuf,
    /// The folder of its databases.
    pub databases: PathBuf,
    /// Variables that Grype gets besides: where proxies and authorities are.
    pub environment: Vec<(String, String)>,
    /// What it may take.
    pub bounds: Bounds,
    /// Where what it brings goes.
    pub deliver: Deliver,
}

/// What a scan may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bounds {
    /// Seconds.
    pub time: u32,
    /// Bytes of all its processes.
    pub memory: u64,
    /// Bytes of all its files.
    pub disk: u64,
    /// Processes at one time.
    pub processes: usize,
}

/// Where what a worker brings goes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Deliver {
    /// It stays in this folder, where the scan is made.
    Folder(PathBuf),
    /// It is sent to the controller.
    Port(PortOrder),
}

/// The controller's port for scans, and by what it knows a worker.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortOrder {
    /// Where it is.
    pub at: SocketAddr,
    /// The name in its certificate.
    pub name: String,
    /// By whom that is signed, PEM.
    pub authority: String,
    /// The digest that may be spoken for.
    pub digest: String,
    /// What nobody else knows.
    pub nonce: String,
}

/// Who scans, and with what.
#[derive(Debug, Clone)]
pub(super) struct Tools {
    pub(super) grype: PathBuf,
    pub(super) databases: PathBuf,
    pub(super) environment: Vec<(String, String)>,
}

impl Order {
    pub(super) fn of(errand: &Errand, tools: Tools, bounds: Bounds, deliver: Deliver) -> Self {
        Order {
            image: errand.image(),
            platform: errand.platform.clone(),
            credential: errand.credential.clone(),
            authorities: errand.authorities.clone(),
            insecure: errand.insecure,
            grype: tools.grype,
            databases: tools.databases,
            environment: tools.environment,
            bounds,
            deliver,
        }
    }
}

impl Bounds {
    /// What the settings allow.
    pub(super) fn of(scanner: &Scanner) -> Self {
        Bounds {
            time: scanner.timeout_seconds,
            memory: scanner.memory.whole(),
            disk: scanner.disk.whole(),
            processes: PROCESSES,
        }
    }

    /// How long it may take.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.time.into())
    }
}

/// Grype is one.
const PROCESSES: usize = 16;
