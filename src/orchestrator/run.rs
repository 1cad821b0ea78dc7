//! Edge: the orchestrator's loop. Changes come in, the plan says what is next, steps are carried out side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until};
use tracing::{debug, warn};

use super::act::{Outcome, act};
use super::archiving::Archiving;
use super::hub::{Desk, Word};
use super::keeper::Keeper;
use super::known::{Concerns, Known};
use super::plan::{Step, View, plan};
use super::settings::OrchestratorSettings;
use super::tokens::{TokenRest, Tokens};
use super::visits::Visits;
use super::watches::{News, Watches};
use crate::model::{AnalysisId, AnalysisObject, Phase};
use crate::policy::PolicySet;
use crate::telemetry::{OutcomeLabels, PhaseLabels, whole};

/// The orchestrator of one namespace.
pub struct Orchestration {
    settings: OrchestratorSettings,
    places: Arc<Semaphore>,
    keeper: Option<Arc<Keeper>>,
}

/// What goes on under one set of policies.
struct Session {
    settings: OrchestratorSettings,
    places: Arc<Semaphore>,
    keycloak_places: Arc<Semaphore>,
    policies: Arc<PolicySet>,
    watches: Watches,
    known: Known,
    visits: Visits,
    archiving: Archiving,
    /// None where the settings say nothing of tokens, or nothing that can be used.
    tokens: Option<Arc<Tokens>>,
    /// Who was asked in vain for a token of an analysis.
    token_rests: BTreeMap<AnalysisId, TokenRest>,
    /// None where the settings say nothing of a Hub, or nothing that can be used.
    hub: Option<Desk>,
    /// Who is to be looked at again at a moment though nothing changes.
    later: BTreeMap<AnalysisId, Timestamp>,
    /// Whose next step is to be decided.
    stirred: BTreeSet<AnalysisId>,
    /// Whose step is under way.
    busy: BTreeSet<AnalysisId>,
    /// Whose step failed: how often in a row, and until when it rests.
    failed: BTreeMap<AnalysisId, (u32, Instant)>,
    steps: JoinSet<(AnalysisId, Outcome)>,
}

impl Orchestration {
    /// An orchestrator that knows nothing yet.
    pub fn new(settings: OrchestratorSettings) -> Self {
        let keeper = settings.archive.as_ref().map(|archive| Arc::new(Keeper::new(archive, &settings)));
        Orchestration { settings, places: Arc::new(Semaphore::new(PLACES)), keeper }
    }

    /// Makes analyses until `stop` says so; steps under way are brought to their end.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut keeping = JoinSet::new();
        if let Some(keeper) = self.keeper.clone() {
            keeping.spawn(async move { keeper.work().await });
        }
        loop {
            let policies = self.settings.policies.load_full();
            match Session::of(&self, policies.clone()) {
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
        while Arc::ptr_eq(&self.settings.policies.load(), policies) {
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// Why a session has ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// It was told to.
    Stopped,
    /// Other policies are in force.
    OtherPolicies,
}

impl Session {
    /// None where the policies say nothing of an orchestrator.
    fn of(orchestration: &Orchestration, policies: Arc<PolicySet>) -> Option<Self> {
        let settings = policies.orchestrator.as_ref()?;
        let watches = Watches::of(&orchestration.settings.cluster, settings);
        let files = &orchestration.settings.files;
        let metrics = &orchestration.settings.metrics;
        let tokens = settings.tokens.as_ref().and_then(|tokens| {
            let tokens = Tokens::of(tokens, &settings.ways, files, metrics.clone());
            tokens.inspect_err(|problem| warn!(problem = %whole(problem), "no tokens for analyses")).ok()
        });
        let leadership = &orchestration.settings.leadership;
        let hub = settings.hub.as_ref().and_then(|hub| {
            let desk = Desk::new(settings, hub, files, leadership.clone(), metrics.clone());
            desk.inspect_err(|problem| warn!(problem = %whole(problem), "no Hub is told")).ok()
        });
        let (cluster, metrics) = (orchestration.settings.cluster.clone(), orchestration.settings.metrics.clone());
        let visits = Visits::new(cluster, &settings.namespace, settings.health.period(), metrics)
            .inspect_err(|problem| warn!(problem = %whole(problem), "nobody can be asked, so nothing is made"));
        Some(Session {
            visits: visits.ok()?,
            archiving: Archiving::new(orchestration.keeper.clone()),
            known: Known::of_namespace(&settings.namespace),
            settings: orchestration.settings.clone(),
            places: orchestration.places.clone(),
            keycloak_places: Arc::new(Semaphore::new(PLACES)),
            policies,
            watches,
            tokens: tokens.map(Arc::new),
            token_rests: BTreeMap::new(),
            hub,
            later: BTreeMap::new(),
            stirred: BTreeSet::new(),
            busy: BTreeSet::new(),
            failed: BTreeMap::new(),
            steps: JoinSet::new(),
        })
    }

    async fn run(mut self, stop: &mut watch::Receiver<bool>) -> Ended {
        let mut counts = interval(COUNT);
        let ended = loop {
            if !Arc::ptr_eq(&self.settings.policies.load(), &self.policies) {
                break Ended::OtherPolicies;
            }
            let next = self.start();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break Ended::Stopped,
                Some(news) = self.watches.next() => {
                    self.take_in(news);
                    while let Some(news) = self.watches.waiting() {
                        self.take_in(news);
                    }
                }
                id = self.visits.next() => {
                    self.stirred.insert(id);
                }
                Some(id) = told(self.hub.as_mut()) => {
                    self.stirred.insert(id);
                }
                ids = self.archiving.changed() => self.stirred.extend(ids),
                Some(done) = self.steps.join_next() => match done {
                    Ok((id, outcome)) => self.finish(id, outcome),
                    Err(problem) => warn!(%problem, "a step of the orchestrator broke off"),
                },
                () = sleep_until(next) => {}
                _ = counts.tick() => self.count(),
            }
        };
        while self.steps.join_next().await.is_some() {}
        self.settings.metrics.analyses.clear();
        ended
    }

    /// Counts the analyses for whoever watches; who does not lead counts none, so that sums are right.
    fn count(&self) {
        let analyses = &self.settings.metrics.analyses;
        analyses.clear();
        for (phase, number) in self.known.phases().into_iter().filter(|_| self.settings.leadership.holds()) {
            let phase = phase.map_or("none", Phase::name);
            analyses.get_or_create(&PhaseLabels { phase }).set(number);
        }
    }

    /// Starts the next step of everybody who is stirred; gives the moment at which to look again at the latest.
    fn start(&mut self) -> Instant {
        let now = Instant::now();
        let mut next = now + LOOK_AGAIN;
        if !self.settings.leadership.holds() || !self.known.has_seen(self.watches.lists()) {
            return now + LOOK_FOR_LEADERSHIP;
        }
        next = self.visits.begin().map_or(next, |at| next.min(at));
        let moment = Timestamp::now();
        let due = self.later.extract_if(.., |_, at| *at <= moment).map(|(id, _)| id);
        self.stirred.extend(due);
        let due: Vec<AnalysisId> = self.stirred.iter().copied().filter(|id| !self.busy.contains(id)).collect();
        if due.is_empty() {
            return next;
        }
        for id in due {
            if let Some((_, until)) = self.failed.get(&id).filter(|(_, until)| now < *until) {
                next = next.min(*until);
                continue;
            }
            self.stirred.remove(&id);
            let Some((analysis, objects)) = self.known.of(id) else {
                self.visits.want(id, None);
                self.archiving.gone(id);
                self.token_rests.remove(&id);
                if let Some(hub) = &mut self.hub {
                    hub.want(id, None);
                }
                continue;
            };
            let Some(settings) = &self.policies.orchestrator else { continue };
            let view = View {
                analysis,
                objects,
                common: self.known.common(),
                services: self.known.services(),
                policies: &self.policies,
                settings,
                heard: self.visits.heard(id),
                archived: self.archiving.of(analysis),
                hub: self.hub.as_ref().map_or(Some(Word::NotSetUp), |hub| hub.word(id)),
                token_rest: self.token_rests.get(&id),
                now: moment,
            };
            self.archiving.tell(&view);
            let step = plan(&view);
            let (call, news) = (view.call(), view.hub_news());
            self.later.remove(&id);
            self.later.extend(view.next_look().map(|at| (id, at)));
            self.visits.want(id, call);
            if let Some(hub) = &mut self.hub {
                hub.want(id, news);
            }
            if step == Step::Wait {
                continue;
            }
            let analysis = analysis.clone();
            self.begin(analysis, step);
        }
        next
    }

    fn begin(&mut self, analysis: AnalysisObject, step: Step) {
        let id = analysis.id;
        debug!(analysis = %id, ?step, "orchestrator acts");
        self.busy.insert(id);
        // Who waits for Keycloak takes no place from others.
        let asks_keycloak = matches!(step, Step::Token(_) | Step::LetGo { .. });
        let places = if asks_keycloak { self.keycloak_places.clone() } else { self.places.clone() };
        let cluster = self.settings.cluster.clone();
        self.known.writing(id);
        // Who waits for the archive needs none.
        let waits = matches!(step, Step::KeepLogs(_) | Step::Forget);
        let (tokens, keeper) = (self.tokens.clone(), self.archiving.keeper());
        self.steps.spawn(async move {
            // Never closed; without a place the step would only be one more.
            let _place = if waits { None } else { places.acquire().await.ok() };
            let others = (tokens.as_deref(), keeper.as_deref());
            let acted = AssertUnwindSafe(act(&cluster, others, &analysis, step)).catch_unwind().await;
            // Without any outcome the analysis would count as busy for ever.
            (id, acted.unwrap_or_else(|_| Outcome::NotDone("it broke off".to_owned())))
        });
    }

    fn take_in(&mut self, (kind, namespace, change): News) {
        match self.known.observe(kind, &namespace, change) {
            Concerns::Nobody => {}
            Concerns::One(id) => {
                self.stirred.insert(id);
            }
            Concerns::All => self.stirred.extend(self.known.ids()),
        }
    }

    fn finish(&mut self, id: AnalysisId, outcome: Outcome) {
        self.busy.remove(&id);
        let (stored, problem) = match outcome {
            Outcome::Stored(kind, place, object) => (Some((kind, place, object)), None),
            Outcome::Settling => (None, None),
            Outcome::Tried(uid, tried) => {
                self.archiving.tried(id, uid, tried);
                self.stirred.insert(id);
                (None, None)
            }
            Outcome::Token => {
                self.token_rests.remove(&id);
                (None, None)
            }
            Outcome::NoToken(trouble) => {
                let rest = TokenRest::after(self.token_rests.get(&id), trouble, Timestamp::now());
                self.token_rests.insert(id, rest);
                // What else there is to do for it is done all the same.
                self.stirred.insert(id);
                (None, None)
            }
            Outcome::NotDone(problem) => (None, Some(problem)),
        };
        // What was settled is told by the watch; what is stored may be gone on with at once.
        if stored.is_some() {
            self.stirred.insert(id);
        }
        self.known.written(id, stored);
        let outcome = if problem.is_some() { "failed" } else { "done" };
        self.settings.metrics.steps.get_or_create(&OutcomeLabels { outcome }).inc();
        if let Some(problem) = problem {
            return self.rest(id, &problem);
        }
        self.failed.remove(&id);
    }

    /// Leaves an analysis alone for a while, ever longer.
    fn rest(&mut self, id: AnalysisId, problem: &str) {
        let failures = self.failed.get(&id).map_or(0, |(failures, _)| *failures).saturating_add(1);
        let pause = (FIRST_RETRY * 2u32.saturating_pow(failures.min(8))).min(LAST_RETRY);
        warn!(analysis = %id, problem, failures, "a step failed; it is tried again");
        self.failed.insert(id, (failures, Instant::now() + pause));
        self.stirred.insert(id);
    }
}

/// Waits for news from the Hub; none where there is no Hub.
async fn told(hub: Option<&mut Desk>) -> Option<AnalysisId> {
    Some(hub?.next().await)
}

/// Steps under way at one time; each is one call.
const PLACES: usize = 16;
const COUNT: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_FOR_LEADERSHIP: Duration = Duration::from_millis(200);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(30);
