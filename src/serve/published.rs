//! Edge: what another system publishes at an address is fetched, held, and fetched anew.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::remote::{Address, Question, Remote, RemoteProblem};
use crate::telemetry::whole;

/// Something that is published, and the last of it that was read.
pub(super) struct Published<T> {
    remote: Remote,
    source: Source<T>,
    state: ArcSwap<State<T>>,
    /// Who holds it fetches.
    turn: Mutex<()>,
}

/// Where it is published, how it is read, and who is told when it was fetched or was not.
pub(super) struct Source<T> {
    pub(super) address: Address,
    /// For the log.
    pub(super) what: &'static str,
    pub(super) read: Read<T>,
    pub(super) told: Told,
}

type Read<T> = Box<dyn Fn(&[u8]) -> Result<T, String> + Send + Sync>;
/// Called with the time of a fetch, or with what went wrong.
pub(super) type Told = Box<dyn Fn(Result<Timestamp, &FetchProblem>) + Send + Sync>;

/// Why it was not fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchProblem {
    #[error(transparent)]
    Remote(#[from] RemoteProblem),
    #[error("answered with status {0}")]
    Status(u16),
    #[error("{0}")]
    Unread(String),
}

/// What is held at a moment.
pub(super) struct Held<T> {
    /// The last that was read, unless that was too long ago.
    pub(super) value: Option<Arc<T>>,
    /// Whether it could not be fetched the last time.
    pub(super) failed: bool,
}

struct State<T> {
    last: Option<(Arc<T>, Timestamp)>,
    /// When it was last asked for, whatever came of it.
    tried: Option<Timestamp>,
    failed: bool,
}

impl<T: Send + Sync + 'static> Published<T> {
    /// Nothing is fetched yet.
    pub(super) fn new(remote: Remote, source: Source<T>) -> Arc<Self> {
        let state = State { last: None, tried: None, failed: false };
        Arc::new(Published { remote, source, state: ArcSwap::from_pointee(state), turn: Mutex::new(()) })
    }

    /// Where it is published.
    pub(super) fn address(&self) -> &Address {
        &self.source.address
    }

    /// What is held, without asking anybody.
    pub(super) fn held(&self, now: Timestamp) -> Held<T> {
        let state = self.state.load();
        let last = state.last.as_ref().filter(|(_, fetched)| apart(now, *fetched) <= LONGEST_HELD);
        Held { value: last.map(|(value, _)| Arc::clone(value)), failed: state.failed }
    }

    /// Fetches it where what is held is not fresh, unless that was tried a moment ago.
    pub(super) async fn refresh(self: &Arc<Self>, now: Timestamp) {
        self.fetch_if(now, move |state| state.may_ask(now) && !state.is_fresh(now)).await;
    }

    /// Fetches it, unless that was tried a moment ago.
    pub(super) async fn fetch_anew(self: &Arc<Self>, now: Timestamp) {
        self.fetch_if(now, move |state| state.may_ask(now)).await;
    }

    /// Fetches once for all who wait for it, if it is still due when their turn comes.
    async fn fetch_if(self: &Arc<Self>, now: Timestamp, due: impl Fn(&State<T>) -> bool + Send + 'static) {
        // While somebody fetches, the state is as it was before, so that others come to wait.
        if !due(&self.state.load()) {
            return;
        }
        let published = Arc::clone(self);
        // On a task of its own: who asks may hang up, and the others wait for the same answer.
        let fetching = tokio::spawn(async move {
            let _turn = published.turn.lock().await;
            if due(&published.state.load()) {
                published.fetch(now).await;
            }
        });
        if let Err(problem) = fetching.await {
            warn!(%problem, what = self.source.what, "fetching broke off");
        }
    }

    async fn fetch(&self, now: Timestamp) {
        let before = self.state.load_full();
        let (what, address) = (self.source.what, self.source.address.as_str());
        let (last, failed) = match self.ask().await {
            Ok(value) => {
                if before.failed {
                    info!(address, what, "can be fetched again");
                }
                (self.source.told)(Ok(now));
                (Some((Arc::new(value), now)), false)
            }
            Err(problem) => {
                (self.source.told)(Err(&problem));
                if !before.failed {
                    warn!(address, what, problem = whole(&problem), "cannot be fetched");
                }
                (before.last.clone(), true)
            }
        };
        self.state.store(Arc::new(State { last, tried: Some(now), failed }));
    }

    async fn ask(&self) -> Result<T, FetchProblem> {
        let answer = self.remote.ask(Question::get(self.source.address.clone(), LONGEST)).await?;
        if answer.status != OK {
            return Err(FetchProblem::Status(answer.status));
        }
        (self.source.read)(answer.bytes()).map_err(FetchProblem::Unread)
    }
}

impl<T> State<T> {
    /// Whether the last question lies far enough back: invented keys must not become a flood of questions.
    fn may_ask(&self, now: Timestamp) -> bool {
        self.tried.is_none_or(|tried| apart(now, tried) >= BETWEEN)
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        self.last.as_ref().is_some_and(|(_, fetched)| apart(now, *fetched) < FRESH)
    }
}

impl FetchProblem {
    /// As the metrics of other systems name it.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            FetchProblem::Remote(problem) if problem.may_pass() => "unavailable",
            FetchProblem::Status(status) if *status >= 500 => "unavailable",
            FetchProblem::Status(_) => "refused",
            FetchProblem::Remote(_) | FetchProblem::Unread(_) => "not_understood",
        }
    }
}

/// How far two moments lie apart: a clock that was set back makes nothing fresh for long.
fn apart(one: Timestamp, other: Timestamp) -> SignedDuration {
    one.duration_since(other).abs()
}

const FRESH: SignedDuration = SignedDuration::from_mins(5);
const BETWEEN: SignedDuration = SignedDuration::from_secs(10);
const LONGEST_HELD: SignedDuration = SignedDuration::from_hours(1);
const LONGEST: usize = 1024 * 1024;
const OK: u16 = 200;
