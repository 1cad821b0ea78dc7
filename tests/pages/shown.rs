//! Pages on a port of their own, with an archive that has something of everything.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use arc_swap::ArcSwap;
use flamewarden::archive::Archive;
use flamewarden::cluster::Cluster;
use flamewarden::facts::ScanMemory;
use flamewarden::pages::{PageParts, Pages};
use flamewarden::policy::PolicySet;
use flamewarden::serve::{ConnectionLimits, Drain};
use flamewarden::telemetry::Metrics;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::content::{MARK, fill};

/// Pages that are shown; they end with the test.
pub(crate) struct Shown {
    /// Where: `http://127.0.0.1:PORT`.
    pub(crate) address: String,
    pub(crate) archive: Arc<Archive>,
    pub(crate) policies: Arc<ArcSwap<PolicySet>>,
    _folder: TempDir,
}

/// A port for pages that are shown later, so that a provider of logins can know of them.
pub(crate) struct Port {
    listener: TcpListener,
    pub(crate) address: String,
}

impl Port {
    pub(crate) async fn bound() -> Port {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        Port { listener, address }
    }
}

impl Shown {
    /// To everybody.
    pub(crate) async fn to_all() -> Shown {
        Shown::start(Port::bound().await, "    login: none\n").await
    }

    /// With these settings besides the address, each line after four spaces.
    pub(crate) async fn start(port: Port, settings: &str) -> Shown {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("kubeconfig");
        fs::write(&config, crate::api::start().await).unwrap();
        let policies = Arc::new(ArcSwap::from_pointee(policies(&port.address, settings)));
        let archive =
            Arc::new(Archive::open(&format!("sqlite:{}", folder.path().join("archive").display())).await.unwrap());
        fill(&archive, Timestamp::now()).await;
        let pages = Pages::new(PageParts {
            cluster: Cluster::connect(Some(&config), "pages").await.unwrap(),
            policies: policies.clone(),
            // What is wrong with the files is shown, too.
            files: Arc::new(|| Ok(BTreeMap::from([(format!("file{MARK}"), format!("wrong{MARK}"))]))),
            scans: Arc::new(ScanMemory::default()),
            archive: archive.clone(),
            metrics: Arc::new(Metrics::new()),
        });
        let Port { listener, address } = port;
        tokio::spawn(pages.run(listener, ConnectionLimits::default(), Drain::default()));
        Shown { address, archive, policies, _folder: folder }
    }

    /// Every page with content of its own.
    pub(crate) fn pages(&self) -> Vec<String> {
        let paths = [
            "/",
            "/findings",
            "/findings?show=all&page=2",
            "/findings?new=1",
            "/findings?fixed=4",
            "/analyses",
            "/analyses/flame/analysis-of-flame",
            "/analyses/analyses/analysis-of-analyses",
            "/decisions",
            "/decisions?outcome=refused",
            "/exceptions",
            "/nowhere",
        ];
        paths.map(|path| format!("{}{path}", self.address)).to_vec()
    }
}

pub(crate) fn policies(address: &str, settings: &str) -> PolicySet {
    let auditor =
        format!("apiVersion: flamewarden.dev/v1alpha1\nkind: Auditor\nspec:\n  pages:\n    url: {address}\n{settings}");
    PolicySet::parse([
        ("a.yaml", include_str!("../../policies/flame-analysis.yaml")),
        ("g.yaml", include_str!("../../policies/flame-gateway.yaml")),
        ("i.yaml", include_str!("../fixtures/installation.yaml")),
        ("u.yaml", auditor.as_str()),
    ])
    .unwrap()
}
