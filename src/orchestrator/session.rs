//! Edge: the orchestrator's loop under one set of policies. Changes come in, the plan says what is next, steps are carried
//! out side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep_until};
use tracing::{debug, warn};

use super::act::{Outcome, act};
use super::archiving::Archiving;
use super::hub::{HubReporter, Word};
use super::keeper::Keeper;
use super::known::{Concerns, Known};
use super::plan::{Step, Unscanned, View, plan};
use super::settings::OrchestratorSettings;
use super::steps::{Asks, Steps};
use super::token_rest::TokenRest;
use super::tokens::Tokens;
use super::unwritten::Unwritten;
use super::visits::Visits;
use super::watches::{News, Watches};
use crate::model::{AnalysisId, AnalysisObject, Backoff, Phase};
use crate::policy::{Orchestrator, PolicySet, Upstream};
use crate::telemetry::{OutcomeLabels, PhaseLabels, whole};

/// What outlives a session.
pub(super) struct Shared {
    pub(super) settings: OrchestratorSettings,
    pub(super) keeper: Option<Arc<Keeper>>,
}

/// What goes on under one set of policies.
pub(super) struct Session {
    settings: OrchestratorSettings,
    policies: Arc<PolicySet>,
    watches: Watches,
    known: Known,
    visits: Visits,
    archiving: Archiving,
    /// None where the settings say nothing of tokens, or nothing that can be used.
    tokens: Option<Arc<Tokens>>,
    /// Who waits though there is something to do.
    held_up: BTreeMap<AnalysisId, HeldUp>,
    /// None where the settings say nothing of a Hub, or nothing that can be used.
    hub: Option<HubReporter>,
    /// Who is to be looked at again at a moment though nothing changes.
    later: BTreeMap<AnalysisId, Timestamp>,
    /// Whose next step is to be decided.
    stirred: BTreeSet<AnalysisId>,
    /// Whose step is under way.
    busy: BTreeSet<AnalysisId>,
    steps: Steps,
}

/// What holds one analysis up.
#[derive(Default)]
struct HeldUp {
    token: Option<TokenRest>,
    unwritten: Option<Unwritten>,
    /// Its steps failed: how often in a row, and until when it rests.
    failed: Option<(u32, Instant)>,
}

/// Why a session has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was told to.
    Stopped,
    /// Other policies are in force.
    OtherPolicies,
}

impl Session {
    /// None where the policies say nothing of an orchestrator.
    pub(super) fn of(shared: &Shared, policies: Arc<PolicySet>) -> Option<Self> {
        let settings = policies.orchestrator.as_ref()?;
        let watches = Watches::of(&shared.settings.cluster, settings);
        let files = &shared.settings.files;
        let metrics = &shared.settings.metrics;
        let tokens = settings.tokens.as_ref().and_then(|tokens| {
            let tokens = Tokens::of(tokens, &settings.ways, files, metrics.clone());
            tokens.inspect_err(|problem| warn!(problem = %whole(problem), "no tokens for analyses")).ok()
        });
        let leadership = &shared.settings.leadership;
        let hub = settings.hub.as_ref().and_then(|hub| {
            let reporter = HubReporter::new(settings, hub, files, leadership.clone(), metrics.clone());
            reporter.inspect_err(|problem| warn!(problem = %whole(problem), "no Hub is told")).ok()
        });
        let (cluster, metrics) = (shared.settings.cluster.clone(), shared.settings.metrics.clone());
        let visits = Visits::new(cluster, &settings.namespace, settings.health.period(), metrics)
            .inspect_err(|problem| warn!(problem = %whole(problem), "nobody can be asked, so nothing is made"));
        Some(Session {
            visits: visits.ok()?,
            archiving: Archiving::new(shared.keeper.clone()),
            known: Known::new(&settings.namespace, upstreams(settings)),
            settings: shared.settings.clone(),
            policies,
            watches,
            tokens: tokens.map(Arc::new),
            held_up: BTreeMap::new(),
            hub,
            later: BTreeMap::new(),
            stirred: BTreeSet::new(),
            busy: BTreeSet::new(),
            steps: Steps::new(),
        })
    }

    /// Makes analyses until it is told to stop, or other policies are in force.
    pub(super) async fn run(mut self, stop: &mut watch::Receiver<bool>) -> Ended {
        let mut counts = interval(COUNT);
        let ended = loop {
            if !Arc::ptr_eq(&self.settings.policies.load(), &self.policies) {
                break Ended::OtherPolicies;
            }
            if self.known.has_seen(self.watches.first()) {
                self.watches.begin_rest();
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
                Some(id) = reported(self.hub.as_mut()) => {
                    self.stirred.insert(id);
                }
                ids = self.archiving.changed() => self.stirred.extend(ids),
                Some((id, outcome)) = self.steps.next() => self.finish(id, outcome),
                () = sleep_until(next) => {}
                _ = counts.tick() => self.count(),
            }
        };
        self.steps.end().await;
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
            let failed = self.held_up.get(&id).and_then(|held_up| held_up.failed);
            if let Some((_, until)) = failed.filter(|(_, until)| now < *until) {
                next = next.min(until);
                continue;
            }
            self.stirred.remove(&id);
            self.decide(id, moment);
        }
        next
    }

    /// Decides what is to be done next for one, and begins it.
    fn decide(&mut self, id: AnalysisId, now: Timestamp) {
        let Some((analysis, objects)) = self.known.of(id) else { return self.lose(id) };
        let Some(settings) = &self.policies.orchestrator else { return };
        let held_up = self.held_up.get(&id);
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
            token_rest: held_up.and_then(|held_up| held_up.token.as_ref()),
            unscanned: Unscanned::of(&analysis.spec.image, &self.policies.analysis, &self.settings.scans.read(), now),
            unwritten: held_up.and_then(|held_up| held_up.unwritten.as_ref()),
            now,
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
        if step != Step::Wait {
            let analysis = analysis.clone();
            self.begin(analysis, step);
        }
    }

    /// There is no such analysis any more.
    fn lose(&mut self, id: AnalysisId) {
        self.visits.want(id, None);
        self.archiving.gone(id);
        self.held_up.remove(&id);
        if let Some(hub) = &mut self.hub {
            hub.want(id, None);
        }
    }

    fn begin(&mut self, analysis: AnalysisObject, step: Step) {
        let id = analysis.id;
        debug!(analysis = %id, ?step, "orchestrator acts");
        self.busy.insert(id);
        let cluster = self.settings.cluster.clone();
        self.known.writing(id);
        let (tokens, keeper) = (self.tokens.clone(), self.archiving.keeper());
        self.steps.begin(id, Asks::of(&step), async move {
            act(&cluster, (tokens.as_deref(), keeper.as_deref()), &analysis, step).await
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
        let held_up = self.held_up.entry(id).or_default();
        let mut stored = None;
        let mut problem = None;
        let is_done = !matches!(outcome, Outcome::Unwritten(..) | Outcome::NotDone(_));
        match outcome {
            Outcome::Stored(kind, place, object) => {
                held_up.unwritten.take_if(|unwritten| unwritten.object == (kind, place.name.clone()));
                stored = Some((kind, place, object));
            }
            Outcome::Unwritten(kind, place, how, object) => {
                let object_name = (kind, place.name.clone());
                let unwritten = Unwritten::after(held_up.unwritten.as_ref(), object_name, how, Timestamp::now());
                warn!(analysis = %id, problem = unwritten.told().1, "what is written is not stored as it is to be");
                held_up.unwritten = Some(unwritten);
                stored = object.map(|object| (kind, place, object));
                self.stirred.insert(id);
            }
            Outcome::Settling => {}
            Outcome::Tried(uid, tried) => {
                self.archiving.tried(id, uid, tried);
                self.stirred.insert(id);
            }
            Outcome::Token => held_up.token = None,
            Outcome::NoToken(trouble) => {
                held_up.token = Some(TokenRest::after(held_up.token.as_ref(), trouble, Timestamp::now()));
                // What else there is to do for it is done all the same.
                self.stirred.insert(id);
            }
            Outcome::NotDone(why) => problem = Some(why),
        }
        // What was settled is told by the watch; what is stored may be gone on with at once.
        if stored.is_some() {
            self.stirred.insert(id);
        }
        self.known.written(id, stored);
        let outcome = if is_done { "done" } else { "failed" };
        self.settings.metrics.steps.get_or_create(&OutcomeLabels { outcome }).inc();
        // Left alone for a while, ever longer.
        held_up.failed = problem.map(|problem| {
            let failures = held_up.failed.map_or(0, |(failures, _)| failures).saturating_add(1);
            warn!(analysis = %id, problem, failures, "a step failed; it is tried again");
            self.stirred.insert(id);
            (failures, Instant::now() + BACKOFF.after(failures))
        });
    }
}

/// The node's services, by namespace and name.
fn upstreams(settings: &Orchestrator) -> BTreeSet<(String, String)> {
    let each = settings.upstreams.each().into_values();
    let namespace = |upstream: &Upstream| upstream.namespace.clone().unwrap_or_else(|| settings.namespace.clone());
    each.map(|upstream| (namespace(upstream), upstream.service.clone())).collect()
}

/// Waits for news from the Hub; none where there is no Hub.
async fn reported(hub: Option<&mut HubReporter>) -> Option<AnalysisId> {
    Some(hub?.next().await)
}

const COUNT: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_FOR_LEADERSHIP: Duration = Duration::from_millis(200);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
