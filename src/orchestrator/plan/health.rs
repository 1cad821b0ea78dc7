//! What comes of what an analysis answers, and of what it says of itself by its log lines.

use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::conditions::{HEALTHY, READY, Said};
use super::removal::RUN;
use super::{Step, View};
use crate::cluster::Kind;
use crate::isolation::gateway_app;
use crate::model::{AnalysisStatus, Backoff, Phase, Run, WantedState};
use crate::orchestrator::end_reason::EndReason;
use crate::orchestrator::heard::{Answer, Call};

/// What is to come of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Course {
    /// It goes on, in this phase.
    On(Phase),
    /// It does not go on and is started again; why, and that in a sentence.
    Again(EndReason, &'static str),
    /// It has come to this end.
    End(Phase, EndReason, &'static str),
}

impl View<'_> {
    /// Where in its life the run is, whose analysis may be running: this status with what comes of its answers.
    pub(super) fn judged(&self, status: AnalysisStatus) -> AnalysisStatus {
        let status = AnalysisStatus { progress: self.progress(&status), ..status };
        let status = self.heard_of(status);
        match self.course(&status) {
            // What its Secrets or the node's services kept waiting has only begun now.
            Course::On(phase) if matches!(status.phase, None | Some(Phase::Starting)) => {
                AnalysisStatus { phase: Some(phase), started_at: Some(self.now), ..status }
            }
            Course::On(phase) => AnalysisStatus { phase: Some(phase), ..status },
            Course::End(phase, reason, message) => self.ended(status, phase, reason, message.to_owned()),
            Course::Again(reason, why) => {
                let most = self.settings.health.restarts;
                if status.restarts >= most {
                    let message = format!("{why}, and it was started again {most} times");
                    return self.ended(status, Phase::Failed, reason, message);
                }
                let message = format!("{why}; it is started again, {} of {most} times", status.restarts + 1);
                self.ended(status, Phase::Stuck, reason, message)
            }
        }
    }

    fn ended(&self, status: AnalysisStatus, phase: Phase, reason: EndReason, message: String) -> AnalysisStatus {
        let status = AnalysisStatus { phase: Some(phase), ended_at: Some(self.now), ..status };
        self.over(status, reason.word(), message)
    }

    fn course(&self, status: &AnalysisStatus) -> Course {
        let phase = if status.phase == Some(Phase::Executing) { Phase::Executing } else { Phase::Started };
        let reported = self.analysis.reported.filter(|reported| reported.run == status.run);
        let says = match self.answer() {
            Some(Answer::Says(says)) => Some(*says),
            _ => None,
        };
        // The end of a run may be said by either, since nobody may be left to be asked.
        let end =
            reported.map(|reported| reported.phase).filter(|phase| matches!(phase, Phase::Executed | Phase::Failed));
        match (phase, end.or(says)) {
            (_, Some(Phase::Executed)) => {
                Course::End(Phase::Executed, EndReason::Executed, "it says that it has done its work")
            }
            (Phase::Executing, Some(Phase::Failed)) => {
                Course::End(Phase::Failed, EndReason::Failed, "it says that it has failed")
            }
            (_, Some(Phase::Failed)) => {
                Course::Again(EndReason::FailedAtStart, "it says that it has failed before it began")
            }
            (_, Some(Phase::Stopped)) => Course::End(Phase::Stopped, EndReason::Stopped, "it says that it has stopped"),
            (_, Some(Phase::Stuck)) => Course::Again(EndReason::Stuck, "it says that it is stuck"),
            (_, Some(Phase::Executing)) => Course::On(Phase::Executing),
            (Phase::Executing, _) if self.silence() >= Some(self.settings.health.silence()) => {
                Course::End(Phase::Failed, EndReason::Silent, "it worked and does not answer any more")
            }
            (Phase::Executing, _) => Course::On(Phase::Executing),
            (_, _) if self.waited(status) >= Some(self.settings.health.start()) => {
                Course::Again(EndReason::TookTooLong, "it runs and does not answer that it works")
            }
            (_, _) if self.late_at(status).is_some_and(|late| late <= self.now) => {
                Course::Again(EndReason::NotAvailable, "its pods have not become available in time, and they say why")
            }
            (_, _) => Course::On(Phase::Started),
        }
    }

    /// When a run whose pods are not available is given up.
    fn late_at(&self, status: &AnalysisStatus) -> Option<Timestamp> {
        let ready = status.condition(READY).is_some_and(|ready| ready.status == "True");
        let started = status.started_at.filter(|_| !ready && status.phase == Some(Phase::Started))?;
        started.checked_add(self.settings.health.progress_deadline()).ok()
    }

    /// The next moment at which something comes of time alone.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
        self.again_at().or_else(|| self.late_at(&self.analysis.status))
    }

    /// How long its gateway has got no answer from it. None where its gateway says nothing: then nobody knows.
    fn silence(&self) -> Option<SignedDuration> {
        let heard = self.heard.filter(|heard| heard.run == self.analysis.status.run)?;
        let since = heard.silent_since.filter(|_| heard.answer == Answer::Silent)?;
        Some(self.now.duration_since(since))
    }

    /// How long it has been there without a word that it works, if its gateway has been asked.
    fn waited(&self, status: &AnalysisStatus) -> Option<SignedDuration> {
        self.answer().filter(|answer| !matches!(answer, Answer::Unreachable))?;
        let ready = status.condition(READY).filter(|ready| ready.status == "True")?;
        Some(self.now.duration_since(ready.last_transition_time))
    }

    fn answer(&self) -> Option<&Answer> {
        self.heard.filter(|heard| heard.run == self.analysis.status.run).map(|heard| &heard.answer)
    }

    fn progress(&self, status: &AnalysisStatus) -> u8 {
        let reported = self.analysis.reported.filter(|reported| reported.run == status.run);
        reported.map_or(status.progress, |reported| reported.progress.min(100))
    }

    fn heard_of(&self, status: AnalysisStatus) -> AnalysisStatus {
        let (is, reason, message) = match self.answer() {
            None => return status,
            Some(Answer::Says(Phase::Executing)) => ("True", "Executing", "it answers that it works"),
            Some(Answer::Says(_)) => ("False", "NotExecuting", "it answers, and not that it works"),
            Some(Answer::Silent) => ("False", "Silent", "its gateway gets no answer from it that can be read"),
            Some(Answer::Unreachable) => ("Unknown", "GatewayUnreachable", "its gateway does not answer"),
        };
        self.with(status, Said { kind: HEALTHY, status: is, reason, message: message.to_owned() })
    }

    /// A run that was stuck is taken away, and after a pause there is another.
    pub(super) fn start_again(&self) -> Step {
        if let Some(step) = self.take_away(|_| true, RUN) {
            return step;
        }
        if self.again_at().is_some_and(|at| self.now < at) {
            return Step::Wait;
        }
        let status = &self.analysis.status;
        let begun = self.begun(status.run.saturating_add(1));
        Step::Report(AnalysisStatus { restarts: status.restarts.saturating_add(1), progress: 0, ..begun })
    }

    /// When a stuck analysis is started again: twice as long after each time.
    pub(super) fn again_at(&self) -> Option<Timestamp> {
        let status = &self.analysis.status;
        let stuck = status.phase == Some(Phase::Stuck);
        let pause = BACKOFF.after(status.restarts.saturating_add(1));
        status.ended_at.filter(|_| stuck).and_then(|ended| ended.checked_add(pause).ok())
    }

    /// Where it is asked how it is; none while there is nobody to ask.
    pub(in crate::orchestrator) fn call(&self) -> Option<Call> {
        let analysis = self.analysis;
        let lives = matches!(analysis.status.phase, Some(Phase::Started | Phase::Executing));
        if analysis.deleting || analysis.spec.state == WantedState::Stopped || !lives {
            return None;
        }
        let run = Run { analysis: analysis.id, number: analysis.status.run };
        let gateway = self.objects.get(&(Kind::Service, gateway_app(&run.app())))?;
        let address: IpAddr = gateway.pointer("/spec/clusterIP")?.as_str()?.parse().ok()?;
        let secret = self.renewed_secret();
        let token = secret.and_then(|secret| secret.pointer("/metadata/resourceVersion")).and_then(Value::as_str);
        Some(Call { run, address, token: token.map(str::to_owned) })
    }
}

const BACKOFF: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_mins(10));
