//! A server in a folder of its own, with limits that a test chooses.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flamewarden::app::{
    ArchivePlace, CertificateSource, ControllerSettings, Installed, Part, Running, ScanTools, Settings, start,
};
use flamewarden::cluster::LeaseTiming;
use flamewarden::orchestrator::OutsideFiles;
use flamewarden::serve::{ConnectionLimits, renew_folder, service_names};
use flamewarden::webhook::{Judge, ReviewLimits};
use jiff::Timestamp;
use tempfile::TempDir;

/// A folder with policies and certificates as `serve` wants them.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Place { folder: TempDir::new().unwrap() };
        fs::create_dir(place.policies()).unwrap();
        for (name, text) in POLICIES {
            // Images have passed or not where there is a cluster (tests/cluster, tests/gate).
            let text = text.replace("verdict: required", "verdict: any");
            fs::write(place.policies().join(name), text).unwrap();
        }
        fs::create_dir(place.certificates()).unwrap();
        place
    }

    /// A place with a certificate, laid out as the kubelet lays out a mounted Secret.
    pub(crate) fn mounted() -> Self {
        let place = Place::new();
        place.mount("first");
        for file in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(file), place.certificates().join(file)).unwrap();
        }
        place
    }

    pub(crate) fn policies(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    pub(crate) fn certificates(&self) -> PathBuf {
        self.folder.path().join("certificates")
    }

    /// Where a generation of certificates stands, with its authority.
    pub(crate) fn generation(&self, name: &str) -> PathBuf {
        self.certificates().join(format!("..{name}"))
    }

    /// Makes a new certificate of a new authority and swaps the folder's symlink, as the kubelet does.
    pub(crate) fn mount(&self, name: &str) {
        let mut names = service_names("web", "ns");
        names.insert("127.0.0.1".to_owned());
        renew_folder(&self.generation(name), &names, Timestamp::now()).unwrap();
        self.swap(name);
    }

    pub(crate) fn swap(&self, name: &str) {
        let fresh = self.certificates().join("..data_tmp");
        symlink(format!("..{name}"), &fresh).unwrap();
        fs::rename(&fresh, self.certificates().join("..data")).unwrap();
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            parts: vec![Part::Webhook],
            policies: self.policies(),
            certificates: Some(self.certificates()),
            listen: ([127, 0, 0, 1], 0).into(),
            probes: ([127, 0, 0, 1], 0).into(),
            api: ([127, 0, 0, 1], 0).into(),
            pages: ([127, 0, 0, 1], 0).into(),
            client_authorities: None,
            client_name: None,
            look: Duration::from_millis(5),
            connections: ConnectionLimits { linger: Duration::ZERO, ..ConnectionLimits::default() },
            reviews: ReviewLimits::default(),
            controller: ControllerSettings {
                scans: ScanTools {
                    grype: "grype".into(),
                    databases: None,
                    folder: "scans".into(),
                    port: "127.0.0.1:0".parse().unwrap(),
                    address: None,
                },
                kubeconfig: None,
                namespace: "flamewarden-system".to_owned(),
                identity: "test".to_owned(),
                policies: self.folder.path().to_owned(),
                installed: Installed::default(),
                timing: LeaseTiming::default(),
                webhook_addresses: Vec::new(),
                certificates: CertificateSource::Other,
                files: OutsideFiles::default(),
                archive: ArchivePlace::Nowhere,
            },
        }
    }

    pub(crate) async fn start(&self) -> Running {
        start(&self.settings(), flamewarden::rules::judge).await.unwrap()
    }

    pub(crate) async fn start_judged_by(&self, judge: Judge) -> Running {
        start(&self.settings(), judge).await.unwrap()
    }
}

/// Waits until something holds; a test that waits for ever says for what.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain until {what}");
}

/// A review of a pod that the shipped policies mend and, as it is, refuse.
pub(crate) fn review() -> String {
    review_with("")
}

/// The same with more JSON members in its pod.
pub(crate) fn review_with(members: &str) -> String {
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u-1",
        "kind":{{"group":"","version":"v1","kind":"Pod"}},"resource":{{"group":"","version":"v1","resource":"pods"}},
        "name":"p","namespace":"flame","operation":"CREATE","userInfo":{{"username":"jane","groups":[]}},
        "object":{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"p",
        "labels":{{"component":"flame-analysis","app":"analysis-a"}}}},
        "spec":{{"containers":[{{"name":"analysis-a","image":"harbor.example/node/a:1"}}]}}{members}}},
        "oldObject":null,"dryRun":false,"options":null}}}}"#
    )
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const POLICIES: [(&str, &str); 3] = [
    ("flame-analysis.yaml", include_str!("../../policies/flame-analysis.yaml")),
    ("flame-gateway.yaml", include_str!("../../policies/flame-gateway.yaml")),
    ("installation.yaml", include_str!("../fixtures/installation.yaml")),
];
