//! What is to be done next for one analysis. One step is at most one call, so that an end between any two loses nothing.

mod conditions;
mod health;
mod keeping;
mod outside;
mod removal;
mod scanned;
mod writing;

use jiff::Timestamp;
use json_patch::Patch;
use serde_json::{Value, json};

use self::conditions::{ready, reason, text};
pub(super) use self::keeping::LogsOf;
use self::removal::{END, RUN, app_of};
pub(super) use self::scanned::Unscanned;
use super::archived::Archived;
use super::heard::Heard;
use super::hub::Word;
use super::known::Objects;
use super::token_rest::TokenRest;
use super::unwritten::Unwritten;
use crate::bundle::{Order, Services, covers, objects, pull_secret_name, token_secret_name};
use crate::cluster::Kind;
use crate::isolation::gateway_app;
use crate::model::{AnalysisObject, AnalysisStatus, Phase, Run, WantedState, labels};
use crate::policy::{Orchestrator, PolicySet};

/// What is known when a step is decided.
pub(super) struct View<'a> {
    /// The analysis.
    pub(super) analysis: &'a AnalysisObject,
    /// What belongs to it.
    pub(super) objects: &'a Objects,
    /// What belongs to the namespace.
    pub(super) common: &'a Objects,
    /// Every Service.
    pub(super) services: &'a Services,
    /// The policies in force.
    pub(super) policies: &'a PolicySet,
    /// The orchestrator's settings among them.
    pub(super) settings: &'a Orchestrator,
    /// What its run has answered last.
    pub(super) heard: Option<&'a Heard>,
    /// What has come of telling the Hub of it.
    pub(super) hub: Option<Word>,
    /// Why it has no fresh token, where that was tried.
    pub(super) token_rest: Option<&'a TokenRest>,
    /// Why its image may not run, where it may not.
    pub(super) unscanned: Option<Unscanned>,
    /// What of it could not be written as it is to be.
    pub(super) unwritten: Option<&'a Unwritten>,
    /// What is known of what was kept; none without an archive.
    pub(super) archived: Option<Archived>,
    /// The time.
    pub(super) now: Timestamp,
}

/// The next thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Put the finalizer on the Analysis, before anything is made that it must outlive.
    Hold,
    /// Write an object.
    Write(Kind, Value),
    /// Put an object right that writing does not: some have fields that others have added to.
    Amend(Kind, Value, Patch),
    /// Put a token into the analysis's Secret of that uid.
    Token(String),
    /// Keep what the pods of a run have written.
    KeepLogs(Box<LogsOf>),
    /// Delete an object: kind, name, uid.
    Delete(Kind, String, String),
    /// Delete the Analysis, which ended long ago, if it is still this version.
    Expire,
    /// Have the archive forget the analysis.
    Forget,
    /// Write the status.
    Report(AnalysisStatus),
    /// Take the finalizer away: nothing is left.
    LetGo {
        /// Whether it has a client in Keycloak, which goes first.
        has_client: bool,
    },
    /// Nothing, until something changes.
    Wait,
}

/// How it is with a token.
enum Token {
    /// It is good, or not ours to fetch.
    Fresh,
    /// This is to be done for another.
    Due(Step),
    /// Another is due, and was asked for in vain a moment ago.
    Awaited,
}

/// The next step for an analysis.
pub(super) fn plan(view: &View<'_>) -> Step {
    let status = &view.analysis.status;
    match next(view) {
        Step::Report(status) => Step::Report(view.with_archived(view.with_outside(status))),
        Step::Wait if !view.analysis.deleting => {
            let told = view.with_archived(view.with_outside(status.clone()));
            if told == *status { Step::Wait } else { Step::Report(told) }
        }
        step => step,
    }
}

fn next(view: &View<'_>) -> Step {
    let analysis = view.analysis;
    let held = analysis.finalizers.iter().any(|finalizer| finalizer == labels::ANALYSIS_FINALIZER);
    if analysis.deleting {
        return match (held, view.take_away(|_| true, END)) {
            (false, _) => Step::Wait,
            (true, Some(step)) => step,
            (true, None) if view.archived.as_ref().is_some_and(|archived| !archived.forgotten) => Step::Forget,
            (true, None) => view.let_go(),
        };
    }
    if !held {
        return Step::Hold;
    }
    let runs_again = analysis.spec.state == WantedState::Running && analysis.spec.run > analysis.status.run;
    if !runs_again && view.goes_at().is_some_and(|at| at <= view.now) {
        return Step::Expire;
    }
    if analysis.spec.state == WantedState::Stopped {
        return view.stop();
    }
    if analysis.spec.run > analysis.status.run {
        return Step::Report(view.begun(analysis.spec.run));
    }
    match analysis.status.phase {
        Some(phase) if phase.is_over() => view.take_away(|_| true, RUN).unwrap_or(Step::Wait),
        Some(Phase::Stuck) => view.start_again(),
        // Stopped and wanted again before it had come to its end.
        Some(Phase::Stopping) => Step::Report(view.begun(analysis.status.run.saturating_add(1))),
        _ => view.make(),
    }
}

impl View<'_> {
    fn stop(&self) -> Step {
        let status = &self.analysis.status;
        let ended = status.phase.is_none_or(Phase::is_over);
        if !ended && status.phase != Some(Phase::Stopping) {
            let stopping = AnalysisStatus { phase: Some(Phase::Stopping), ..status.clone() };
            return self.told(self.over(stopping, "Stopping", "its pods are taken away".to_owned()));
        }
        match (self.take_away(|_| true, RUN), status.phase) {
            (Some(step), _) => step,
            (None, Some(Phase::Executed | Phase::Failed)) => self.settled(),
            (None, phase) => {
                let ended_at = if phase == Some(Phase::Stopped) { status.ended_at } else { Some(self.now) };
                let stopped = AnalysisStatus { phase: Some(Phase::Stopped), ended_at, ..status.clone() };
                self.told(self.over(stopped, "Stopped", "it was stopped".to_owned()))
            }
        }
    }

    /// Nothing more to do, once the status speaks of the spec as it is.
    fn settled(&self) -> Step {
        let (analysis, status) = (self.analysis, &self.analysis.status);
        if status.observed_generation == analysis.generation {
            return Step::Wait;
        }
        Step::Report(AnalysisStatus { observed_generation: analysis.generation, ..status.clone() })
    }

    /// A new run: what was said of the last one is over.
    fn begun(&self, run: u32) -> AnalysisStatus {
        AnalysisStatus {
            observed_generation: self.analysis.generation,
            run,
            phase: Some(Phase::Starting),
            progress: self.analysis.spec.progress,
            restarts: 0,
            started_at: Some(self.now),
            ended_at: None,
            conditions: Vec::new(),
        }
    }

    /// The next object of the run that is missing or says something else.
    fn make(&self) -> Step {
        let run = Run { analysis: self.analysis.id, number: self.analysis.status.run };
        let app = run.app();
        // Two runs at one time would be two analyses.
        match self.take_away(|object| app_of(object).is_some_and(|of| of != app), RUN) {
            Some(Step::Wait) => {
                let why = "what belongs to another run of it is still there; its pods say why";
                return self.not_ready("OtherRunEnds", why.to_owned());
            }
            Some(step) => return step,
            None => {}
        }
        let order = Order {
            run,
            project: self.analysis.spec.project_id,
            image: &self.analysis.spec.image,
            policies: self.policies,
            settings: self.settings,
            services: self.services,
        };
        let wanted = match objects(&order) {
            Ok(wanted) => wanted,
            Err(problems) => return self.not_ready(reason(&problems), text(&problems)),
        };
        // Only now: for an image from elsewhere no credential is looked at.
        if let Some(missing) = self.missing_secret() {
            return self.not_ready(
                "CredentialsMissing",
                format!("Secret {missing} is not there; who asks for an analysis writes it"),
            );
        }
        let mut waits = None;
        for object in wanted {
            let Some(kind) = kind_of(&object) else { continue };
            let object = self.owned(object);
            let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            let key = (kind, name.to_owned());
            let stored = self.objects.get(&key).or_else(|| self.common.get(&key));
            // Where one cannot be written what is there already is kept right, and nothing follows it.
            if waits.is_some() && stored.is_none() {
                continue;
            }
            if kind == Kind::Deployment
                && name == app
                && let Some(step) = self.before_it_runs(stored.is_some())
            {
                return step;
            }
            if stored.is_some_and(|stored| covers(stored, &object)) {
                continue;
            }
            match self.write(kind, object, stored) {
                Step::Wait | Step::Report(_) if waits.is_some() => {}
                step @ (Step::Wait | Step::Report(_)) => waits = Some(step),
                step => return step,
            }
        }
        waits.unwrap_or_else(|| self.made(&app))
    }

    /// What comes before the Deployment of the analysis itself, which may be there already.
    fn before_it_runs(&self, is_there: bool) -> Option<Step> {
        if let Some(step) = self.waits_for_scan(is_there) {
            return Some(step);
        }
        match self.token() {
            Token::Fresh => None,
            Token::Due(step) => Some(step),
            // One that runs goes on with what it has.
            Token::Awaited if is_there => None,
            Token::Awaited => {
                let why = "it is not started without a fresh token; the condition TokenFresh says more";
                Some(self.not_ready("TokenMissing", why.to_owned()))
            }
        }
    }

    /// All of it is there: says so, and whether it runs.
    fn made(&self, app: &str) -> Step {
        let available = |name: &str| {
            let deployment = self.objects.get(&(Kind::Deployment, name.to_owned()));
            deployment.and_then(|object| object.pointer("/status/availableReplicas")).and_then(Value::as_u64) >= Some(1)
        };
        let gateway = gateway_app(app);
        let (status, reason, message) = match (available(app), available(&gateway)) {
            (true, true) => ("True", "Running", "the analysis and its gateway run".to_owned()),
            (false, _) => {
                ("False", "AnalysisNotAvailable", format!("Deployment {app} has no available pod; its pods say why"))
            }
            (true, false) => {
                ("False", "GatewayNotAvailable", format!("Deployment {gateway} has no available pod; its pods say why"))
            }
        };
        self.told(self.judged(self.with(self.analysis.status.clone(), ready(status, reason, message))))
    }

    /// How it is with its token, which the analysis reads when it starts: another is due where there is none yet, or
    /// where half of its time is over.
    fn token(&self) -> Token {
        let Some(secret) = self.renewed_secret() else { return Token::Fresh };
        if renewal(secret).is_some_and(|renewal| self.now < renewal) {
            return Token::Fresh;
        }
        if self.token_rest.is_some_and(|rest| self.now < rest.until) {
            return Token::Awaited;
        }
        let uid = secret.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        Token::Due(Step::Token(uid.to_owned()))
    }

    fn token_secret(&self) -> Option<&Value> {
        self.objects.get(&(Kind::Secret, token_secret_name(self.analysis.id)))
    }

    /// The token's Secret, where Flamewarden renews it.
    fn renewed_secret(&self) -> Option<&Value> {
        self.token_secret().filter(|_| self.settings.tokens.is_some())
    }

    /// When there is something to do though nothing changes.
    pub(super) fn next_look(&self) -> Option<Timestamp> {
        let runs = self.analysis.spec.state == WantedState::Running && !self.analysis.deleting;
        let token = self.renewed_secret().and_then(renewal);
        let rest = self.token_rest.map(|rest| rest.until);
        let token = if rest.is_some() { token.max(rest) } else { token };
        let unwritten = self.unwritten.map(|unwritten| unwritten.until).filter(|until| self.now < *until);
        let running = token.into_iter().chain(self.due_at()).chain(unwritten).chain(self.asks_for_verdict());
        let running = running.filter(|_| runs);
        let leaving = rest.filter(|_| self.analysis.deleting);
        running.chain(self.goes_at()).chain(leaving).min()
    }

    /// Nothing is left in the cluster; its client in Keycloak goes before it does.
    fn let_go(&self) -> Step {
        match self.token_rest.filter(|rest| self.now < rest.until) {
            Some(rest) => {
                let (reason, why) = rest.trouble.told();
                self.not_ready(reason, format!("it goes when its Keycloak client is taken away: {why}"))
            }
            None => Step::LetGo { has_client: self.settings.tokens.is_some() },
        }
    }

    fn missing_secret(&self) -> Option<String> {
        let id = self.analysis.id;
        let names = [pull_secret_name(id), token_secret_name(id)];
        names.into_iter().find(|name| !self.objects.contains_key(&(Kind::Secret, name.clone())))
    }

    /// The object with its Analysis as owner.
    fn owned(&self, mut object: Value) -> Value {
        let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
        // What belongs to the namespace carries no analysis's label, and stays.
        let labelled = |labels: &Value| labels.get(labels::ANALYSIS).is_some();
        if let Some(metadata) = metadata.filter(|metadata| metadata.get("labels").is_some_and(labelled)) {
            metadata.insert("ownerReferences".to_owned(), json!([self.analysis.owner_reference()]));
        }
        object
    }
}

fn renewal(secret: &Value) -> Option<Timestamp> {
    let annotations = secret.pointer("/metadata/annotations")?;
    annotations.get(labels::RENEW_TOKEN)?.as_str()?.parse().ok()
}

fn kind_of(object: &Value) -> Option<Kind> {
    let name = object.get("kind").and_then(Value::as_str)?;
    MADE.iter().copied().find(|kind| kind.type_names().1 == name)
}

/// What a bundle consists of.
const MADE: &[Kind] = &[Kind::Service, Kind::NetworkPolicy, Kind::ConfigMap, Kind::Deployment];

#[cfg(test)]
mod dedicated_tests;
#[cfg(test)]
mod health_tests;
#[cfg(test)]
mod keeping_tests;
#[cfg(test)]
mod outside_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod writing_tests;
