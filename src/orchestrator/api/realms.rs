//! Edge: the realm of the policies in force; another one takes its place when they change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use crate::orchestrator::OutsideFiles;
use crate::orchestrator::outside::OutsideProblem;
use crate::policy::{ApiSettings, WaySettings};
use crate::remote::Address;
use crate::serve::{Expected, KEYS_PATIENCE, Realm};
use crate::telemetry::Metrics;

/// Whose tokens are accepted now.
pub(super) struct Realms {
    metrics: Arc<Metrics>,
    files: OutsideFiles,
    current: Mutex<Option<Current>>,
}

/// A realm, by these settings.
type Current = ((ApiSettings, WaySettings), Arc<Realm>);

impl Realms {
    /// None yet.
    pub(super) fn new(metrics: Arc<Metrics>, files: OutsideFiles) -> Self {
        Realms { metrics, files, current: Mutex::default() }
    }

    /// The realm of these settings.
    ///
    /// # Errors
    /// Nobody can be asked by them.
    pub(super) fn of(&self, settings: &ApiSettings, ways: &WaySettings) -> Result<Arc<Realm>, OutsideProblem> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, realm)) = current.as_ref().filter(|((api, by), _)| api == settings && by == ways) {
            return Ok(realm.clone());
        }
        let realm = self.begin(settings, ways)?;
        *current = Some(((settings.clone(), ways.clone()), realm.clone()));
        Ok(realm)
    }

    fn begin(&self, settings: &ApiSettings, ways: &WaySettings) -> Result<Arc<Realm>, OutsideProblem> {
        let remote = self.files.remote(ways, KEYS_PATIENCE)?;
        let keycloak = Address::parse(&settings.keycloak)?;
        let own = keycloak.below(&["realms", &settings.realm]).as_str().to_owned();
        let issuers = settings.issuer.iter().cloned().chain([own]).collect();
        let expected = Expected { issuers, audience: settings.audience.clone() };
        Ok(Realm::new(remote, &keycloak, &settings.realm, expected, self.metrics.clone()))
    }

    /// Keeps the keys at hand, for ever.
    pub(super) async fn keep_fresh(&self) {
        loop {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some((_, realm)) = current {
                realm.refresh(Timestamp::now()).await;
            }
            sleep(LOOK).await;
        }
    }
}

const LOOK: Duration = Duration::from_secs(10);
