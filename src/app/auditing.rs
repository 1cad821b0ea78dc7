//! Edge: composition of the auditor that the controller runs: what it holds the cluster against.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::controller::{CertificateSource, ControllerSettings};
use crate::archive::Archive;
use crate::auditor::{Auditing, AuditingSettings};
use crate::cluster::Recorder;
use crate::guard::GuardSettings;
use crate::install::{self, Certificates, Endpoint};
use crate::serve::read_policies;
use crate::telemetry::whole;

/// What `manifests` was told, for the audit to hold the cluster against.
#[derive(Debug, Clone, Default)]
pub struct Installed {
    /// The image of Flamewarden that is to run, by digest; without it the image is told as not looked at.
    pub image: Option<String>,
    /// Where the API server reaches the webhook, if not by its Service.
    pub url: Option<String>,
}

/// Audits the cluster for as long as the process lives.
pub(super) fn audit(
    loops: &mut JoinSet<()>,
    settings: &ControllerSettings,
    guard: &GuardSettings,
    (recorder, archive): (Arc<Recorder>, Option<Arc<Archive>>),
    stopped: &watch::Receiver<bool>,
) {
    let folder: PathBuf = settings.policies.clone();
    let auditing = AuditingSettings {
        cluster: guard.cluster.clone(),
        leadership: guard.leadership.clone(),
        policies: guard.policies.clone(),
        files: Arc::new(move || read_policies(&folder).map_err(|problem| whole(&problem))),
        installation: installation(settings),
        archive,
        recorder,
        metrics: guard.metrics.clone(),
    };
    loops.spawn(Auditing::new(auditing).run(stopped.clone()));
}

fn installation(settings: &ControllerSettings) -> install::Settings {
    let Installed { image, url } = settings.installed.clone();
    install::Settings {
        namespace: settings.namespace.clone(),
        image: image.unwrap_or_default(),
        endpoint: match url {
            // What signs the certificate is not compared.
            Some(base) => Endpoint::Url { base, ca_bundle: String::new() },
            None => Endpoint::Service,
        },
        certificates: match settings.certificates {
            CertificateSource::Own => Certificates::Own,
            CertificateSource::CertManager => Certificates::CertManager,
            CertificateSource::Other => Certificates::Other,
        },
        files: std::collections::BTreeMap::new(),
    }
}
