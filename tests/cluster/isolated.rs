//! At no moment an analysis pod that has a node and lives was without the policy that isolates it: what happened to pods
//! and policies is replayed in the order in which it was stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::{Value, json};

use crate::node::Node;
use crate::recording::{Event, Recording};
use crate::shared::{PATIENCE, wait_until};

/// What happens to the pods and policies of a namespace.
pub(crate) struct Isolated {
    pods: Recording,
    policies: Recording,
}

impl Isolated {
    /// Begins with what happens from now on; there is nothing yet of the analyses that are asked about later.
    pub(crate) async fn start(node: &Node) -> Isolated {
        let policies = Recording::start(node.admin(), &node.collection("networkpolicies")).await;
        let pods = Recording::start(node.admin(), &node.collection("pods")).await;
        Isolated { pods, policies }
    }

    /// Holds for all analyses whose ids begin like this, of which all pods and the gateways' policies go in the end; of
    /// each of those that ran, a pod had a node.
    pub(crate) async fn held<'a>(&self, begin: &str, ran: impl IntoIterator<Item = &'a String>) {
        let ran: BTreeSet<&String> = ran.into_iter().collect();
        assert!(!ran.is_empty(), "no pod had a node");
        let of = |name: String| move |object: &Value| name_of(object).starts_with(&name);
        let told = wait_until(&format!("pods of {begin} are seen to come and go"), PATIENCE, async || {
            let pods = self.pods.of(of(format!("analysis-{begin}")));
            let last = pods.iter().map(|event| event.version).max()?;
            // Each gateway's policy goes after all pods: who has heard of that has heard of all before.
            let is_whole = self.policies.of(|_| true).iter().any(|event| event.version > last);
            let told = replay(pods, self.policies.of(of(format!("flamewarden-analysis-{begin}"))));
            let had_node = |id: &&String| told.had_node.iter().any(|app| app.starts_with(&format!("analysis-{id}-")));
            (is_whole && told.alive.is_empty() && ran.iter().all(had_node)).then_some(told)
        })
        .await;
        assert_eq!(told.bare, BTreeMap::new(), "pods, and the version since which they had no policy");
    }
}

/// What a replay has shown.
#[derive(Debug, PartialEq, Default)]
struct Told {
    /// Which analyses had a pod with a node.
    had_node: BTreeSet<String>,
    /// Which pods were at some moment without their policy, and the version at which that began.
    bare: BTreeMap<String, u64>,
    /// Which pods are there still, as they are now.
    alive: BTreeMap<String, Value>,
}

fn replay(pods: Vec<Event>, policies: Vec<Event>) -> Told {
    let mut events: Vec<(bool, Event)> = pods.into_iter().map(|event| (true, event)).collect();
    events.extend(policies.into_iter().map(|event| (false, event)));
    events.sort_by_key(|(_, event)| event.version);
    let (mut told, mut stored) = (Told::default(), BTreeMap::new());
    for (is_pod, Event { version, deleted, object, .. }) in events {
        let objects = if is_pod { &mut told.alive } else { &mut stored };
        match deleted {
            true => objects.remove(name_of(&object)),
            false => objects.insert(name_of(&object).to_owned(), object),
        };
        for (name, pod) in told.alive.iter().filter(|(_, pod)| is_at_a_node(pod)) {
            let app = app_of(name);
            told.had_node.insert(app.to_owned());
            let names = [format!("flamewarden-{app}"), format!("flamewarden-{app}.spare")];
            if !names.iter().filter_map(|name| stored.get(name)).any(|policy| isolates(policy, pod)) {
                told.bare.entry(name.clone()).or_insert(version);
            }
        }
    }
    told
}

/// Whether a pod's containers run or may run.
fn is_at_a_node(pod: &Value) -> bool {
    let has_ended = ["Succeeded", "Failed"].iter().any(|phase| pod["status"]["phase"] == **phase);
    pod["spec"]["nodeName"].is_string() && !has_ended
}

/// Whether a policy selects a pod, for both directions, and opens neither to all.
fn isolates(policy: &Value, pod: &Value) -> bool {
    let (spec, labels) = (&policy["spec"], &pod["metadata"]["labels"]);
    let wanted =
        spec["podSelector"]["matchLabels"].as_object().filter(|_| spec["podSelector"]["matchExpressions"].is_null());
    let opens =
        ["ingress", "egress"].iter().any(|way| spec[*way].as_array().is_some_and(|rules| rules.contains(&json!({}))));
    wanted.is_some_and(|wanted| wanted.iter().all(|(name, value)| labels[name] == *value))
        && spec["policyTypes"] == json!(["Ingress", "Egress"])
        && !opens
}

/// The `app` of a pod by its name, `analysis-<id>-<run>` before all that its ReplicaSet adds; labels may be edited.
fn app_of(pod: &str) -> &str {
    pod.match_indices('-').nth(6).map_or(pod, |(end, _)| &pod[..end])
}

fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// A pod as it comes, gets a node, runs, ends and goes; a policy as it comes, is edited and goes.
#[derive(Clone, Copy)]
enum Step {
    Waits,
    Bound,
    Ended,
    PodGone,
    Policy,
    Spare,
    OfAnotherRun,
    OfOthers,
    OneWay,
    Open,
    PolicyGone,
    SpareGone,
}

impl Step {
    fn event(self, version: u64) -> (bool, Event) {
        let pod = |spec: Value, phase: &str| {
            json!({"metadata": {"name": POD, "labels": {"app": APP}},
                "spec": spec, "status": {"phase": phase}})
        };
        let policy = |name: &str, app: &str, ways: Value, egress: Value| {
            json!({"metadata": {"name": name}, "spec": {
                "podSelector": {"matchLabels": {"app": app}}, "policyTypes": ways, "egress": egress,
            }})
        };
        let (name, both) = (&*format!("flamewarden-{APP}"), json!(["Ingress", "Egress"]));
        let (is_pod, object) = match self {
            Step::Waits => (true, pod(json!({}), "Pending")),
            Step::Bound | Step::PodGone => (true, pod(json!({"nodeName": "n"}), "Running")),
            Step::Ended => (true, pod(json!({"nodeName": "n"}), "Succeeded")),
            Step::Policy | Step::PolicyGone => (false, policy(name, APP, both, json!([]))),
            Step::Spare | Step::SpareGone => (false, policy(&format!("{name}.spare"), APP, both, json!([]))),
            Step::OfAnotherRun => {
                (false, policy("flamewarden-analysis-11111111-0000-4000-8000-000000000001-1", APP, both, json!([])))
            }
            Step::OfOthers => (false, policy(name, "analysis-b", both, json!([]))),
            Step::OneWay => (false, policy(name, APP, json!(["Ingress"]), json!([]))),
            Step::Open => (false, policy(name, APP, both, json!([{}]))),
        };
        let deleted = matches!(self, Step::PodGone | Step::PolicyGone | Step::SpareGone);
        (is_pod, Event { version, deleted, heard: Instant::now(), object })
    }
}

const APP: &str = "analysis-11111111-0000-4000-8000-000000000001-2";
/// The API server cuts a ReplicaSet's name that is too long.
const POD: &str = "analysis-11111111-0000-4000-8000-000000000001-2-665cff668ddvkbs";

#[test]
fn a_replay_shows_the_moment_from_which_a_pod_with_a_node_is_without_its_policy() {
    use Step::{
        Bound, Ended, OfAnotherRun, OfOthers, OneWay, Open, PodGone, Policy, PolicyGone, Spare, SpareGone, Waits,
    };
    for (number, (steps, had_node, bare)) in [
        (&[Waits, Policy, Bound, PodGone, PolicyGone][..], true, None),
        (&[Waits, Policy, Bound, Ended, PolicyGone, PodGone], true, None),
        (&[Waits, Policy, Bound, Spare, PolicyGone, Policy, SpareGone, PodGone, PolicyGone], true, None),
        (&[Waits, PodGone], false, None),
        (&[Waits, Bound, Policy, PodGone], true, Some(2)),
        (&[Bound, PodGone], true, Some(1)),
        (&[Waits, Policy, Bound, PolicyGone, PodGone], true, Some(4)),
        (&[Waits, Policy, Bound, PolicyGone, Policy, PodGone], true, Some(4)),
        (&[Waits, Policy, Bound, Spare, PolicyGone, SpareGone, PodGone], true, Some(6)),
        (&[Waits, OfAnotherRun, Bound, PodGone], true, Some(3)),
        (&[Waits, OfOthers, Bound, PodGone], true, Some(3)),
        (&[Waits, Policy, Bound, OneWay, PodGone], true, Some(4)),
        (&[Waits, Policy, Bound, Open, PodGone], true, Some(4)),
    ]
    .into_iter()
    .enumerate()
    {
        let events = (1..).zip(steps).map(|(version, step)| step.event(version));
        // As two watches tell it: each kind for itself.
        let (pods, policies): (Vec<_>, Vec<_>) = events.partition(|(is_pod, _)| *is_pod);
        let [pods, policies] = [pods, policies].map(|events| events.into_iter().map(|(_, event)| event).collect());
        let wanted = Told {
            had_node: had_node.then(|| APP.to_owned()).into_iter().collect(),
            bare: bare.map(|version| (POD.to_owned(), version)).into_iter().collect(),
            alive: BTreeMap::new(),
        };
        assert_eq!(replay(pods, policies), wanted, "case {number}");
    }
}
