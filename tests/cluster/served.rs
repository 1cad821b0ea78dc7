//! A REST API of a test's own, in this process.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use flamewarden::cluster::Cluster;
use flamewarden::orchestrator::{self, ApiParts, OutsideFiles};
use flamewarden::policy::PolicySet;
use flamewarden::serve::{ConnectionLimits, Drain};
use flamewarden::telemetry::Metrics;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::flamewarden::Guarded;
use crate::po::Api;

/// It answers until it is stopped.
pub(crate) struct Served {
    pub(crate) api: Api,
    drain: Drain,
    running: JoinHandle<()>,
}

impl Served {
    /// One that reaches the API server so, and has these policies and files.
    pub(crate) async fn start(
        guarded: &'static Guarded,
        cluster: Cluster,
        policies: &[(String, String)],
        files: OutsideFiles,
    ) -> Served {
        let policies = PolicySet::parse(policies.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap();
        let parts = ApiParts {
            cluster,
            policies: Arc::new(ArcSwap::from_pointee(policies)),
            files,
            archive: None,
            metrics: Arc::new(Metrics::new()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let drain = Drain::default();
        let limits = ConnectionLimits { linger: Duration::ZERO, drain: Duration::ZERO, ..ConnectionLimits::default() };
        let running = tokio::spawn(orchestrator::Api::new(parts).run(listener, limits, drain.clone()));
        Served { api: Api::answered_at(guarded, &address).await, drain, running }
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stopped(self) {
        self.drain.begin();
        self.running.await.unwrap();
    }
}
