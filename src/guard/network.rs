//! Edge: reads whether the network is known to enforce, where the policies let no gate open before.

use jiff::Timestamp;

use super::lift::Refusal;
use crate::cluster::{Cluster, ClusterProblem, Kind};
use crate::facts::{NetworkKnown, Place};
use crate::install::CANARY;
use crate::policy::{Enforcement, Installation};

/// What keeps every gate closed; none where the network is known to enforce, or need not be.
pub(super) async fn hindrance(
    cluster: &Cluster,
    namespace: &str,
    installation: &Installation,
) -> Result<Option<Refusal>, ClusterProblem> {
    if installation.enforcement() == Enforcement::Reported {
        return Ok(None);
    }
    let place = Place { namespace: namespace.to_owned(), name: CANARY.to_owned() };
    let stored = match cluster.read(Kind::ConfigMap, &place).await {
        // Rights that are missing stay so until somebody is told.
        Err(problem) if problem.is_forbidden() => {
            let why = "the controller may not read what canaries have told; apply what `flamewarden manifests` prints";
            return Ok(Some(Refusal::Network(why.to_owned())));
        }
        stored => stored?,
    };
    let known = NetworkKnown::read(stored.as_deref(), installation.result_holds(), Timestamp::now());
    Ok(refusal(known))
}

/// Why a gate stays by what is known, with what to do.
fn refusal(known: NetworkKnown) -> Option<Refusal> {
    Some(Refusal::Network(match known {
        NetworkKnown::Enforced { .. } => return None,
        NetworkKnown::NotEnforced { at, detail } => format!(
            "the network does not enforce policies from a pod's first packet ({detail}; seen at {at}); mend the network \
             plugin, or write `enforcement: reported`. The gate opens when a canary finds that it enforces"
        ),
        NetworkKnown::Unknown(why) => format!(
            "nobody knows whether the network enforces policies from a pod's first packet: {why}. The gate opens when a \
             canary has found that it does; where none comes, the controller's log says why"
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::lift::summary;

    #[test]
    fn only_a_network_that_is_known_to_enforce_lets_a_gate_open() {
        let at: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(refusal(NetworkKnown::Enforced { at }), None);
        for (known, told) in [
            (
                NetworkKnown::NotEnforced { at, detail: "a sealed pod connected".to_owned() },
                "a sealed pod connected; seen at",
            ),
            (NetworkKnown::Unknown("no canary has told anything yet".to_owned()), "no canary has told anything yet"),
        ] {
            let said = summary(&refusal(known).unwrap());
            assert!(said.contains(told) && said.contains("The gate opens when"), "{said}");
        }
    }
}
