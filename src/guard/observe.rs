//! Turns what is watched into facts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::plan::Identity;
use super::tell;
use crate::cluster::{Change, Kind};
use crate::facts::{Facts, Gate, Place, PodFact, PolicyFact, PolicyState};
use crate::isolation;
use crate::model::labels::{ADOPTED, APP, ISOLATION_FINALIZER, NETWORK_GATE};
use crate::policy::PolicySet;

/// The facts, and how far each watch has come.
#[derive(Debug, Default)]
pub struct Observer {
    facts: Facts,
    /// The guard's own policies, as JSON of the fields that they are judged by.
    stored: BTreeMap<Place, String>,
    /// Analyses with a step under way, and whether a watch has told of their policies since it began.
    steps: BTreeMap<Identity, Told>,
    listings: BTreeMap<(Kind, String), BTreeSet<Place>>,
    listed: BTreeSet<(Kind, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Policies,
}

/// What the guard watches in each guarded namespace.
pub(super) const WATCHED: [Kind; 2] = [Kind::Pod, Kind::NetworkPolicy];

impl Observer {
    /// All that is known.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether a first whole list of every watched kind was seen in that namespace.
    pub fn knows(&self, namespace: &str) -> bool {
        WATCHED.iter().all(|kind| self.listed.contains(&(*kind, namespace.to_owned())))
    }

    /// Whether a step for an analysis is under way.
    pub(super) fn is_busy(&self, identity: &Identity) -> bool {
        self.steps.contains_key(identity)
    }

    /// A step for an analysis begins.
    pub(super) fn begins(&mut self, identity: &Identity) {
        self.steps.insert(identity.clone(), Told::Nothing);
    }

    /// A step has ended, and perhaps has stored a policy. What a watch has told of the analysis's policies meanwhile
    /// counts more: it may be newer, and if it is older the watch will tell of what was stored, too.
    pub(super) fn ended(&mut self, identity: &Identity, stored: Option<(Place, Value)>, policies: &PolicySet) {
        let told = self.steps.remove(identity);
        if let (Some(Told::Nothing), Some((place, object))) = (told, stored) {
            self.insert(Kind::NetworkPolicy, place, &object, policies);
        }
    }

    /// Takes in one change; gives the analysis that it is about, if it is about one.
    pub fn observe(&mut self, kind: Kind, namespace: &str, change: Change, policies: &PolicySet) -> Option<Identity> {
        let watch = (kind, namespace.to_owned());
        let whole = change == Change::Listed;
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
        let identity = app.map(|app| Identity { namespace: namespace.to_owned(), app });
        if kind == Kind::NetworkPolicy {
            let about = |step: &Identity| Some(step) == identity.as_ref() || whole && step.namespace == namespace;
            let steps = self.steps.iter_mut().filter(|(step, _)| about(step));
            steps.for_each(|(_, told)| *told = Told::Policies);
        }
        identity
    }

    fn insert(&mut self, kind: Kind, place: Place, object: &Value, policies: &PolicySet) -> Option<String> {
        if kind == Kind::Pod {
            let fact = pod_fact(object)?;
            let app = fact.app.clone();
            self.facts.pods.insert(place, fact);
            return Some(app);
        }
        let fact = policy_fact(&place, object, policies)?;
        self.stored.insert(place.clone(), judged_by(object).to_string());
        let app = fact.app.clone();
        self.facts.policies.insert(place, fact);
        Some(app)
    }

    /// Judges the guard's own policies again, by changed policies.
    pub fn judge_again(&mut self, policies: &PolicySet) {
        let facts = self.stored.iter().filter_map(|(place, text)| {
            let object = serde_json::from_str(text).ok()?;
            Some((place.clone(), policy_fact(place, &object, policies)?))
        });
        self.facts.policies = facts.collect();
    }

    /// Every watch begins again and may mean other objects: nothing is known for sure until all were listed.
    pub(super) fn begins_anew(&mut self) {
        self.listed.clear();
        self.listings.clear();
    }

    fn remove(&mut self, kind: Kind, place: &Place) -> Option<String> {
        match kind {
            Kind::Pod => self.facts.pods.remove(place).map(|pod| pod.app),
            _ => {
                self.stored.remove(place);
                self.facts.policies.remove(place).map(|policy| policy.app)
            }
        }
    }

    /// What a whole list did not show is gone, whether or not a deletion was ever sent.
    fn forget(&mut self, kind: Kind, namespace: &str, seen: &BTreeSet<Place>) {
        let stays = |place: &Place| place.namespace != namespace || seen.contains(place);
        match kind {
            Kind::Pod => self.facts.pods.retain(|place, _| stays(place)),
            _ => {
                self.stored.retain(|place, _| stays(place));
                self.facts.policies.retain(|place, _| stays(place));
            }
        }
    }
}

/// The analysis that a policy of that name isolates; none for anybody else's policy.
pub(super) fn isolated_app<'a>(name: &'a str, policies: &PolicySet) -> Option<&'a str> {
    // A name outside the pattern is not the guard's, such as the default-deny policy.
    policies.analysis.analysis_of(isolation::app_of_policy(name)?)
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

/// The fields of a policy that [`policy_fact`] looks at.
fn judged_by(object: &Value) -> Value {
    let metadata = object.get("metadata").and_then(Value::as_object).into_iter().flatten();
    let kept = ["uid", "labels", "annotations", "finalizers", "deletionTimestamp"];
    let metadata: Map<String, Value> = metadata
        .filter(|(key, _)| kept.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    json!({"metadata": metadata, "spec": object.get("spec")})
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
    let annotation = object.pointer("/metadata/annotations").and_then(|annotations| annotations.get(ADOPTED));
    let adopted = annotation.and_then(Value::as_str).map(tell::read).unwrap_or_default();
    Some(PolicyFact { uid, app: app.to_owned(), state, adopted })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMESPACE: &str = "flame";
    const NAME: &str = "flamewarden-analysis-a";

    fn policies() -> PolicySet {
        let shipped = [
            ("analysis.yaml", include_str!("../../policies/flame-analysis.yaml")),
            ("gateway.yaml", include_str!("../../policies/flame-gateway.yaml")),
            ("installation.yaml", include_str!("../../policies/installation.yaml.example")),
        ];
        PolicySet::parse(shipped).unwrap()
    }

    fn place() -> Place {
        Place { namespace: NAMESPACE.to_owned(), name: NAME.to_owned() }
    }

    fn stored(uid: &str, policies: &PolicySet) -> Value {
        let mut policy = isolation::policy("analysis-a", NAMESPACE, &policies.analysis, &policies.gateway);
        policy["metadata"]["uid"] = json!(uid);
        policy
    }

    #[test]
    fn changed_policies_judge_what_is_known_already_at_once() {
        let policies = policies();
        let mut changed = policies.clone();
        changed.analysis.network.dns.clear();
        let mut other = stored("other", &policies);
        other["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        other["metadata"]["annotations"] = json!({ADOPTED: "u=conforming"});
        let spare = Place { name: isolation::spare_name("analysis-a"), ..place() };
        let mut observer = Observer::default();
        for (place, object) in [(place(), stored("ours", &policies)), (spare.clone(), other)] {
            observer.observe(Kind::NetworkPolicy, NAMESPACE, Change::Seen(place, object), &policies);
        }
        let before = observer.facts().clone();
        let with = |state: PolicyState| {
            let mut facts = before.clone();
            facts.policies.get_mut(&place()).unwrap().state = state;
            facts
        };
        for (policies, want) in [(&changed, PolicyState::Changed), (&policies, PolicyState::Intact)] {
            observer.judge_again(policies);
            assert_eq!(*observer.facts(), with(want));
        }
        observer.observe(Kind::NetworkPolicy, NAMESPACE, Change::Gone(place()), &policies);
        observer.observe(Kind::NetworkPolicy, NAMESPACE, Change::Listing, &policies);
        observer.observe(Kind::NetworkPolicy, NAMESPACE, Change::Listed, &policies);
        observer.judge_again(&changed);
        assert_eq!(*observer.facts(), Facts::default(), "what is gone does not come back");
    }

    /// The answer to a write can come after the news of what happened to the object since.
    #[test]
    fn what_a_watch_tells_during_a_step_counts_more_than_what_the_step_stored() {
        let policies = policies();
        let identity = Identity { namespace: NAMESPACE.to_owned(), app: "analysis-a".to_owned() };
        let seen = |uid: &str| Change::Seen(place(), stored(uid, &policies));
        for (what, told, want) in [
            ("nothing", vec![], Some("ours")),
            ("another one by now", vec![seen("ours"), Change::Gone(place()), seen("newer")], Some("newer")),
            ("made and gone", vec![seen("ours"), Change::Gone(place())], None),
            ("a whole list without it", vec![Change::Listing, Change::Listed], None),
            ("a list that has only begun", vec![Change::Listing], Some("ours")),
        ] {
            let mut observer = Observer::default();
            observer.begins(&identity);
            for change in told {
                observer.observe(Kind::NetworkPolicy, NAMESPACE, change, &policies);
            }
            observer.ended(&identity, Some((place(), stored("ours", &policies))), &policies);
            let known = observer.facts().policies.get(&place()).map(|policy| policy.uid.as_str());
            assert_eq!((known, observer.is_busy(&identity)), (want, false), "{what}");
        }
    }
}
