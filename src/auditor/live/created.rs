//! What a stored object would be judged as, were it created today. Pure.

use super::object;
use crate::auditor::collect::Collection;
use crate::auditor::examine::{Auditor, Standing};
use crate::auditor::preflight::typed;
use crate::cluster::Kind;
use crate::model::Json;
use crate::report::{Outcome, Problem};

/// Judges a stored object as if its maker created it today. What admission would mend in pods that come of it is nothing
/// that stands against it.
pub(super) fn take_created(collection: &mut Collection, auditor: &Auditor<'_>, kind: Kind, stored: &Json<'_>) {
    let named = object(kind, stored);
    let text = typed(kind, stored).to_string();
    match auditor.standing(&text) {
        Standing::Judged(verdict) => {
            let findings = verdict.findings.into_iter().filter(|(outcome, _)| *outcome != Outcome::Mended);
            let stands = |outcome| if outcome == Outcome::Refused { Outcome::Violated } else { outcome };
            collection.add_stored(named, findings.map(|(outcome, finding)| (stands(outcome), finding)).collect());
        }
        Standing::Unguarded | Standing::NotJudged => collection.pass_over(),
        Standing::Unknown(reason) => collection.miss(Problem::of_cluster(format!("{named}: {reason}"))),
    }
}

/// A generation of a Deployment that is over, or a Job that is: nothing comes of it any more.
pub(super) fn makes_nothing(kind: Kind, object: &Json<'_>) -> bool {
    match kind {
        Kind::ReplicaSet => object.at(&["spec", "replicas"]).and_then(Json::integer) == Some(0),
        Kind::Job => {
            let conditions = object.at(&["status", "conditions"]).map(Json::items).unwrap_or_default();
            let over = |condition: &Json<'_>| {
                matches!(condition.text_at(&["type"]), Some("Complete" | "Failed"))
                    && condition.text_at(&["status"]) == Some("True")
            };
            conditions.iter().any(over)
        }
        _ => false,
    }
}

/// What is judged by its template, or as it was created.
pub(super) const MAKERS: &[Kind] = &[
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::Job,
    Kind::CronJob,
    Kind::ReplicationController,
    Kind::Service,
];
