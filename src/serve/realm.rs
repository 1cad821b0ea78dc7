//! Edge: a Keycloak realm whose tokens are accepted; its keys are fetched, held, and fetched anew.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::bearer::{self, Bearer, Expected, KeysProblem, RealmKeys, Refusal};
use crate::remote::{Address, Question, Remote, RemoteProblem};
use crate::telemetry::{Metrics, whole};

/// A realm, and what its tokens must say.
pub struct Realm {
    remote: Remote,
    certificates: Address,
    expected: Expected,
    metrics: Arc<Metrics>,
    state: ArcSwap<State>,
    /// Who holds it fetches.
    turn: Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct State {
    held: Option<Held>,
    /// When keys were last asked for, whatever came of it.
    tried: Option<Timestamp>,
    failed: bool,
}

#[derive(Debug, Clone)]
struct Held {
    keys: Arc<RealmKeys>,
    fetched: Timestamp,
}

#[derive(Debug, thiserror::Error)]
enum FetchProblem {
    #[error(transparent)]
    Remote(#[from] RemoteProblem),
    #[error("answered with status {0}")]
    Status(u16),
    #[error(transparent)]
    Keys(#[from] KeysProblem),
}

impl Realm {
    /// The realm of that name; nothing is fetched yet.
    pub fn new(remote: Remote, keycloak: &Address, name: &str, expected: Expected, metrics: Arc<Metrics>) -> Arc<Self> {
        let certificates = keycloak.below(&["realms", name, "protocol", "openid-connect", "certs"]);
        Arc::new(Realm { remote, certificates, expected, metrics, state: ArcSwap::default(), turn: Mutex::new(()) })
    }

    /// Says who shows a token. Waits for the realm only where its keys are not known, or not the one that is named.
    pub async fn check(self: &Arc<Self>, token: &str, now: Timestamp) -> Result<Bearer, Refusal> {
        let judged = self.judge(token, now);
        if !matches!(judged, Err(Refusal::UnknownKey(_) | Refusal::NoKeys)) {
            return judged;
        }
        self.fetch_if(now, move |state| state.may_ask(now)).await;
        self.judge(token, now)
    }

    /// Fetches the keys where those that are held are not fresh; to be called every few seconds.
    pub async fn refresh(self: &Arc<Self>, now: Timestamp) {
        self.fetch_if(now, move |state| state.may_ask(now) && !state.is_fresh(now)).await;
    }

    /// Refreshes for ever.
    pub async fn keep_fresh(self: Arc<Self>) {
        loop {
            self.refresh(Timestamp::now()).await;
            tokio::time::sleep(LOOK).await;
        }
    }

    fn judge(&self, token: &str, now: Timestamp) -> Result<Bearer, Refusal> {
        let state = self.state.load();
        let keys = state.held.as_ref().filter(|held| apart(now, held.fetched) <= LONGEST_HELD).map(|held| &held.keys);
        // Without keys, what is no token at all is told so all the same, and makes nobody wait.
        let none = RealmKeys::default();
        match bearer::check(token, keys.map_or(&none, AsRef::as_ref), &self.expected, now) {
            Err(Refusal::UnknownKey(_)) if keys.is_none() || state.failed => Err(Refusal::NoKeys),
            judged => judged,
        }
    }

    /// Fetches once for all who wait for it, if it is still due when their turn comes.
    async fn fetch_if(self: &Arc<Self>, now: Timestamp, due: impl Fn(&State) -> bool + Send + 'static) {
        // While somebody fetches, the state is as it was before, so that others come to wait.
        if !due(&self.state.load()) {
            return;
        }
        let realm = Arc::clone(self);
        // On a task of its own: who asks may hang up, and the others wait for the same answer.
        let fetching = tokio::spawn(async move {
            let _turn = realm.turn.lock().await;
            if due(&realm.state.load()) {
                realm.fetch(now).await;
            }
        });
        if let Err(problem) = fetching.await {
            warn!(%problem, "fetching the realm's keys broke off");
        }
    }

    async fn fetch(&self, now: Timestamp) {
        let before = self.state.load_full();
        let (held, failed) = match self.ask().await {
            Ok(keys) => {
                if before.failed {
                    info!(address = self.certificates.as_str(), "the realm's keys can be fetched again");
                }
                self.metrics.realm_keys_fetched.set(now.as_second());
                (Some(Held { keys: Arc::new(keys), fetched: now }), false)
            }
            Err(problem) => {
                self.metrics.realm_key_fetches_failed.inc();
                if !before.failed {
                    warn!(
                        address = self.certificates.as_str(),
                        problem = whole(&problem),
                        "cannot fetch the realm's keys"
                    );
                }
                (before.held.clone(), true)
            }
        };
        self.state.store(Arc::new(State { held, tried: Some(now), failed }));
    }

    async fn ask(&self) -> Result<RealmKeys, FetchProblem> {
        let answer = self.remote.ask(Question::get(self.certificates.clone(), LONGEST_SET)).await?;
        if answer.status != OK {
            return Err(FetchProblem::Status(answer.status));
        }
        Ok(RealmKeys::parse(answer.bytes())?)
    }
}

impl State {
    /// Whether the last question lies far enough back: invented keys must not become a flood of questions.
    fn may_ask(&self, now: Timestamp) -> bool {
        self.tried.is_none_or(|tried| apart(now, tried) >= BETWEEN)
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        self.held.as_ref().is_some_and(|held| apart(now, held.fetched) < FRESH)
    }
}

/// How far two moments lie apart: a clock that was set back makes nothing fresh for long.
fn apart(one: Timestamp, other: Timestamp) -> SignedDuration {
    one.duration_since(other).abs()
}

/// How long a question about the realm's keys may take.
pub const KEYS_PATIENCE: Duration = Duration::from_secs(5);
const FRESH: SignedDuration = SignedDuration::from_mins(5);
const BETWEEN: SignedDuration = SignedDuration::from_secs(10);
const LONGEST_HELD: SignedDuration = SignedDuration::from_hours(1);
const LOOK: Duration = Duration::from_secs(10);
const LONGEST_SET: usize = 1024 * 1024;
const OK: u16 = 200;
