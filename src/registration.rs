//! Edge: keeps the webhook's certificate in its Secret and its authority in the webhook configurations.

mod secret;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::cluster::{Cluster, ClusterProblem, Kind, Leadership};
use crate::facts::Place;
use crate::install::{self, Printed, Registered};
use crate::policy::PolicySet;
use crate::serve::{Bundle, IssueProblem, Renewal, plan_renewal, renewed, service_names};
use crate::telemetry::Metrics;

/// What the registration works with.
pub struct Registration {
    /// Its connection, as a leader's.
    pub cluster: Cluster,
    /// Whether there is anything to do.
    pub leadership: Leadership,
    /// Flamewarden's own namespace.
    pub namespace: String,
    /// Who is told which authority is ours.
    pub bundle: watch::Sender<Bundle>,
    /// The policies in force; they say which configurations there are.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// Where it says how many configurations are not as they would be printed.
    pub metrics: Arc<Metrics>,
}

/// By kind and name of a configuration, its fields that are not as they would be printed; `missing` where it is not there.
type Drifted = BTreeMap<String, BTreeSet<String>>;

/// Why a round of the registration came to nothing.
#[derive(Debug, thiserror::Error)]
enum RegistrationProblem {
    #[error(transparent)]
    Cluster(#[from] ClusterProblem),
    #[error(transparent)]
    Issue(#[from] IssueProblem),
}

impl Registration {
    /// Looks after certificate and configurations until `stop` says so.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut drifted = Drifted::new();
        loop {
            let wait = if self.leadership.holds() { self.round_or_retry(&mut drifted).await } else { NOT_LEADING };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// How long until the next round.
    async fn round_or_retry(&self, drifted: &mut Drifted) -> Duration {
        match self.round(drifted).await {
            Ok(()) => ROUND,
            Err(problem) => {
                let cause = problem.source().map(ToString::to_string);
                warn!(%problem, cause, "registration failed; it is tried again");
                RETRY
            }
        }
    }

    async fn round(&self, drifted: &mut Drifted) -> Result<(), RegistrationProblem> {
        let names: BTreeSet<String> = service_names(install::WEBHOOK, &self.namespace);
        let mut kept = secret::read(&self.cluster, &self.namespace).await?;
        let now = Timestamp::now();
        let renewal = plan_renewal(now, &kept.bundle, &names);
        if renewal != Renewal::Nothing {
            kept.bundle = renewed(&kept.bundle, renewal, &names, now)?;
            secret::write(&self.cluster, &self.namespace, &kept).await?;
            info!(?renewal, "certificate renewed");
        }
        self.bundle.send_if_modified(|known| {
            let changed = *known != kept.bundle;
            if changed {
                known.clone_from(&kept.bundle);
            }
            changed
        });
        self.publish(&kept.bundle, drifted).await
    }

    /// Writes the authorities into every configuration that does not have exactly them, and tells of what else in it
    /// is not as it would be printed, which is the operator's to put right.
    async fn publish(&self, bundle: &Bundle, drifted: &mut Drifted) -> Result<(), RegistrationProblem> {
        let trusted = STANDARD.encode(bundle.trusted());
        let policies = self.policies.load_full();
        let (mut failed, mut all) = (None, Vec::new());
        for (registered, name) in install::configuration_names(&policies) {
            let kind = match registered {
                Registered::Mutating => Kind::MutatingWebhookConfiguration,
                Registered::Validating => Kind::ValidatingWebhookConfiguration,
            };
            let place = Place { namespace: String::new(), name };
            match self.publish_to(kind, &place, &trusted).await {
                Ok(stored) => all.push((registered, place.name, stored)),
                // One that may not be read, since the policies are newer than what is installed, holds up no other.
                Err(problem) => failed = Some(problem),
            }
        }
        self.tell(self.drifted_of(all, &policies), drifted);
        failed.map_or(Ok(()), Err)
    }

    fn drifted_of(&self, all: Vec<(Registered, String, Option<Value>)>, policies: &PolicySet) -> Drifted {
        // Installed so; a single one among others by Service was changed.
        let by_url = all.iter().filter_map(|(_, _, stored)| stored.as_ref()).all(install::is_by_url);
        let printed = Printed::of(&self.namespace, policies);
        let fields = |registered, stored: Option<Value>| {
            let Some(stored) = stored else { return ["missing".to_owned()].into() };
            let mut fields = printed.drift(registered, &stored);
            fields.retain(|field| !(by_url && field == "clientConfig"));
            fields
        };
        let drifted = all.into_iter().map(|(registered, name, stored)| {
            // Both kinds have names in common.
            (format!("{}/{name}", registered.kind()), fields(registered, stored))
        });
        drifted.filter(|(_, fields)| !fields.is_empty()).collect()
    }

    fn tell(&self, found: Drifted, drifted: &mut Drifted) {
        for (configuration, fields) in found.iter().filter(|(name, fields)| drifted.get(*name) != Some(*fields)) {
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            warn!(configuration, fields = fields.join(","), "a webhook configuration is not as `manifests` prints it");
        }
        self.metrics.configurations_drifted.set(i64::try_from(found.len()).unwrap_or(i64::MAX));
        *drifted = found;
    }

    /// Gives what was stored; none where the configuration is not installed yet, or not any more, which is no fault of
    /// this round's.
    async fn publish_to(&self, kind: Kind, place: &Place, trusted: &str) -> Result<Option<Value>, RegistrationProblem> {
        let Some(text) = self.cluster.read(kind, place).await? else { return Ok(None) };
        let stored: Value = serde_json::from_str(&text).map_err(|_| ClusterProblem::Shape(place.name.clone()))?;
        if let Some(change) = bundle_change(kind, &place.name, &stored, trusted) {
            self.cluster.apply(kind, place, &change).await?;
            info!(configuration = place.name, "authority published");
        }
        Ok(Some(stored))
    }
}

/// What to apply so that every webhook of a configuration trusts our authorities; none where all do.
fn bundle_change(kind: Kind, name: &str, configuration: &Value, trusted: &str) -> Option<Value> {
    let webhooks = configuration.get("webhooks")?.as_array()?;
    let has_it = |webhook: &Value| webhook.pointer("/clientConfig/caBundle").is_some_and(|bundle| bundle == trusted);
    // Reached by URL, a webhook brings its own authority.
    let by_service = |webhook: &&Value| webhook.pointer("/clientConfig/service").is_some();
    let ours: Vec<&Value> = webhooks.iter().filter(by_service).collect();
    if ours.iter().all(|webhook| has_it(webhook)) {
        return None;
    }
    let entries = ours.iter().filter_map(|webhook| webhook.get("name"));
    let entries: Vec<Value> =
        entries.map(|name| json!({"name": name, "clientConfig": {"caBundle": trusted}})).collect();
    let (api_version, kind) = kind.type_names();
    Some(json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "webhooks": entries}))
}

/// Somebody who swaps the authority in a configuration is undone within this time.
const ROUND: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);
const NOT_LEADING: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_reached_by_service_and_trusts_otherwise_is_changed() {
        let kind = Kind::ValidatingWebhookConfiguration;
        let with = |client: Value| json!({"webhooks": [{"name": "a.b.c", "clientConfig": client}]});
        let service = json!({"name": "s", "namespace": "n"});
        let wanted = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "x"}, "webhooks": [{"name": "a.b.c", "clientConfig": {"caBundle": "Q0E="}}],
        });
        for (client, change) in [
            (json!({"service": service}), Some(wanted.clone())),
            (json!({"service": service, "caBundle": "b3RoZXI="}), Some(wanted)),
            (json!({"service": service, "caBundle": "Q0E="}), None),
            (json!({"url": "https://x", "caBundle": "b3RoZXI="}), None),
        ] {
            assert_eq!(bundle_change(kind, "x", &with(client.clone()), "Q0E="), change, "{client}");
        }
    }
}
