//! Edge: composition of the REST API: listener and connection to the API server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::future::BoxFuture;

use super::{Policies, Settings, bind};
use crate::archive::Archive;
use crate::cluster::Cluster;
use crate::orchestrator::{Api, ApiParts};
use crate::serve::{ConnectionLimits, Drain};
use crate::telemetry::Metrics;

/// A listening API: where it listens, and what answers.
pub(super) struct Rest {
    pub(super) address: SocketAddr,
    pub(super) running: BoxFuture<'static, ()>,
}

/// Begins to listen where the policies have an API; otherwise there is none, until the next start.
pub(super) async fn start(
    settings: &Settings,
    policies: &Policies,
    metrics: &Arc<Metrics>,
    archive: Option<Arc<Archive>>,
    drain: &Drain,
) -> anyhow::Result<Option<Rest>> {
    if policies.set.load().orchestrator.as_ref().is_none_or(|orchestrator| orchestrator.api.is_none()) {
        return Ok(None);
    }
    // Not asked whether it leads: whoever answers writes down what is wanted.
    let cluster = Cluster::connect(settings.controller.kubeconfig.as_deref(), MANAGER).await;
    let cluster = cluster.context("the REST API needs an API server")?;
    let api = Api::new(ApiParts {
        cluster,
        policies: policies.set.clone(),
        files: settings.controller.files.clone(),
        archive,
        metrics: metrics.clone(),
    });
    let listener = bind(settings.api).await?;
    let address = listener.local_addr()?;
    let running = Box::pin(api.run(listener, limits(&settings.connections), drain.clone()));
    Ok(Some(Rest { address, running }))
}

/// A few callers, each with a few connections, which they may well give up first.
fn limits(connections: &ConnectionLimits) -> ConnectionLimits {
    ConnectionLimits {
        connections: 1024,
        connections_per_address: 256,
        idle: Duration::from_secs(60),
        linger: connections.linger.min(LINGER),
        drain: connections.drain.min(DRAIN),
        ..connections.clone()
    }
}

/// Another than the controller's: what the controller adds to a token's Secret is not taken away by writing it again.
const MANAGER: &str = "flamewarden-api";
/// Shorter than the grace of the controller's pods.
const LINGER: Duration = Duration::from_secs(5);
const DRAIN: Duration = Duration::from_secs(20);
