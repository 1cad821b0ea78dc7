//! Edge: asks running analyses how they are, each through its gateway and for itself: a slow one keeps nobody waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::heard::{Answer, Call, Heard};
use crate::bundle::{token_in, token_secret_name};
use crate::cluster::{Cluster, Kind};
use crate::facts::Place;
use crate::model::{AnalysisId, Phase, Run};
use crate::remote::{Address, Content, Question, Remote, RemoteProblem, Ways};
use crate::telemetry::{AnswerLabels, Metrics, whole};

/// All visits.
pub(super) struct Visits {
    visitor: Arc<Visitor>,
    metrics: Arc<Metrics>,
    period: Duration,
    each: BTreeMap<AnalysisId, State>,
    /// Who is asked next, and when.
    queue: BTreeSet<(Instant, AnalysisId)>,
    under_way: JoinSet<(AnalysisId, Visit)>,
}

struct State {
    call: Call,
    /// Its place in the queue; none while it is being asked.
    due: Option<Instant>,
    heard: Option<Heard>,
    /// The version of the Secret whose token the run was given.
    given: Option<String>,
}

/// What one visit has brought.
struct Visit {
    run: Run,
    answer: Answer,
    given: Option<String>,
}

struct Visitor {
    remote: Remote,
    cluster: Cluster,
    namespace: String,
    /// A token that ends before is given again, as FLAME does it.
    soon: Duration,
}

impl Visits {
    /// Nobody to visit yet.
    ///
    /// # Errors
    /// Connections cannot be set up.
    pub(super) fn new(
        cluster: Cluster,
        namespace: &str,
        period: Duration,
        metrics: Arc<Metrics>,
    ) -> Result<Self, RemoteProblem> {
        // Gateways are in the cluster, so that no proxy is between.
        let ways = Ways::plain(PATIENCE);
        let soon = period * 2 + Duration::from_secs(1);
        let visitor = Visitor { remote: Remote::new(&ways)?, cluster, namespace: namespace.to_owned(), soon };
        Ok(Visits {
            visitor: Arc::new(visitor),
            metrics,
            period,
            each: BTreeMap::new(),
            queue: BTreeSet::new(),
            under_way: JoinSet::new(),
        })
    }

    /// From now on the analysis is asked like this, or not at all.
    pub(super) fn want(&mut self, id: AnalysisId, call: Option<Call>) {
        let Some(call) = call else {
            self.each.remove(&id);
            return;
        };
        match self.each.get_mut(&id) {
            Some(state) => state.call = call,
            None => {
                let now = Instant::now();
                self.each.insert(id, State { call, due: Some(now), heard: None, given: None });
                self.queue.insert((now, id));
            }
        }
    }

    /// What the analysis has answered last.
    pub(super) fn heard(&self, id: AnalysisId) -> Option<&Heard> {
        self.each.get(&id)?.heard.as_ref()
    }

    /// Begins the visits whose time has come; gives the moment of the next.
    pub(super) fn begin(&mut self) -> Option<Instant> {
        let now = Instant::now();
        while let Some((at, id)) = self.queue.first().copied() {
            if now < at {
                return Some(at);
            }
            self.queue.pop_first();
            // Others are places of those who were given up since.
            let Some(state) = self.each.get_mut(&id).filter(|state| state.due == Some(at)) else { continue };
            state.due = None;
            let (visitor, call, given) = (self.visitor.clone(), state.call.clone(), state.given.clone());
            self.under_way.spawn(async move { (id, visitor.visit(call, given).await) });
        }
        None
    }

    /// Waits for the end of a visit; tells whose it was.
    pub(super) async fn next(&mut self) -> AnalysisId {
        loop {
            match self.under_way.join_next().await {
                Some(Ok((id, visit))) => {
                    self.take_in(id, visit);
                    return id;
                }
                Some(Err(problem)) => warn!(%problem, "a visit broke off"),
                // Nobody is visited.
                None => pending().await,
            }
        }
    }

    fn take_in(&mut self, id: AnalysisId, visit: Visit) {
        // What was given up and wanted again in the meantime is asked anew.
        let Some(state) = self.each.get_mut(&id).filter(|state| state.due.is_none()) else { return };
        let due = Instant::now() + self.period;
        state.due = Some(due);
        self.queue.insert((due, id));
        let Visit { run, answer, given } = visit;
        self.metrics.visits.get_or_create(&AnswerLabels { answer: answer.name() }).inc();
        if run != state.call.run {
            state.heard = None;
            return;
        }
        state.heard = Some(Heard::after(state.heard.take(), run.number, answer, Timestamp::now()));
        state.given = given;
    }
}

impl Visitor {
    async fn visit(&self, call: Call, given: Option<String>) -> Visit {
        let run = call.run;
        let answer = |answer| Visit { run, answer, given: given.clone() };
        let Ok(gateway) = gateway(call.address) else { return answer(Answer::Unreachable) };
        let health = match self.remote.ask(Question::get(gateway.below(&["analysis", "healthz"]), LONGEST)).await {
            // Whatever else a gateway says of its analysis is no answer of the analysis.
            Ok(got) if got.status == 200 => match got.json::<Health>() {
                Some(health) => health,
                None => return answer(Answer::Silent),
            },
            Ok(_) => return answer(Answer::Silent),
            // The gateway itself answers within the time that it gives its analysis: what began was the analysis's.
            Err(RemoteProblem::Large(_) | RemoteProblem::BrokenOff(_) | RemoteProblem::Endless) => {
                return answer(Answer::Silent);
            }
            Err(problem) => {
                debug!(app = run.app(), problem = %whole(&problem), "a gateway does not answer");
                return answer(Answer::Unreachable);
            }
        };
        let known = Phase::deserialize(&health.status).ok().filter(|phase| SAID.contains(phase));
        let wants = |version: &String| health.wants_token(given.as_ref() == Some(version), self.soon);
        let Some(version) = call.token.as_ref().filter(|version| wants(version)) else {
            return answer(known.map_or(Answer::Silent, Answer::Says));
        };
        let refreshed = self.refresh(&gateway, run).await;
        if let Err(problem) = &refreshed {
            debug!(app = run.app(), problem, "the analysis was not given its new token");
        }
        let given = refreshed.is_ok().then(|| version.clone()).or(given);
        Visit { run, answer: known.map_or(Answer::Silent, Answer::Says), given }
    }

    /// Gives a run the token that stands in its Secret now.
    async fn refresh(&self, gateway: &Address, run: Run) -> Result<(), String> {
        let place = Place { namespace: self.namespace.clone(), name: token_secret_name(run.analysis) };
        let secret = self.cluster.read(Kind::Secret, &place).await.map_err(|problem| whole(&problem))?;
        let secret: Value = secret.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let token = token_in(&secret).ok_or("its Secret holds none")?;
        let body = json!({"token": token.reveal()});
        let question = Question {
            method: Method::POST,
            address: gateway.below(&["analysis", "token_refresh"]),
            bearer: None,
            content: Content::Json(&body),
            longest: LONGEST,
        };
        match self.remote.ask(question).await {
            Ok(got) if (200..300).contains(&got.status) => Ok(()),
            Ok(got) => Err(format!("it answers {}", got.status)),
            Err(problem) => Err(whole(&problem)),
        }
    }
}

/// The answer to `GET /healthz`, as FLAME's SDK gives it.
#[derive(Deserialize)]
struct Health {
    status: Value,
    /// In seconds.
    #[serde(default)]
    token_remaining_time: Value,
}

impl Health {
    /// Whether it should be given a token: another than it was given, or it says that its own ends soon.
    fn wants_token(&self, was_given: bool, soon: Duration) -> bool {
        !was_given || self.token_remaining_time.as_f64().is_some_and(|seconds| seconds < soon.as_secs_f64())
    }
}

/// Where a gateway answers whose Service has this address.
pub(super) fn gateway(address: IpAddr) -> Result<Address, RemoteProblem> {
    match address {
        IpAddr::V4(address) => Address::parse(&format!("http://{address}")),
        IpAddr::V6(address) => Address::parse(&format!("http://[{address}]")),
    }
}

/// What an analysis says of itself, as FLAME's SDK does.
const SAID: [Phase; 5] = [Phase::Executing, Phase::Executed, Phase::Stuck, Phase::Stopped, Phase::Failed];
/// For one question.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of an answer.
const LONGEST: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use serde_json::from_str;

    use super::*;

    #[test]
    fn a_token_is_given_once_and_when_the_one_before_ends_soon() {
        let soon = Duration::from_secs(21);
        for (answer, was_given, want) in [
            (r#"{"status": "executing", "token_remaining_time": 3600}"#, true, false),
            (r#"{"status": "executing", "token_remaining_time": 3600}"#, false, true),
            (r#"{"status": "executing", "token_remaining_time": 20.9}"#, true, true),
            (r#"{"status": "executing", "token_remaining_time": -5}"#, true, true),
            (r#"{"status": "executing", "token_remaining_time": "soon"}"#, true, false),
            (r#"{"status": "executing"}"#, true, false),
        ] {
            let health: Health = from_str(answer).unwrap();
            assert_eq!(health.wants_token(was_given, soon), want, "{answer} {was_given}");
        }
        for garbage in ["", "[]", "null", "{}", r#""executing""#] {
            assert!(from_str::<Health>(garbage).is_err(), "{garbage}");
        }
    }

    #[test]
    fn what_a_gateway_is_asked_at_is_its_address() {
        for (address, want) in [("127.64.0.9", "http://127.64.0.9/"), ("fd00::1", "http://[fd00::1]/")] {
            assert_eq!(gateway(address.parse().unwrap()).unwrap().as_str(), want);
        }
    }
}
