//! What to do next for each analysis: all of the guard's branching, without any I/O.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::facts::{Adopted, Facts, Gate, Place, PodFact, PolicyFact, PolicyState};
use crate::isolation::{policy_name, spare_name};

/// One analysis in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Namespace.
    pub namespace: String,
    /// The value of the label `app`.
    pub app: String,
}

/// The next thing to do for one analysis. One at a time: what follows is planned when its effect is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write the policy of that name as it should be.
    Isolate {
        /// The policy's name.
        name: String,
        /// What it is to say of pods that ran before it.
        adopted: BTreeMap<String, Adopted>,
    },
    /// Judge these pods, which ran before their policy.
    Adopt {
        /// Names of the pods that nobody has judged.
        pods: Vec<String>,
        /// The name of the policy that says how they stand.
        policy: String,
        /// What it says now.
        adopted: BTreeMap<String, Adopted>,
    },
    /// Judge these pods again and open their gates.
    Lift {
        /// Names of the gated pods, oldest first.
        pods: Vec<String>,
    },
    /// Take the finalizer from a deleted policy.
    Free {
        /// The policy's name.
        name: String,
        /// Why it may go.
        because: MayGo,
    },
    /// Delete a policy.
    Delete {
        /// The policy's name.
        name: String,
        /// Why it may go.
        because: MayGo,
    },
    /// Nothing before that moment.
    Wait {
        /// When to plan again at the latest.
        until: Timestamp,
    },
}

/// Why a policy may go. What was watched may be old, so that the API server is asked before it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MayGo {
    /// The policy of that name isolates the same pods.
    Replaced(String),
    /// The analysis has no pods any more.
    Ended,
}

/// What the guard remembers between plans: when the last pod of an analysis went, and how long it may run on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    graces: BTreeMap<Identity, i64>,
    ended: BTreeMap<Identity, Timestamp>,
}

/// The next step for each analysis that needs one.
///
/// `grace` is what to assume, in seconds, of pods that nobody saw: those of a policy that was there
/// before this process.
pub fn plan(facts: &Facts, memory: &mut Memory, grace: i64, now: Timestamp) -> BTreeMap<Identity, Step> {
    let pods = grouped(&facts.pods, |pod| &pod.app);
    let policies = grouped(&facts.policies, |policy| &policy.app);
    memory.observe(&pods, &policies, now);
    let identities: BTreeSet<&Identity> = pods.keys().chain(policies.keys()).collect();
    let step = |identity: &Identity| {
        let policies = policies.get(identity).map_or(&[][..], Vec::as_slice);
        match pods.get(identity) {
            Some(pods) => guard(identity, pods, policies),
            None => release(policies, memory.free_at(identity, grace, now), now),
        }
    };
    identities.into_iter().filter_map(|identity| Some((identity.clone(), step(identity)?))).collect()
}

/// The name of an analysis's policy, and of the one that stands in while a deleted one goes.
fn names(app: &str) -> [String; 2] {
    [policy_name(app), spare_name(app)]
}

type Group<'f, F> = BTreeMap<Identity, Vec<(&'f Place, &'f F)>>;

fn grouped<'f, F>(facts: &'f BTreeMap<Place, F>, app: impl Fn(&F) -> &String) -> Group<'f, F> {
    let mut groups = Group::new();
    for (place, fact) in facts {
        let identity = Identity { namespace: place.namespace.clone(), app: app(fact).clone() };
        groups.entry(identity).or_default().push((place, fact));
    }
    groups
}

/// What an analysis with pods needs: an intact policy at every moment, then open gates.
fn guard(identity: &Identity, pods: &[(&Place, &PodFact)], policies: &[(&Place, &PolicyFact)]) -> Option<Step> {
    use PolicyState::{Changed, Deleting, Intact};
    let [primary, spare] = names(&identity.app);
    let adopted = adopted(pods, policies);
    let state = |name: &str| policies.iter().find(|(place, _)| place.name == name).map(|(_, policy)| policy.state);
    match (state(&primary), state(&spare)) {
        (None | Some(Changed), _) => return Some(Step::Isolate { name: primary, adopted }),
        // A deleted policy cannot be kept, only replaced: the spare first, then the finalizer, then a new one.
        (Some(Deleting), Some(Intact)) => {
            return Some(Step::Free { name: primary, because: MayGo::Replaced(spare) });
        }
        (Some(Deleting), None | Some(Changed)) => return Some(Step::Isolate { name: spare, adopted }),
        // Where both are deleted the spare goes first and comes back; the primary stays in force meanwhile.
        (Some(Deleting | Intact), Some(Deleting)) => {
            return Some(Step::Free { name: spare, because: MayGo::Replaced(primary) });
        }
        (Some(Intact), Some(Intact | Changed)) => {
            return Some(Step::Delete { name: spare, because: MayGo::Replaced(primary) });
        }
        (Some(Intact), None) => {}
    }
    let unjudged = pods.iter().filter(|(_, pod)| adopted.get(&pod.uid) == Some(&Adopted::Unjudged));
    let unjudged: Vec<String> = unjudged.map(|(place, _)| place.name.clone()).collect();
    if !unjudged.is_empty() {
        return Some(Step::Adopt { pods: unjudged, policy: primary, adopted });
    }
    let mut held: Vec<_> = pods.iter().filter(|(_, pod)| pod.gate == Gate::Held && !pod.deleting).collect();
    held.sort_by_key(|(place, pod)| (pod.created, &place.name));
    let pods: Vec<String> = held.into_iter().map(|(place, _)| place.name.clone()).collect();
    (!pods.is_empty()).then_some(Step::Lift { pods })
}

/// The pods that ran before their policy: those of which a policy says so, and where there is none all that run.
fn adopted(pods: &[(&Place, &PodFact)], policies: &[(&Place, &PolicyFact)]) -> BTreeMap<String, Adopted> {
    let known = |pod: &PodFact| policies.iter().find_map(|(_, policy)| policy.adopted.get(&pod.uid)).copied();
    let stands = |pod: &PodFact| match policies {
        [] => (pod.gate == Gate::Open).then_some(Adopted::Unjudged),
        _ => known(pod),
    };
    pods.iter().filter_map(|(_, pod)| Some((pod.uid.clone(), stands(pod)?))).collect()
}

/// What is left of an analysis without pods: its policies, until no process of it can run any more.
fn release(policies: &[(&Place, &PolicyFact)], free_at: Timestamp, now: Timestamp) -> Option<Step> {
    let (place, policy) = policies.first()?;
    let name = place.name.clone();
    Some(match policy.state {
        _ if now < free_at => Step::Wait { until: free_at },
        PolicyState::Deleting => Step::Free { name, because: MayGo::Ended },
        PolicyState::Intact | PolicyState::Changed => Step::Delete { name, because: MayGo::Ended },
    })
}

impl Memory {
    /// The API server has pods of an analysis that nobody saw: what is left of it waits again.
    pub fn still_there(&mut self, identity: &Identity, now: Timestamp) {
        self.ended.insert(identity.clone(), now);
    }

    fn observe(&mut self, pods: &Group<'_, PodFact>, policies: &Group<'_, PolicyFact>, now: Timestamp) {
        for (identity, pods) in pods {
            let longest = pods.iter().map(|(_, pod)| pod.grace).max().unwrap_or_default();
            let known = self.graces.entry(identity.clone()).or_default();
            *known = longest.max(*known);
            self.ended.remove(identity);
        }
        for identity in policies.keys().filter(|identity| !pods.contains_key(identity)) {
            self.ended.entry(identity.clone()).or_insert(now);
        }
        self.graces.retain(|identity, _| pods.contains_key(identity) || policies.contains_key(identity));
        self.ended.retain(|identity, _| policies.contains_key(identity));
    }

    /// Twice the grace after the last pod went.
    fn free_at(&self, identity: &Identity, grace: i64, now: Timestamp) -> Timestamp {
        let grace = self.graces.get(identity).copied().unwrap_or(grace).max(1);
        let ended = self.ended.get(identity).copied().unwrap_or(now);
        ended.checked_add(SignedDuration::from_secs(grace.saturating_mul(2))).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "analysis-a";
    const GRACE: i64 = 30;
    const PRIMARY: &str = "flamewarden-analysis-a";
    const SPARE: &str = "flamewarden-analysis-a.spare";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn place(name: &str) -> Place {
        Place { namespace: "flame".to_owned(), name: name.to_owned() }
    }

    fn pod(name: &str, gate: Gate, grace: i64) -> (Place, PodFact) {
        let fact = PodFact {
            uid: format!("uid-{name}"),
            app: APP.to_owned(),
            gate,
            bound: gate == Gate::Open,
            deleting: false,
            grace,
            created: Some(at(0)),
        };
        (place(name), fact)
    }

    fn policy(name: &str, state: PolicyState) -> (Place, PolicyFact) {
        (place(name), PolicyFact { uid: "p".to_owned(), app: APP.to_owned(), state, adopted: BTreeMap::new() })
    }

    fn facts<const P: usize, const N: usize>(pods: [(Place, PodFact); P], policies: [(Place, PolicyFact); N]) -> Facts {
        Facts { pods: pods.into(), policies: policies.into() }
    }

    fn step(facts: &Facts, memory: &mut Memory, now: Timestamp) -> Option<Step> {
        let mut steps = plan(facts, memory, GRACE, now);
        assert!(steps.len() <= 1);
        steps.pop_first().map(|(_, step)| step)
    }

    #[test]
    fn a_pod_gets_its_policy_before_its_gate_opens() {
        use PolicyState::{Changed, Deleting, Intact};
        let isolate = |name: &str| Some(Step::Isolate { name: name.to_owned(), adopted: BTreeMap::new() });
        let replaced = |by: &str| MayGo::Replaced(by.to_owned());
        let free = |name: &str, by: &str| Some(Step::Free { name: name.to_owned(), because: replaced(by) });
        let lift = Some(Step::Lift { pods: vec!["x".to_owned()] });
        for (primary, spare, want) in [
            (None, None, isolate(PRIMARY)),
            (Some(Changed), None, isolate(PRIMARY)),
            (Some(Intact), None, lift),
            (Some(Deleting), None, isolate(SPARE)),
            (Some(Deleting), Some(Changed), isolate(SPARE)),
            (Some(Deleting), Some(Intact), free(PRIMARY, SPARE)),
            (Some(Deleting), Some(Deleting), free(SPARE, PRIMARY)),
            (None, Some(Intact), isolate(PRIMARY)),
            (Some(Intact), Some(Intact), Some(Step::Delete { name: SPARE.to_owned(), because: replaced(PRIMARY) })),
            (Some(Intact), Some(Deleting), free(SPARE, PRIMARY)),
        ] {
            let policies = [(PRIMARY, primary), (SPARE, spare)];
            let policies = policies.into_iter().filter_map(|(name, state)| Some(policy(name, state?)));
            let facts = Facts { pods: [pod("x", Gate::Held, 30)].into(), policies: policies.collect() };
            assert_eq!(step(&facts, &mut Memory::default(), at(0)), want, "{primary:?} {spare:?}");
        }
    }

    #[test]
    fn only_held_pods_that_stay_are_lifted_oldest_first() {
        let (place_old, mut old) = pod("z", Gate::Held, 30);
        old.created = Some(at(-5));
        let (place_going, mut going) = pod("y", Gate::Held, 30);
        going.deleting = true;
        let pods = [pod("x", Gate::Held, 30), (place_old, old), (place_going, going), pod("w", Gate::Open, 30)];
        let facts = facts(pods, [policy(PRIMARY, PolicyState::Intact)]);
        let want = Some(Step::Lift { pods: vec!["z".to_owned(), "x".to_owned()] });
        assert_eq!(step(&facts, &mut Memory::default(), at(0)), want);
    }

    #[test]
    fn a_policy_that_is_made_says_which_pods_ran_before_it() {
        let pods = [pod("x", Gate::Open, 30), pod("held", Gate::Held, 30)];
        let says = |adopted: &[(&str, Adopted)]| -> BTreeMap<String, Adopted> {
            adopted.iter().map(|(name, adopted)| (format!("uid-{name}"), *adopted)).collect()
        };
        let gone = ("gone", Adopted::Conforming);
        for (stored, name, want) in [
            (None, PRIMARY, says(&[("x", Adopted::Unjudged)])),
            (Some((PolicyState::Changed, says(&[]))), PRIMARY, says(&[])),
            (
                Some((PolicyState::Changed, says(&[("x", Adopted::NotConforming), gone]))),
                PRIMARY,
                says(&[("x", Adopted::NotConforming)]),
            ),
            (
                Some((PolicyState::Deleting, says(&[("x", Adopted::Conforming)]))),
                SPARE,
                says(&[("x", Adopted::Conforming)]),
            ),
        ] {
            let stored = stored.map(|(state, adopted)| {
                let (place, fact) = policy(PRIMARY, state);
                (place, PolicyFact { adopted, ..fact })
            });
            let facts = Facts { pods: pods.clone().into(), policies: stored.clone().into_iter().collect() };
            let want = Some(Step::Isolate { name: name.to_owned(), adopted: want });
            assert_eq!(step(&facts, &mut Memory::default(), at(0)), want, "{stored:?}");
        }
    }

    #[test]
    fn a_pod_from_before_its_policy_is_judged_once() {
        for adopted in [Adopted::Unjudged, Adopted::Conforming, Adopted::NotConforming] {
            let known: BTreeMap<String, Adopted> = [("uid-x".to_owned(), adopted)].into();
            let want = (adopted == Adopted::Unjudged).then(|| Step::Adopt {
                pods: vec!["x".to_owned()],
                policy: PRIMARY.to_owned(),
                adopted: known.clone(),
            });
            let (place, mut isolation) = policy(PRIMARY, PolicyState::Intact);
            isolation.adopted = known;
            isolation.adopted.insert("gone".to_owned(), Adopted::Unjudged);
            let facts = facts([pod("x", Gate::Open, 30), pod("y", Gate::Open, 30)], [(place, isolation)]);
            assert_eq!(step(&facts, &mut Memory::default(), at(0)), want, "{adopted:?}");
        }
    }

    #[test]
    fn the_policy_outlives_the_pods_by_twice_their_grace() {
        let mut memory = Memory::default();
        let running = facts([pod("x", Gate::Open, 10)], [policy(PRIMARY, PolicyState::Intact)]);
        assert_eq!(step(&running, &mut memory, at(0)), None);
        let over = facts([], [policy(PRIMARY, PolicyState::Intact)]);
        assert_eq!(step(&over, &mut memory, at(100)), Some(Step::Wait { until: at(120) }));
        assert_eq!(step(&over, &mut memory, at(119)), Some(Step::Wait { until: at(120) }));
        assert_eq!(
            step(&over, &mut memory, at(120)),
            Some(Step::Delete { name: PRIMARY.to_owned(), because: MayGo::Ended })
        );
        let deleted = facts([], [policy(PRIMARY, PolicyState::Deleting)]);
        assert_eq!(
            step(&deleted, &mut memory, at(121)),
            Some(Step::Free { name: PRIMARY.to_owned(), because: MayGo::Ended })
        );
        assert_eq!(step(&Facts::default(), &mut memory, at(122)), None);
        assert_eq!(memory, Memory::default(), "nothing is remembered of what is gone");
    }

    #[test]
    fn a_policy_whose_pods_are_there_after_all_waits_again() {
        let mut memory = Memory::default();
        let over = facts([], [policy(PRIMARY, PolicyState::Intact)]);
        assert_eq!(step(&over, &mut memory, at(0)), Some(Step::Wait { until: at(60) }));
        assert_eq!(
            step(&over, &mut memory, at(60)),
            Some(Step::Delete { name: PRIMARY.to_owned(), because: MayGo::Ended })
        );
        memory.still_there(&Identity { namespace: "flame".to_owned(), app: APP.to_owned() }, at(61));
        assert_eq!(step(&over, &mut memory, at(62)), Some(Step::Wait { until: at(121) }));
    }

    #[test]
    fn a_policy_from_before_this_process_waits_the_longest_grace() {
        let over = facts([], [policy(PRIMARY, PolicyState::Intact)]);
        assert_eq!(step(&over, &mut Memory::default(), at(0)), Some(Step::Wait { until: at(2 * GRACE) }));
    }

    #[test]
    fn a_pod_that_comes_back_in_time_keeps_the_policy() {
        let mut memory = Memory::default();
        let over = facts([], [policy(PRIMARY, PolicyState::Intact)]);
        assert_eq!(step(&over, &mut memory, at(0)), Some(Step::Wait { until: at(60) }));
        let back = facts([pod("x", Gate::Open, 30)], [policy(PRIMARY, PolicyState::Intact)]);
        assert_eq!(step(&back, &mut memory, at(59)), None);
        assert_eq!(step(&over, &mut memory, at(61)), Some(Step::Wait { until: at(121) }));
    }
}
