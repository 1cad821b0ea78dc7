//! Turns what is watched into facts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::plan::Identity;
use crate::cluster::{Change, Kind};
use crate::facts::{Facts, Gate, Place, PodFact, PolicyFact, PolicyState};
use crate::isolation;
use crate::model::labels::{APP, ISOLATION_FINALIZER, NETWORK_GATE, POLICY_PREFIX, SPARE_SUFFIX};
use crate::policy::PolicySet;

/// The facts, and how far each watch has come.
#[derive(Debug, Default)]
pub(super) struct Observer {
    facts: Facts,
    listings: BTreeMap<(Kind, String), BTreeSet<Place>>,
    listed: BTreeSet<(Kind, String)>,
}

/// What the guard watches in each guarded namespace.
pub(super) const WATCHED: [Kind; 2] = [Kind::Pod, Kind::NetworkPolicy];

impl Observer {
    /// All that is known.
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether a first whole list of every watched kind was seen in that namespace.
    pub(super) fn knows(&self, namespace: &str) -> bool {
        WATCHED.iter().all(|kind| self.listed.contains(&(*kind, namespace.to_owned())))
    }

    /// Takes in one change; gives the analysis that it is about, if it is about one.
    pub(super) fn observe(
        &mut self,
        kind: Kind,
        namespace: &str,
        change: Change,
        policies: &PolicySet,
    ) -> Option<Identity> {
        let watch = (kind, namespace.to_owned());
        let app = match change {
            Change::Listing => {
                self.listings.insert(watch, BTreeSet::new());
                None
            }
            Change::Listed => {
                if let Some(seen) = self.listings.remove(&watch) {
                    self.forget(kind, namespace, &seen);
                }
                self.listed.insert(watch);
                None
            }
            Change::Gone(place) => self.remove(kind, &place),
            Change::Seen(place, object) => {
                if let Some(seen) = self.listings.get_mut(&watch) {
                    seen.insert(place.clone());
                }
                self.insert(kind, place, &object, policies)
            }
        };
        app.map(|app| Identity { namespace: namespace.to_owned(), app })
    }

    fn insert(&mut self, kind: Kind, place: Place, object: &Value, policies: &PolicySet) -> Option<String> {
        if kind == Kind::Pod {
            let fact = pod_fact(object)?;
            let app = fact.app.clone();
            self.facts.pods.insert(place, fact);
            return Some(app);
        }
        let fact = policy_fact(&place, object, policies)?;
        let app = fact.app.clone();
        self.facts.policies.insert(place, fact);
        Some(app)
    }

    fn remove(&mut self, kind: Kind, place: &Place) -> Option<String> {
        match kind {
            Kind::Pod => self.facts.pods.remove(place).map(|pod| pod.app),
            _ => self.facts.policies.remove(place).map(|policy| policy.app),
        }
    }

    /// What a whole list did not show is gone, whether or not a deletion was ever sent.
    fn forget(&mut self, kind: Kind, namespace: &str, seen: &BTreeSet<Place>) {
        let stays = |place: &Place| place.namespace != namespace || seen.contains(place);
        match kind {
            Kind::Pod => self.facts.pods.retain(|place, _| stays(place)),
            _ => self.facts.policies.retain(|place, _| stays(place)),
        }
    }
}

/// The analysis that a policy of that name isolates; none for anybody else's policy.
fn isolated_app<'a>(name: &'a str, policies: &PolicySet) -> Option<&'a str> {
    let name = name.strip_prefix(POLICY_PREFIX)?;
    // A name outside the pattern is not the guard's, such as the default-deny policy.
    policies.analysis.analysis_of(name.strip_suffix(SPARE_SUFFIX).unwrap_or(name))
}

fn pod_fact(object: &Value) -> Option<PodFact> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let gates = object.pointer("/spec/schedulingGates").and_then(Value::as_array);
    let held =
        gates.is_some_and(|gates| gates.iter().any(|gate| gate.get("name").is_some_and(|name| name == NETWORK_GATE)));
    Some(PodFact {
        uid: text("/metadata/uid")?.to_owned(),
        app: object.pointer("/metadata/labels")?.get(APP)?.as_str()?.to_owned(),
        gate: if held { Gate::Held } else { Gate::Open },
        bound: text("/spec/nodeName").is_some_and(|node| !node.is_empty()),
        deleting: text("/metadata/deletionTimestamp").is_some(),
        grace: object.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(30),
        created: text("/metadata/creationTimestamp").and_then(|moment| moment.parse::<Timestamp>().ok()),
    })
}

fn policy_fact(place: &Place, object: &Value, policies: &PolicySet) -> Option<PolicyFact> {
    let app = isolated_app(&place.name, policies)?;
    let desired = isolation::policy(app, &place.namespace, &policies.analysis, &policies.gateway);
    let finalizers = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    let held = finalizers.is_some_and(|list| list.iter().any(|finalizer| finalizer == ISOLATION_FINALIZER));
    let state = if object.pointer("/metadata/deletionTimestamp").is_some() {
        PolicyState::Deleting
    } else if held && !isolation::differs(object, &desired) {
        PolicyState::Intact
    } else {
        PolicyState::Changed
    };
    let uid = object.pointer("/metadata/uid")?.as_str()?.to_owned();
    Some(PolicyFact { uid, app: app.to_owned(), state })
}
