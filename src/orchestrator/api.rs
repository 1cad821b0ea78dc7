//! Edge: FLAME's REST API `/po`: what it needs, and how long it answers.

mod access;
mod answer;
mod creation;
mod document;
mod http;
mod line;
mod operations;
mod pace;
mod page;
mod realms;
mod route;
mod schemas;
#[cfg(test)]
mod testing;
mod view;

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use self::pace::Pace;
use self::realms::Realms;
use super::OutsideFiles;
use crate::cluster::Cluster;
use crate::policy::PolicySet;
use crate::serve::{ConnectionLimits, Drain, Listen, serve};
use crate::telemetry::Metrics;

/// What answers; any number of them may, whoever leads.
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    cluster: Cluster,
    policies: Arc<ArcSwap<PolicySet>>,
    realms: Realms,
    /// Bodies of administrators that are read at one time.
    administrators: Semaphore,
    /// Bodies of analyses that are read at one time.
    analyses: Semaphore,
    /// How often analyses may change what is stored of them.
    pace: Mutex<Pace>,
    /// Answers with logs that are put together at one time.
    reading: Semaphore,
}

/// What the API needs.
pub struct ApiParts {
    /// The API server; without an election, since all replicas answer.
    pub cluster: Cluster,
    /// The policies in force, the API's own settings among them.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// What reaching Keycloak takes.
    pub files: OutsideFiles,
    /// Where numbers go.
    pub metrics: Arc<Metrics>,
}

impl Api {
    /// An API that answers nobody yet.
    pub fn new(parts: ApiParts) -> Self {
        let ApiParts { cluster, policies, files, metrics } = parts;
        let inner = Inner {
            cluster,
            policies,
            realms: Realms::new(metrics, files),
            administrators: Semaphore::new(BODIES),
            analyses: Semaphore::new(BODIES),
            pace: Mutex::default(),
            reading: Semaphore::new(READINGS),
        };
        Api { inner: Arc::new(inner) }
    }

    /// Answers until the drain is over.
    pub async fn run(self, listener: TcpListener, limits: ConnectionLimits, drain: Drain) {
        let inner = self.inner.clone();
        let listen = Listen { listener, tls: None, handler: Arc::new(self), limits, drain };
        tokio::select! {
            () = serve(listen) => {}
            () = inner.realms.keep_fresh() => {}
        }
    }
}

const BODIES: usize = 16;
const READINGS: usize = 2;
