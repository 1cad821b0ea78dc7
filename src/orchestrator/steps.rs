//! Edge: the steps of one session that are under way, each in its place.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::warn;

use super::act::Outcome;
use super::plan::Step;
use super::token_rest::TokenTrouble;
use crate::model::AnalysisId;

/// All that are under way.
pub(super) struct Steps {
    places: Arc<Semaphore>,
    keycloak_places: Arc<Semaphore>,
    running: JoinSet<(AnalysisId, Outcome)>,
}

/// Whose answer a step waits for: who waits for one takes no place from those who wait for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// The API server's.
    Cluster,
    /// Keycloak's, which may never come.
    Keycloak,
    /// The archive's, which has places of its own.
    Archive,
}

impl Asks {
    /// Whose answer this step waits for.
    pub(super) fn of(step: &Step) -> Self {
        match step {
            Step::Token(_) | Step::LetGo { has_client: true } => Asks::Keycloak,
            Step::KeepLogs(_) | Step::Forget => Asks::Archive,
            _ => Asks::Cluster,
        }
    }
}

impl Steps {
    /// None yet.
    pub(super) fn new() -> Self {
        let places = || Arc::new(Semaphore::new(PLACES));
        Steps { places: places(), keycloak_places: places(), running: JoinSet::new() }
    }

    /// Does what a step is for one analysis, when there is a place for it.
    pub(super) fn begin(&mut self, id: AnalysisId, asks: Asks, step: impl Future<Output = Outcome> + Send + 'static) {
        let (places, keycloak_places) = (self.places.clone(), self.keycloak_places.clone());
        self.running.spawn(async move {
            let _place = match asks {
                Asks::Archive => None,
                Asks::Cluster => match places.acquire().await {
                    Ok(place) => Some(place),
                    Err(_) => return (id, ended()),
                },
                // As long as it waits, nothing else is done for the analysis.
                Asks::Keycloak => match timeout(WAITING, keycloak_places.acquire()).await {
                    Ok(Ok(place)) => Some(place),
                    Ok(Err(_)) => return (id, ended()),
                    Err(_) => {
                        warn!(analysis = %id, "nobody asks Keycloak for it: too many others wait for an answer");
                        return (id, Outcome::NoToken(TokenTrouble::Unavailable));
                    }
                },
            };
            let done = AssertUnwindSafe(step).catch_unwind().await;
            // Without any outcome the analysis would count as busy for ever.
            (id, done.unwrap_or_else(|_| Outcome::NotDone("it broke off".to_owned())))
        });
    }

    /// Waits for the next that is done; none where none is under way.
    pub(super) async fn next(&mut self) -> Option<(AnalysisId, Outcome)> {
        while let Some(done) = self.running.join_next().await {
            match done {
                Ok(done) => return Some(done),
                Err(problem) => warn!(%problem, "a step of the orchestrator broke off"),
            }
        }
        None
    }

    /// Begins no more, and gives those that have begun a while to be done. What breaks off then is done anew by whoever
    /// goes on, as after a death.
    pub(super) async fn end(mut self) {
        self.places.close();
        self.keycloak_places.close();
        let all = async { while self.next().await.is_some() {} };
        if timeout(GRACE, all).await.is_err() {
            warn!(steps = self.running.len(), "steps that wait for others are broken off");
            self.running.shutdown().await;
        }
    }
}

/// Nobody reads it any more.
fn ended() -> Outcome {
    Outcome::NotDone("it has not begun".to_owned())
}

/// Steps under way at one time; each is one call.
const PLACES: usize = 16;
/// For a place with Keycloak.
const WAITING: Duration = Duration::from_secs(5);
/// More than a call of the API server's takes.
const GRACE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{Instant, sleep};

    use super::*;

    fn id(number: usize) -> AnalysisId {
        format!("22222222-0000-4000-8000-{number:012}").parse().unwrap()
    }

    /// As many steps as have a place, none of which ends.
    fn hanging(asks: Asks) -> Steps {
        let mut steps = Steps::new();
        (0..PLACES).for_each(|number| steps.begin(id(number), asks, pending()));
        steps
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_no_place_with_keycloak_goes_on_without_it_and_the_others_never_wait_for_that() {
        for asks in [Asks::Cluster, Asks::Archive] {
            let (mut steps, begun) = (hanging(Asks::Keycloak), Instant::now());
            steps.begin(id(99), asks, ready(Outcome::Token));
            let done = steps.next().await.unwrap();
            assert_eq!((done.0, begun.elapsed().as_secs()), (id(99), 0), "{asks:?}");
            assert!(matches!(done.1, Outcome::Token), "{asks:?} {done:?}");
        }
        let (mut steps, begun) = (hanging(Asks::Keycloak), Instant::now());
        steps.begin(id(99), Asks::Keycloak, ready(Outcome::Token));
        let done = steps.next().await.unwrap();
        assert_eq!((done.0, begun.elapsed().as_secs()), (id(99), 5));
        assert!(matches!(done.1, Outcome::NoToken(TokenTrouble::Unavailable)), "{done:?}");
    }

    async fn slow(takes: u64, done: Arc<AtomicUsize>) -> Outcome {
        sleep(Duration::from_secs(takes)).await;
        done.fetch_add(1, Ordering::Relaxed);
        Outcome::Settling
    }

    async fn broken() -> Outcome {
        panic!("out of order")
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_panics_has_an_outcome() {
        let mut steps = Steps::new();
        steps.begin(id(1), Asks::Cluster, broken());
        let done = steps.next().await.unwrap();
        assert!(matches!(&done, (of, Outcome::NotDone(why)) if *of == id(1) && why == "it broke off"), "{done:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_waits_for_what_has_begun_not_for_ever_and_begins_nothing() {
        for (asks, takes, want) in [
            (Asks::Cluster, 1, (1, PLACES)),
            (Asks::Cluster, 4, (4, PLACES)),
            (Asks::Keycloak, 4, (4, PLACES)),
            (Asks::Cluster, 3600, (5, 0)),
            (Asks::Keycloak, 3600, (5, 0)),
            (Asks::Archive, 3600, (5, 0)),
        ] {
            let (mut steps, done) = (Steps::new(), Arc::new(AtomicUsize::new(0)));
            for number in 0..100 {
                steps.begin(id(number), asks, slow(takes, done.clone()));
            }
            // Those who find a place have begun.
            tokio::task::yield_now().await;
            let begun = Instant::now();
            steps.end().await;
            assert_eq!((begun.elapsed().as_secs(), done.load(Ordering::Relaxed)), want, "{asks:?} {takes}");
        }
    }
}
