//! Edge: composition of the pages: listener, connection to the API server, archive.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::future::BoxFuture;

use super::{Settings, Shared, bind};
use crate::archive::Archive;
use crate::cluster::Cluster;
use crate::pages::{PageParts, Pages};
use crate::serve::{ConnectionLimits, read_policies};
use crate::telemetry::whole;

/// Pages that are to be served: where they listen, and what answers.
pub(super) struct Shown {
    pub(super) address: SocketAddr,
    pub(super) running: BoxFuture<'static, ()>,
}

/// Begins to listen where the policies have pages; otherwise there are none, until the next start.
pub(super) async fn start(
    settings: &Settings,
    shared: &Shared,
    archive: Option<Arc<Archive>>,
) -> anyhow::Result<Option<Shown>> {
    if shared.policies.set.load().auditor.pages.is_none() {
        return Ok(None);
    }
    let Some(archive) = archive else {
        tracing::warn!(
            "no pages are shown: they need an archive, by a section `archive` of the Auditor or an Orchestrator"
        );
        return Ok(None);
    };
    let cluster = Cluster::connect(settings.controller.kubeconfig.as_deref(), MANAGER).await;
    let folder = settings.controller.policies.clone();
    let pages = Pages::new(PageParts {
        cluster: cluster.context("the pages need an API server")?,
        policies: shared.policies.set.clone(),
        files: Arc::new(move || read_policies(&folder).map_err(|problem| whole(&problem))),
        scans: shared.scans.clone(),
        archive,
        metrics: shared.metrics.clone(),
    });
    let listener = bind(settings.pages).await?;
    let address = listener.local_addr()?;
    let running = Box::pin(pages.run(listener, limits(&settings.connections), shared.drain.clone()));
    Ok(Some(Shown { address, running }))
}

/// A few people, behind one proxy mostly, who lose nothing with a connection.
fn limits(connections: &ConnectionLimits) -> ConnectionLimits {
    ConnectionLimits {
        connections: 256,
        connections_per_address: 256,
        idle: Duration::from_secs(30),
        linger: connections.linger.min(LINGER),
        drain: connections.drain.min(DRAIN),
        ..connections.clone()
    }
}

/// It writes nothing.
const MANAGER: &str = "flamewarden-pages";
/// Shorter than the grace of the controller's pods.
const LINGER: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_secs(20);
