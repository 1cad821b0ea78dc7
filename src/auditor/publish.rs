//! Edge: publishes a report as objects of the cluster that was audited, where it knows OpenReports or the API before them.
//! What has not changed is not written; what others have written is neither read nor touched.

mod plan;

use futures::{StreamExt, stream};
use serde_json::Value;
use tracing::debug;

use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::Place;
use crate::report::{Dialect, MANAGED_BY, Report, SOURCE, publications};
use crate::telemetry::whole;
use plan::{Audit, Step, Wanted};

/// What came of publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishing {
    /// The API that was there.
    pub dialect: Dialect,
    /// Objects that are new.
    pub created: usize,
    /// Objects that say something else now.
    pub changed: usize,
    /// Objects that nothing is to be said of any more.
    pub deleted: usize,
    /// Objects that were as they should be.
    pub unchanged: usize,
    /// Objects that were not written, because the API server refused or another wrote first.
    pub refused: Vec<String>,
}

/// Publishes a report of a cluster in the first of these APIs that it knows; none where it knows none of them. Nothing is
/// deleted by a report that has not seen everything.
///
/// # Errors
/// The API server does not say what is there, or cannot be written to at all.
pub async fn publish(
    cluster: &Cluster,
    report: &Report,
    dialects: &[Dialect],
) -> Result<Option<Publishing>, ClusterProblem> {
    let Some(dialect) = served(cluster, dialects).await? else { return Ok(None) };
    let wanted = Wanted::new(publications(report, dialect));
    let mut stored = Vec::new();
    for kind in kinds(dialect) {
        let take =
            |text: &[u8]| stored.extend(serde_json::from_slice(text).ok().and_then(|one: Value| wanted.stored(&one)));
        cluster.each(kind, "", &format!("{MANAGED_BY}={SOURCE}"), take).await?;
    }
    let audit = if report.coverage.is_whole() { Audit::Whole } else { Audit::Partial };
    let steps = wanted.plan(&stored, audit);
    let (unchanged, refused) = (stored.len(), Vec::new());
    let mut done = Publishing { dialect, created: 0, changed: 0, deleted: 0, unchanged, refused };
    let calls = steps.into_iter().map(|step| async move {
        let end = act(cluster, dialect, &step).await;
        (step, end)
    });
    let mut ends = stream::iter(calls).buffer_unordered(PLACES);
    while let Some((step, end)) = ends.next().await {
        done.unchanged -= usize::from(!matches!(step, Step::Create(..)));
        match (end, step) {
            (Ok(()), Step::Create(..)) => done.created += 1,
            (Ok(()), Step::Change(..)) => done.changed += 1,
            (Ok(()), Step::Delete(..)) => done.deleted += 1,
            // It, or its namespace, goes anyhow.
            (Err(problem), _) if problem.is_gone() => debug!(problem = whole(&problem), "not published"),
            (Err(problem), _) if problem.may_pass() => return Err(problem),
            (Err(problem), _) => done.refused.push(whole(&problem)),
        }
    }
    Ok(Some(done))
}

/// The first of these APIs that the API server has with both of its kinds.
async fn served(cluster: &Cluster, dialects: &[Dialect]) -> Result<Option<Dialect>, ClusterProblem> {
    for dialect in dialects {
        let path = format!("/apis/{}", dialect.api_version());
        let Some(text) = cluster.read_path(&path).await? else { continue };
        let known: Value = serde_json::from_str(&text).map_err(|_| ClusterProblem::Shape(path))?;
        let resources = known.get("resources").and_then(Value::as_array).into_iter().flatten();
        let names: Vec<&str> = resources.filter_map(|one| one.get("kind")?.as_str()).collect();
        if kinds(*dialect).iter().all(|kind| names.contains(&kind.type_names().1)) {
            return Ok(Some(*dialect));
        }
    }
    Ok(None)
}

async fn act(cluster: &Cluster, dialect: Dialect, step: &Step) -> Result<(), ClusterProblem> {
    let [namespaced, cluster_wide] = kinds(dialect);
    let kind = |place: &Place| if place.namespace.is_empty() { cluster_wide } else { namespaced };
    match step {
        Step::Create(place, [(_, first), (other, second)]) => {
            match cluster.store(kind(place), place, first).await {
                // Another has that name: what is theirs stays as it is.
                Err(problem) if problem.is_there_already() => {
                    let place = Place { name: other.clone(), ..place.clone() };
                    cluster.store(kind(&place), &place, second).await
                }
                end => end,
            }
        }
        Step::Change(place, object) => cluster.store(kind(place), place, object).await,
        Step::Delete(place, uid, version) => cluster.delete_version(kind(place), place, uid, version).await,
    }
}

fn kinds(dialect: Dialect) -> [Kind; 2] {
    match dialect {
        Dialect::OpenReports => [Kind::Report, Kind::ClusterReport],
        Dialect::PolicyReports => [Kind::PolicyReport, Kind::ClusterPolicyReport],
    }
}

/// Writes that are under way at a time: a first report of a large cluster has many, and others are served beside it.
const PLACES: usize = 8;
