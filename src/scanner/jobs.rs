//! Edge: makes scans by Jobs in the cluster, which bring what they found to the controller's port.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{OnceCell, oneshot};
use tokio::time::sleep;

use super::brought::Holder;
use super::job::{self, Job};
use super::order::Tools;
use super::outcome::{ended, waits};
use super::port::Expected;
use super::problem::unmade;
use super::{Bound, Bounds, Brought, Deliver, Errand, Order, Port, ScanProblem};
use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::install::WORKER;
use crate::policy::{PolicySet, Worker};
use crate::telemetry::whole;

/// What making Jobs takes.
pub struct JobsSettings {
    /// A leader's connection.
    pub cluster: Cluster,
    /// Flamewarden's own namespace.
    pub namespace: String,
    /// Where workers bring what they found.
    pub port: Arc<Port>,
    /// The policies in force; they say with which image, and what a scan may take.
    pub policies: Arc<ArcSwap<PolicySet>>,
}

/// Makes scans by Jobs.
pub struct Jobs {
    settings: Arc<JobsSettings>,
    /// Filled when what was left from before is gone.
    swept: OnceCell<()>,
}

impl Jobs {
    /// Jobs in the cluster.
    pub fn new(settings: JobsSettings) -> Self {
        Jobs { settings: Arc::new(settings), swept: OnceCell::new() }
    }

    /// Who gives the right to hold what was brought.
    pub(super) fn holder(&self) -> Holder {
        self.settings.port.holder()
    }

    /// Removes the Jobs of a leader before this one: nobody knows their nonces any more. Their Secrets go with them.
    async fn sweep(&self) -> Result<(), ClusterProblem> {
        let JobsSettings { cluster, namespace, .. } = &*self.settings;
        let text = cluster.list(Kind::Job, namespace, &format!("app.kubernetes.io/name={WORKER}")).await?;
        let list: Value = serde_json::from_str(&text).unwrap_or_default();
        for found in list.pointer("/items").and_then(Value::as_array).into_iter().flatten() {
            let text = |pointer: &str| found.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let place = Place { namespace: namespace.clone(), name: text("/metadata/name").to_owned() };
            cluster.delete_with_dependents(Kind::Job, &place, text("/metadata/uid")).await?;
        }
        Ok(())
    }

    /// Makes one scan.
    pub(super) async fn run(&self, errand: &Errand) -> Result<Brought, ScanProblem> {
        self.swept.get_or_try_init(|| self.sweep()).await.map_err(refused)?;
        // On its own: also where nobody waits any more, its Job is deleted.
        let (waiting, left) = oneshot::channel();
        let made = tokio::spawn(make(self.settings.clone(), errand.clone(), left)).await;
        drop::<oneshot::Sender<()>>(waiting);
        made.map_err(|problem| unmade(format!("it broke off: {problem}")))?
    }
}

async fn make(
    settings: Arc<JobsSettings>,
    errand: Errand,
    left: oneshot::Receiver<()>,
) -> Result<Brought, ScanProblem> {
    let policies = settings.policies.load_full();
    let scanner = policies.scanner.as_ref().ok_or_else(|| unmade("no document of kind Scanner is in force"))?;
    let worker = scanner.worker.as_ref().ok_or_else(|| unmade("the Scanner has no section `worker` any more"))?;
    let bounds = Bounds::of(scanner);
    let patience = bounds.patience() + STARTING;
    let mut expected = settings.port.expect(errand.digest, patience)?;
    let place = Place { namespace: settings.namespace.clone(), name: job::name(&errand.digest, attempt()) };
    let job = Job { place: place.clone(), worker, bounds: &bounds, seconds: patience.as_secs() };
    let order = Order::of(&errand, tools(worker), bounds.clone(), Deliver::Port(expected.order.clone()));
    let made = Made { cluster: &settings.cluster, job: &job, order: &order };
    let ended = match settings.cluster.stored(Kind::Job, &place, &job.object()).await {
        // Whose it is, nobody knows.
        Err(problem) if problem.is_there_already() => return Err(refused(problem)),
        Err(problem) => Err(refused(problem)),
        Ok(stored) => made.awaited(&stored, &mut expected, left).await,
    };
    // By name, which is this attempt's alone: also what was stored without that its uid is known goes.
    if let Err(problem) = settings.cluster.delete_by_name_with_dependents(Kind::Job, &place).await {
        tracing::warn!(%problem, job = place.name, "a scan's Job was not deleted; it goes by itself when it has ended");
    }
    ended
}

/// A Job that is stored, and what its pod is told.
struct Made<'a> {
    cluster: &'a Cluster,
    job: &'a Job<'a>,
    order: &'a Order,
}

impl Made<'_> {
    /// Gives its pod the order, and waits for an end.
    async fn awaited(
        &self,
        stored: &Value,
        expected: &mut Expected,
        left: oneshot::Receiver<()>,
    ) -> Result<Brought, ScanProblem> {
        let (cluster, place) = (self.cluster, &self.job.place);
        let uid =
            stored.pointer("/metadata/uid").and_then(Value::as_str).ok_or_else(|| unmade("its Job has no uid"))?;
        let secret = job::secret(place, uid, self.order).map_err(unmade)?;
        cluster.store(Kind::Secret, place, &secret).await.map_err(refused)?;
        tokio::select! {
            biased;
            brought = brought(cluster, place, uid, expected) => brought,
            failed = failed(cluster, place, uid) => Err(failed),
            _ = left => Err(unmade("nobody waits for it any more")),
        }
    }
}

/// What tells attempts at one digest apart.
fn attempt() -> u32 {
    u32::try_from(Timestamp::now().subsec_nanosecond()).unwrap_or_default()
}

async fn read(cluster: &Cluster, place: &Place) -> Result<Option<Value>, ClusterProblem> {
    Ok(cluster.read(Kind::Job, place).await?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Waits for what is brought. Where nothing is, its pod may say what it waits for.
async fn brought(cluster: &Cluster, place: &Place, uid: &str, expected: &mut Expected) -> Result<Brought, ScanProblem> {
    let brought = expected.brought().await;
    if brought.as_ref().is_err_and(|problem| *problem == ScanProblem::Exceeded(Bound::Time)) {
        let pods = pods(cluster, place, uid).await.map_err(refused)?;
        return Err(waits(&pods).unwrap_or(ScanProblem::Exceeded(Bound::Time)));
    }
    brought
}

/// Waits until the Job has ended without that anything was brought.
async fn failed(cluster: &Cluster, place: &Place, uid: &str) -> ScanProblem {
    loop {
        sleep(LOOK).await;
        let job = match read(cluster, place).await {
            Ok(Some(job)) if job.pointer("/metadata/uid").and_then(Value::as_str) == Some(uid) => job,
            Ok(_) => return unmade("its Job was deleted"),
            // The API server may be away for a while; what is brought needs none.
            Err(_) => continue,
        };
        let Ok(pods) = pods(cluster, place, uid).await else { continue };
        if let Some(problem) = ended(&job, &pods) {
            return problem;
        }
    }
}

async fn pods(cluster: &Cluster, place: &Place, uid: &str) -> Result<Value, ClusterProblem> {
    let text = cluster.list(Kind::Pod, &place.namespace, &format!("batch.kubernetes.io/controller-uid={uid}")).await?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

fn tools(worker: &Worker) -> Tools {
    let proxy = worker.https_proxy.iter().map(|proxy| ("HTTPS_PROXY".to_owned(), proxy.clone()));
    let direct = (!worker.direct.is_empty()).then(|| ("NO_PROXY".to_owned(), worker.direct.join(",")));
    Tools {
        grype: PathBuf::from(&worker.grype),
        databases: job::databases(worker),
        environment: proxy.chain(direct).collect(),
    }
}

fn refused(problem: ClusterProblem) -> ScanProblem {
    unmade(whole(&problem))
}

/// How long a pod may take until it runs: to be scheduled, and to have its image pulled.
const STARTING: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_secs(2);
