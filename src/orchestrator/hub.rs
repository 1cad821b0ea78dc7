//! Edge: tells the Hub how each analysis is doing, each for itself: neither a slow Hub nor another analysis is waited for.

mod lines;
mod news;
mod partners;
mod teller;

use std::collections::BTreeMap;
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{debug, info, warn};

pub(super) use self::lines::Lines;
use self::news::Tell;
pub(super) use self::news::{News, Word, line, sentence};
use super::outside::{OutsideFiles, OutsideProblem};
use crate::cluster::Leadership;
use crate::hub::{Hub, HubAccount, HubProblem, Outcome};
use crate::model::{AnalysisId, Backoff};
use crate::policy::{HubSettings, Orchestrator, PolicySet, WaySettings};
use crate::remote::{Address, Remote, Ways};
use crate::telemetry::{Metrics, whole};

/// Everybody who tells the Hub something.
pub(super) struct HubReporter {
    shared: Arc<Shared>,
    /// None where no line is to leave the node.
    lines: Option<Lines>,
    each: BTreeMap<AnalysisId, Each>,
    words: mpsc::Receiver<(AnalysisId, Word)>,
    /// They end with it.
    tasks: JoinSet<()>,
}

/// What is known of one analysis.
struct Each {
    news: News,
    word: Option<Word>,
    /// None where the Hub knows the end of the analysis.
    teller: Option<watch::Sender<Tell>>,
    partners: Option<(IpAddr, AbortHandle)>,
    /// Its object is gone. It stays until its end is told: one that is made anew under its id must not be told before.
    is_gone: bool,
}

/// What they have in common.
struct Shared {
    hub: Arc<Hub>,
    leadership: Leadership,
    metrics: Arc<Metrics>,
    /// For gateways, which are in the cluster, so that no proxy is between.
    gateways: Remote,
    period: Duration,
    words: mpsc::Sender<(AnalysisId, Word)>,
    /// Calls about analyses' state, and others about their partners, under way at one time.
    tells: Semaphore,
    questions: Semaphore,
    is_down: AtomicBool,
}

impl HubReporter {
    /// One that has told nobody anything.
    ///
    /// # Errors
    /// The Hub cannot be asked as the settings say.
    pub(super) fn new(
        settings: &Orchestrator,
        hub: &HubSettings,
        files: &OutsideFiles,
        leadership: Leadership,
        metrics: Arc<Metrics>,
    ) -> Result<Self, OutsideProblem> {
        let edge = Arc::new(edge(hub, &settings.ways, files)?);
        let (sender, words) = mpsc::channel(BACKLOG);
        let lines = hub.logs.then(|| Lines::new(edge.clone(), metrics.clone()));
        let shared = Arc::new(Shared {
            hub: edge,
            leadership,
            metrics,
            gateways: Remote::new(&Ways::plain(GATEWAY_PATIENCE))?,
            period: Duration::from_secs(settings.health.period_seconds.into()),
            words: sender,
            tells: Semaphore::new(PLACES),
            questions: Semaphore::new(PLACES),
            is_down: AtomicBool::new(false),
        });
        Ok(HubReporter { shared, lines, each: BTreeMap::new(), words, tasks: JoinSet::new() })
    }

    /// From now on this is what the Hub is to know of an analysis; with nothing it is told what it was to be told last.
    pub(super) fn want(&mut self, id: AnalysisId, news: Option<News>) {
        let Some(news) = news else {
            self.lose(id);
            return;
        };
        let before = self.each.remove(&id);
        let is_news = before.as_ref().is_none_or(|before| before.news.tell() != news.tell());
        let is_other_phase = before.as_ref().is_none_or(|before| before.news.phase() != news.phase());
        if let (Some(lines), Some(line)) = (&self.lines, &news.line)
            && is_other_phase
            && !news.is_known
        {
            lines.pass(id, line.clone());
        }
        let (mut word, mut teller, partners) = match before {
            Some(Each { word, teller, partners, .. }) => (word, teller, partners),
            None => (None, None, None),
        };
        match &teller {
            Some(teller) if is_news => {
                teller.send_replace(news.tell());
            }
            Some(_) => {}
            // It was told by whoever led before.
            None if news.is_known => word = Some(Word::Told(news.status)),
            None => {
                let (sender, tells) = watch::channel(news.tell());
                self.tasks.spawn(teller::run(self.shared.clone(), id, tells));
                teller = Some(sender);
            }
        }
        let partners = self.informed(id, partners, news.gateway);
        self.each.insert(id, Each { news, word, teller, partners, is_gone: false });
    }

    fn lose(&mut self, id: AnalysisId) {
        let Some(each) = self.each.get_mut(&id) else { return };
        each.is_gone = true;
        if let Some((_, partners)) = each.partners.take() {
            partners.abort();
        }
        if each.is_over() {
            self.each.remove(&id);
        }
    }

    /// A task that tells the run behind this gateway how its partners are doing; the one before, if it does just that.
    fn informed(
        &mut self,
        id: AnalysisId,
        before: Option<(IpAddr, AbortHandle)>,
        gateway: Option<IpAddr>,
    ) -> Option<(IpAddr, AbortHandle)> {
        if before.as_ref().map(|(address, _)| *address) == gateway {
            return before;
        }
        if let Some((_, task)) = before {
            task.abort();
        }
        let address = gateway?;
        let place = super::visits::gateway(address).ok()?;
        Some((address, self.tasks.spawn(partners::run(self.shared.clone(), id, place))))
    }

    /// What came of telling it of an analysis last.
    pub(super) fn word(&self, id: AnalysisId) -> Option<Word> {
        self.each.get(&id)?.word
    }

    /// Waits until something else has come of it; tells for whom.
    pub(super) async fn next(&mut self) -> AnalysisId {
        loop {
            tokio::select! {
                Some((id, word)) = self.words.recv() => {
                    let Some(each) = self.each.get_mut(&id) else { continue };
                    each.word = Some(word);
                    if !each.is_gone {
                        return id;
                    }
                    if each.is_over() {
                        self.each.remove(&id);
                    }
                }
                Some(ended) = self.tasks.join_next() => {
                    if let Err(problem) = ended && !problem.is_cancelled() {
                        warn!(%problem, "somebody who tells the Hub broke off");
                    }
                }
                else => pending().await,
            }
        }
    }
}

impl Each {
    /// Whether nothing more is to be told of one that is gone.
    fn is_over(&self) -> bool {
        match self.word {
            _ if self.teller.is_none() => true,
            Some(Word::Told(status)) => status == self.news.status,
            Some(Word::NotTold(outcome)) => outcome != Outcome::Unavailable,
            Some(Word::NotSetUp) => true,
            None => false,
        }
    }
}

impl Shared {
    /// Counts what came of a call, and says so when the Hub goes or comes.
    fn count<T>(&self, done: &Result<T, HubProblem>) {
        let outcome = outcome(done);
        self.metrics.called(HUB, outcome.label(), outcome != Outcome::Unavailable);
        let is_down = outcome == Outcome::Unavailable;
        if self.is_down.swap(is_down, Ordering::Relaxed) == is_down {
            if let Err(problem) = done {
                debug!(problem = %whole(problem), "the Hub was not told");
            }
            return;
        }
        match done {
            Err(problem) if is_down => warn!(problem = %whole(problem), "the Hub cannot be told anything"),
            _ => info!("the Hub answers again"),
        }
    }
}

/// The Hub that the policies name, for others who ask it something.
///
/// # Errors
/// They name none, or what its settings count on is missing; in words for people.
pub fn hub(policies: &PolicySet, files: &OutsideFiles) -> Result<Hub, String> {
    let named = policies.orchestrator.as_ref().and_then(|settings| Some((settings.hub.as_ref()?, &settings.ways)));
    let (hub, ways) = named.ok_or_else(|| "no document of kind Orchestrator has a section `hub`".to_owned())?;
    edge(hub, ways, files).map_err(|problem| whole(&problem))
}

/// The Hub as the settings say, with the client's secret from its file.
pub(super) fn edge(settings: &HubSettings, ways: &WaySettings, files: &OutsideFiles) -> Result<Hub, OutsideProblem> {
    let account = HubAccount {
        core: Address::parse(&settings.core)?,
        auth: Address::parse(&settings.auth)?,
        client: settings.client.clone(),
        secret: files.hub_secret()?,
        names: settings.field_names,
    };
    Ok(Hub::new(files.remote(ways, PATIENCE)?, account))
}

fn outcome<T>(done: &Result<T, HubProblem>) -> Outcome {
    done.as_ref().map_or_else(HubProblem::outcome, |_| Outcome::Done)
}

/// As metrics name it.
const HUB: &str = "hub";
/// For one question.
const PATIENCE: Duration = Duration::from_secs(10);
/// For one that an analysis is told: it has a place that others wait for.
const GATEWAY_PATIENCE: Duration = Duration::from_secs(3);
const PLACES: usize = 8;
const BACKLOG: usize = 64;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(400), Duration::from_secs(30));
