//! Edge: the orchestrator's sessions, one after the other: each set of policies has its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::keeper::Keeper;
use super::session::{Ended, Session, Shared};
use super::settings::OrchestratorSettings;
use crate::policy::PolicySet;

/// The orchestrator of one namespace.
pub struct Orchestration(Shared);

impl Orchestration {
    /// An orchestrator that knows nothing yet.
    pub fn new(settings: OrchestratorSettings) -> Self {
        let keeper = settings.archive.as_ref().map(|archive| Arc::new(Keeper::new(archive, &settings)));
        Orchestration(Shared { settings, keeper })
    }

    /// Makes analyses until `stop` says so; steps under way have a while to be done.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut keeping = JoinSet::new();
        if let Some(keeper) = self.0.keeper.clone() {
            keeping.spawn(async move { keeper.work().await });
        }
        loop {
            let policies = self.0.settings.policies.load_full();
            match Session::of(&self.0, policies.clone()) {
                Some(session) => {
                    if session.run(&mut stop).await == Ended::Stopped {
                        return;
                    }
                }
                None => tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => return,
                    () = self.changed(&policies) => {}
                },
            }
        }
    }

    /// Waits until other policies are in force.
    async fn changed(&self, policies: &Arc<PolicySet>) {
        while Arc::ptr_eq(&self.0.settings.policies.load(), policies) {
            sleep(LOOK_AGAIN).await;
        }
    }
}

const LOOK_AGAIN: Duration = Duration::from_secs(1);
