//! Edge: the scanner's loop. Changes come in, the plan says what is next, steps are carried out side by side.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tracing::{debug, warn};

use super::act::Actor;
use super::approvals::{Approvals, HubSource};
use super::ends::{Outcome, take_in};
use super::known::Known;
use super::lookups;
use super::plan::{Memory, Seen, Step, plan};
use super::registries::Registries;
use super::reports::Reports;
use super::runner::Runner;
use super::settle::Settler;
use super::turns::{Begun, turns};
use super::watches::Watches;
use crate::archive::Archive;
use crate::cluster::{Cluster, Leadership, Recorder};
use crate::facts::ScanMemory;
use crate::policy::PolicySet;
use crate::remote::Ways;
use crate::telemetry::{Metrics, whole};

/// What the scanner needs.
#[derive(Clone)]
pub struct ScannerSettings {
    /// Writes as the leader.
    pub cluster: Cluster,
    /// Whether this process leads.
    pub leadership: Leadership,
    /// The policies in force.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// What is known of scans, as admission knows it.
    pub scans: Arc<ScanMemory>,
    /// Tells of pods that have to wait.
    pub recorder: Arc<Recorder>,
    /// Who makes scans.
    pub runner: Arc<Runner>,
    /// Keeps reports that are too large for an object, where there is one.
    pub archive: Option<Arc<Archive>>,
    /// How registries are reached.
    pub ways: Ways,
    /// How the Hub is reached.
    pub hub: HubSource,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// Has images scanned for as long as the process lives.
pub struct Scanning {
    settings: ScannerSettings,
}

/// What goes on under one set of policies.
struct Session {
    settings: ScannerSettings,
    policies: Arc<PolicySet>,
    registries: Arc<Registries>,
    approvals: Arc<Approvals>,
    reports: Reports,
    watches: Watches,
    known: Known,
    memory: Memory,
    /// As the runner told it last.
    renewed: Option<Timestamp>,
    steps: JoinSet<(Begun, Outcome)>,
}

impl Scanning {
    /// Nothing is known yet.
    pub fn new(settings: ScannerSettings) -> Self {
        Scanning { settings }
    }

    /// Goes on until `stop` says so. A scan that is under way then is begun again by the next leader.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let policies = self.settings.policies.load_full();
            match Session::of(&self.settings, policies) {
                Some(session) => session.run(&mut stop).await,
                // Nobody wants scans, until policies do.
                None => tokio::select! {
                    _ = stop.wait_for(|stop| *stop) => {}
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                },
            }
        }
    }
}

impl Session {
    /// None where the policies say nothing of scans.
    fn of(settings: &ScannerSettings, policies: Arc<PolicySet>) -> Option<Self> {
        policies.scanner.as_ref()?;
        let registries = Registries::new(&settings.ways, &policies);
        let registries = registries.inspect_err(|problem| warn!(problem = %whole(problem), "no registry can be asked"));
        let archive = if settings.archive.is_some() { Seen::NotYet } else { Seen::Nowhere };
        Some(Session {
            reports: Reports::new(settings.archive.clone(), settings.runner.holder()),
            registries: Arc::new(registries.ok()?),
            approvals: Arc::new(Approvals::new(policies.clone(), settings.hub.clone(), settings.metrics.clone())),
            watches: Watches::of(&settings.cluster, &policies),
            settings: settings.clone(),
            policies,
            known: Known::default(),
            memory: Memory { archive, ..Memory::default() },
            renewed: None,
            steps: JoinSet::new(),
        })
    }

    /// Goes on until it is told to stop, or other policies are in force.
    async fn run(mut self, stop: &mut watch::Receiver<bool>) {
        while Arc::ptr_eq(&self.settings.policies.load(), &self.policies) {
            self.start();
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                Some(news) = self.watches.next() => {
                    self.known.observe(news, &self.policies);
                    while let Some(news) = self.watches.waiting() {
                        self.known.observe(news, &self.policies);
                    }
                }
                Some(done) = self.steps.join_next() => {
                    self.finish(done);
                    while let Some(done) = self.steps.try_join_next() {
                        self.finish(done);
                    }
                }
                // What admission knows of scans comes by a watch of its own.
                () = tokio::time::sleep(if self.known.held().is_empty() { LOOK_AGAIN } else { LOOK_SOON }) => {}
            }
        }
    }

    /// Starts every step that is due.
    fn start(&mut self) {
        let Some(settings) = &self.policies.scanner else { return };
        let there: BTreeSet<&String> = self.known.held().values().map(|held| &held.uid).collect();
        self.memory.told.retain(|uid, _| there.contains(uid));
        let platforms = self.known.platforms();
        let knows = self.known.has_seen(self.watches.lists()) && !platforms.is_empty();
        if !knows || !self.settings.leadership.holds() {
            return;
        }
        lookups::leave_out(&mut self.memory.failing, &self.known, &self.policies);
        lookups::keep_asked(&mut self.memory.failing, &self.known, &self.policies);
        let settler = Settler {
            cluster: self.settings.cluster.clone(),
            policies: self.policies.clone(),
            scans: self.settings.scans.clone(),
            recorder: self.settings.recorder.clone(),
        };
        let actor = Actor {
            cluster: self.settings.cluster.clone(),
            settler,
            policies: self.policies.clone(),
            settings: Arc::new(settings.clone()),
            registries: self.registries.clone(),
            approvals: self.approvals.clone(),
            runner: self.settings.runner.clone(),
            reports: self.reports.clone(),
            metrics: self.settings.metrics.clone(),
            platforms,
        };
        let now = Timestamp::now();
        self.memory.forget_rests(now);
        let renewed = self.settings.runner.renewed();
        if renewed != self.renewed {
            self.renewed = renewed;
            // By a clock that is ahead of this one, everything would be scanned again until this one is there too.
            self.memory.renewed = renewed.map(|renewed| renewed.min(now));
        }
        let due = plan(&self.known, &self.settings.scans.read(), &self.memory, &self.policies, now);
        self.memory.wait(&due, now);
        for step in turns(due, &self.memory, settings, now) {
            debug!(?step, "scanner acts");
            let (begun, actor) = ((step.task(), step.doing()), actor.clone());
            self.memory.begin(&step);
            self.steps.spawn(async move { (begun, to_its_end(actor, step).await) });
        }
    }

    fn finish(&mut self, done: Result<(Begun, Outcome), JoinError>) {
        let (begun, outcome) = match done {
            Ok(done) => done,
            Err(problem) => return warn!(%problem, "a step of the scanner broke off"),
        };
        if let Some((problem, _)) = outcome.problem() {
            let (task, doing) = &begun;
            let failures = self.memory.rests.get(&begun).map_or(0, |rest| rest.failures).saturating_add(1);
            warn!(?task, ?doing, problem, failures, "what is known of an image's scan stays as it is");
        }
        take_in(&mut self.memory, &mut self.known, begun, outcome, Timestamp::now());
    }
}

/// A step that breaks off has failed: without any outcome its image would count as busy for ever.
async fn to_its_end(actor: Actor, step: Step) -> Outcome {
    let done = AssertUnwindSafe(actor.act(step)).catch_unwind().await;
    done.unwrap_or_else(|_| Outcome::Failed("the step broke off".to_owned(), None))
}

/// Ends of verdicts and of rests are seen within this time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A pod that waits is to start within a second of its verdict.
const LOOK_SOON: Duration = Duration::from_millis(200);
