//! Edge: FLAME's REST API `/po`: what it needs, and how long it answers.

mod access;
mod answer;
mod bodies;
mod cleaning;
mod cleanup;
mod creation;
mod document;
mod hidden;
mod history;
mod http;
mod hub_lines;
mod kept_lines;
mod leftovers;
mod line;
mod operations;
mod pace;
mod page;
mod realms;
mod route;
mod schemas;
mod view;
mod waiting;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::bodies::Bodies;
use self::hidden::Hidden;
use self::hub_lines::HubLines;
use self::kept_lines::KeptLines;
use self::pace::Pace;
use self::realms::Realms;
use super::OutsideFiles;
use crate::archive::Archive;
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
    /// Lines on their way to the Hub.
    hub: HubLines,
    files: OutsideFiles,
    /// Bodies of administrators that are read at one time.
    administrators: Semaphore,
    /// Bodies of each analysis that are with us at one time.
    bodies: Bodies,
    /// Lines of analyses, read whole, that are looked at at one time.
    analyses: Semaphore,
    /// What must not stand in lines.
    hidden: Hidden,
    /// How often analyses may change what is stored of them.
    pace: Mutex<Pace>,
    /// What has ended; nothing is known of it without one.
    archive: Option<Arc<Archive>>,
    /// Where numbers go.
    metrics: Arc<Metrics>,
    /// Lines on their way into it.
    lines: KeptLines,
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
    /// What has ended; none where nothing is kept.
    pub archive: Option<Arc<Archive>>,
    /// Where numbers go.
    pub metrics: Arc<Metrics>,
}

impl Api {
    /// An API that answers nobody yet.
    pub fn new(parts: ApiParts) -> Self {
        let ApiParts { cluster, policies, files, archive, metrics } = parts;
        let inner = Inner {
            policies,
            realms: Realms::new(metrics.clone(), files.clone()),
            hub: HubLines::new(files.clone(), metrics.clone()),
            lines: KeptLines::new(archive.clone(), cluster.clone(), metrics.clone()),
            cluster,
            metrics,
            archive,
            files,
            administrators: Semaphore::new(BODIES),
            bodies: Bodies::default(),
            analyses: Semaphore::new(BODIES),
            hidden: Hidden::default(),
            pace: Mutex::default(),
            reading: Semaphore::new(READINGS),
        };
        Api { inner: Arc::new(inner) }
    }

    /// Answers until the drain is over.
    pub async fn run(self, listener: TcpListener, limits: ConnectionLimits, drain: Drain) {
        let inner = self.inner.clone();
        let listen = Listen { listener, tls: None, handler: Arc::new(self), limits, drain };
        let (lines, mut writing) = (inner.clone(), JoinSet::new());
        writing.spawn(async move { lines.lines.run().await });
        tokio::select! {
            () = serve(listen) => {}
            () = inner.realms.keep_fresh() => {}
        }
        inner.lines.close();
        let _ = timeout(LAST_LINES, writing.join_next()).await;
    }
}

/// For all lines that wait at the end.
const LAST_LINES: Duration = Duration::from_secs(5);
const BODIES: usize = 16;
const READINGS: usize = 2;
