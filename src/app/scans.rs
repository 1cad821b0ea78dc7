//! Edge: composition of what is known of images' scans: one memory for all parts of a process.

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;

use super::{Settings, Shared};
use crate::cluster::{Cluster, follow_scans};
use crate::install::WEBHOOK;
use crate::policy::Want;
use crate::serve::Check;

/// What fills the memory until the drain begins, and what readiness asks of it.
pub(super) struct Following {
    pub(super) running: BoxFuture<'static, anyhow::Result<()>>,
    pub(super) check: Check,
}

/// Begins to follow the cluster's `ImageScan` objects.
pub(super) async fn follow(settings: &Settings, shared: &Shared) -> Following {
    let (synced, knows) = watch::channel(false);
    let (scans, drain) = (shared.scans.clone(), shared.drain.clone());
    // It only reads, under whichever name.
    let cluster = Cluster::connect(settings.controller.kubeconfig.as_deref(), WEBHOOK).await;
    let running = Box::pin(async move {
        let followed = async {
            match cluster {
                Ok(cluster) => follow_scans(cluster, scans, synced).await,
                Err(problem) => {
                    tracing::warn!(%problem, "no API server to ask; no image is known to have been scanned");
                    std::future::pending().await
                }
            }
        };
        tokio::select! {
            () = followed => anyhow::bail!("scans are not followed any more"),
            () = drain.begun() => Ok(()),
        }
    });
    let policies = shared.policies.set.clone();
    let missing = move |_: Timestamp| {
        let needed = policies.load().profiles().iter().any(|profile| profile.scan.verdict == Want::Required);
        (needed && !*knows.borrow()).then(|| "not every ImageScan was seen yet".to_owned())
    };
    Following { running, check: Check { name: "scans", missing: Box::new(missing) } }
}
