//! Edge: reads what canaries have told of the network.

use jiff::Timestamp;

use crate::auditor::rules::NETWORK;
use crate::cluster::{Cluster, Kind};
use crate::facts::{NetworkKnown, Place};
use crate::install::CANARY;
use crate::model::{FieldPath, Finding};
use crate::policy::Installation;
use crate::report::{Object, Problem};
use crate::telemetry::whole;

/// The ConfigMap with what the last canary told, and what is wrong with that; or that nobody knows anything.
pub(super) async fn look(
    cluster: &Cluster,
    namespace: &str,
    installation: &Installation,
    now: Timestamp,
) -> Result<(Object, Vec<Finding>), Problem> {
    let place = Place { namespace: namespace.to_owned(), name: CANARY.to_owned() };
    let stored = cluster.read(Kind::ConfigMap, &place).await;
    let stored = stored.map_err(|problem| Problem::of_cluster(whole(&problem)))?;
    let known = NetworkKnown::read(stored.as_deref(), installation.result_holds(), now);
    let findings = judge(known).map_err(|why| {
        let remedy = match installation.network {
            None => "write a section `network` in the Installation, so that canaries run",
            Some(_) => "the controller's log says why no canary tells it",
        };
        let asked = "whether the network enforces policies from a pod's first packet, nobody knows";
        Problem::of_cluster(format!("{asked}: {why}; {remedy}"))
    })?;
    let object = Object {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: place.namespace,
        name: place.name,
        uid: String::new(),
    };
    Ok((object, findings.into_iter().collect()))
}

/// What is wrong with what is known; why nothing is.
fn judge(known: NetworkKnown) -> Result<Option<Finding>, String> {
    match known {
        NetworkKnown::Enforced { .. } => Ok(None),
        NetworkKnown::NotEnforced { at, detail } => {
            let why = format!(
                "{detail}, at {at}; mend the network plugin, or whatever else lets pods of this namespace out, and see to \
                 it that analyses do not start meanwhile (`enforcement: required`)"
            );
            let finding = NETWORK.finds(FieldPath::of(&["data", "result"]), None, why);
            Ok(Some(Finding { value: "notEnforced".to_owned(), ..finding }))
        }
        NetworkKnown::Unknown(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Severity;

    #[test]
    fn a_network_that_lets_pods_out_is_found_and_one_of_which_nobody_knows_is_not_green() {
        let at: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(judge(NetworkKnown::Enforced { at }), Ok(None));
        let found = judge(NetworkKnown::NotEnforced { at, detail: "it connected".to_owned() }).unwrap().unwrap();
        assert_eq!((found.rule.as_ref(), found.severity), ("network-enforcement", Severity::High));
        assert!(found.message.starts_with("it connected, at 2026-11-22T12:00:00Z"), "{}", found.message);
        assert_eq!(judge(NetworkKnown::Unknown("too old".to_owned())), Err("too old".to_owned()));
    }
}
