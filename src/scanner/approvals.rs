//! Edge: asks the Hub for the hashes of the images that it has built.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::hub::{Hub, Outcome};
use crate::model::AnalysisId;
use crate::policy::PolicySet;
use crate::telemetry::{Metrics, whole};

/// How the Hub of the policies is reached; or why not.
pub type HubSource = Arc<dyn Fn(&PolicySet) -> Result<Hub, String> + Send + Sync>;

/// Asks the Hub of one set of policies.
pub(super) struct Approvals {
    policies: Arc<PolicySet>,
    source: HubSource,
    metrics: Arc<Metrics>,
    /// Kept for its token, until the Hub does not take that any more.
    hub: Mutex<Option<Arc<Hub>>>,
}

/// Why there is no hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoHash {
    /// Nobody answered: what was known before is not refuted.
    Unanswered(String),
    /// The Hub has none.
    Unknown(String),
}

impl Approvals {
    pub(super) fn new(policies: Arc<PolicySet>, source: HubSource, metrics: Arc<Metrics>) -> Self {
        Approvals { policies, source, metrics, hub: Mutex::default() }
    }

    /// The hash that the Hub recorded for an analysis of this node.
    pub(super) async fn hash(&self, analysis: AnalysisId) -> Result<String, NoHash> {
        let hub = self.hub().await.map_err(NoHash::Unanswered)?;
        let late = || NoHash::Unanswered(format!("the Hub did not answer within {PATIENCE:?}"));
        let asked = timeout(PATIENCE, hub.build_hash(analysis)).await.map_err(|_| late());
        let outcome = match &asked {
            Err(_) => Outcome::Unavailable,
            Ok(answer) => answer.as_ref().map_or_else(|problem| problem.outcome(), |_| Outcome::Done),
        };
        self.metrics.called(HUB, outcome.label(), outcome != Outcome::Unavailable);
        match asked? {
            Ok(Some(hash)) => Ok(hash),
            Ok(None) => {
                Err(NoHash::Unknown(format!("the Hub has recorded no content hash for analysis {analysis} yet")))
            }
            Err(problem) if outcome == Outcome::Unknown => Err(NoHash::Unknown(whole(&problem))),
            Err(problem) => {
                // Its secret may have been replaced; the files are read again.
                *self.hub.lock().await = None;
                Err(NoHash::Unanswered(whole(&problem)))
            }
        }
    }

    async fn hub(&self) -> Result<Arc<Hub>, String> {
        let mut held = self.hub.lock().await;
        if let Some(hub) = &*held {
            return Ok(hub.clone());
        }
        Ok(held.insert(Arc::new((self.source)(&self.policies)?)).clone())
    }
}

/// As metrics name it.
const HUB: &str = "hub";
/// For a token, this node and its part together.
const PATIENCE: Duration = Duration::from_secs(20);
