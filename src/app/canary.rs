//! Edge: composition of the canary, with what the guard has too.

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::controller::ControllerSettings;
use crate::canary::{Canary, CanarySettings};
use crate::guard::GuardSettings;

/// Has canaries run for as long as the process lives.
pub(super) fn canary(
    loops: &mut JoinSet<()>,
    settings: &ControllerSettings,
    guard: &GuardSettings,
    stopped: &watch::Receiver<bool>,
) {
    let canary = CanarySettings {
        cluster: guard.cluster.clone(),
        leadership: guard.leadership.clone(),
        policies: guard.policies.clone(),
        namespace: settings.namespace.clone(),
        image: settings.installed.image.clone(),
        metrics: guard.metrics.clone(),
    };
    loops.spawn(Canary::new(canary).run(stopped.clone()));
}
