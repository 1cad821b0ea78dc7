//! Edge: a Keycloak realm whose tokens are accepted; its keys are fetched, held, and fetched anew.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::bearer::{self, Bearer, Expected, RealmKeys, Refusal};
use super::published::{Published, Source};
use crate::remote::{Address, Remote};
use crate::telemetry::Metrics;

/// A realm, and what its tokens must say.
pub struct Realm {
    expected: Expected,
    keys: Arc<Published<RealmKeys>>,
}

impl Realm {
    /// The realm of that name; nothing is fetched yet.
    pub fn new(remote: Remote, keycloak: &Address, name: &str, expected: Expected, metrics: Arc<Metrics>) -> Arc<Self> {
        let source = Source {
            address: keycloak.below(&["realms", name, "protocol", "openid-connect", "certs"]),
            what: "the realm's keys",
            read: Box::new(|text| RealmKeys::parse(text).map_err(|problem| problem.to_string())),
            told: Box::new(move |fetched| {
                if let Ok(now) = fetched {
                    metrics.realm_keys_fetched.set(now.as_second());
                } else {
                    metrics.realm_key_fetches_failed.inc();
                }
            }),
        };
        Arc::new(Realm { expected, keys: Published::new(remote, source) })
    }

    /// Says who shows a token. Waits for the realm only where its keys are not known, or not the one that is named.
    pub async fn check(self: &Arc<Self>, token: &str, now: Timestamp) -> Result<Bearer, Refusal> {
        self.keys.judge(now, |keys| bearer::check(token, keys, &self.expected, now)).await
    }

    /// Fetches the keys where those that are held are not fresh; to be called every few seconds.
    pub async fn refresh(self: &Arc<Self>, now: Timestamp) {
        self.keys.refresh(now).await;
    }

    /// Refreshes for ever.
    pub async fn keep_fresh(self: Arc<Self>) {
        loop {
            self.refresh(Timestamp::now()).await;
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Published<RealmKeys> {
    /// Judges a token by the keys that are held, and once more where others were needed and could be fetched.
    pub(super) async fn judge<B>(
        self: &Arc<Self>,
        now: Timestamp,
        check: impl Fn(&RealmKeys) -> Result<B, Refusal>,
    ) -> Result<B, Refusal> {
        let judged = self.judge_once(now, &check);
        if !matches!(judged, Err(Refusal::UnknownKey(_) | Refusal::NoKeys)) {
            return judged;
        }
        self.fetch_anew(now).await;
        self.judge_once(now, &check)
    }

    fn judge_once<B>(&self, now: Timestamp, check: &impl Fn(&RealmKeys) -> Result<B, Refusal>) -> Result<B, Refusal> {
        let held = self.held(now);
        // Without keys, what is no token at all is told so all the same, and makes nobody wait.
        let none = RealmKeys::default();
        match check(held.value.as_deref().unwrap_or(&none)) {
            Err(Refusal::UnknownKey(_)) if held.value.is_none() || held.failed => Err(Refusal::NoKeys),
            judged => judged,
        }
    }
}

/// How long a question about the realm's keys may take.
pub const KEYS_PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_secs(10);
