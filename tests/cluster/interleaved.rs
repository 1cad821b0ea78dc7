//! Wide policies and guarded pods interleaved, in every order, on two webhooks and with changing leaders among two
//! controllers: no gate opens under a wide union.
//!
//! The webhook keeps no state, so the order cannot change what it says. Two users are judged by it: the namespace's
//! editor, whose wide policies are refused, and FLAME's orchestrator, whose policy for one analysis is narrowed. For
//! the third, whose policies the webhook never gets, the race is real: it stands for whoever finds a way round
//! admission, and what holds a pod back then is what the guard reads before it lifts a gate.

use std::collections::BTreeMap;
use std::fs;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::by_service::{ByService, by_service};
use crate::caller::{Caller, Outcome, PatchKind};
use crate::flamewarden::{binding, good_analysis};
use crate::recording::{Event, Recording};
use crate::shared::{PATIENCE, run, wait_until};

/// Twenty in the short form, 200 in the full one; 144 make every order with every user and every shape.
#[test]
fn wide_policies_and_pods_interleaved_never_leave_a_lifted_gate_under_a_wide_union() {
    run(async {
        let (cluster, rounds) = (by_service().await, crate::numbers().rounds);
        // Nobody kills replicas meanwhile.
        let _replicas = cluster.replicas.lock().await;
        cluster.add_controller("second").await;
        let unjudged = let_pass(cluster).await;
        let mut lanes = Vec::new();
        for (lane, namespace) in LANES.iter().enumerate() {
            let editor = cluster.plane.caller("editor", None).await;
            let unjudged = unjudged.clone();
            let creator = cluster.admin.acting_as("system:serviceaccount:flame:flame-po", &["system:masters"]);
            let rounds: Vec<Round> = (0..rounds).skip(lane).step_by(LANES.len()).map(Round::new).collect();
            lanes.push(Lane::run(cluster, namespace, [editor, creator, unjudged], rounds));
        }
        let mut late = 0;
        for (lane, recorded) in join_all(lanes).await.into_iter().enumerate() {
            let lifts = lifts(cluster, LANES[lane]).await;
            assert_eq!(recorded.lifted_under_a_wide_union(&lifts), Vec::<String>::new(), "in {}", LANES[lane]);
            late += recorded.wide_between_list_and_lift(&lifts);
        }
        println!(
            "{rounds} rounds: 0 gates lifted under a wide union; {late} times a policy that was never judged came between the guard's list and its lift"
        );
    });
}

/// One pair of a pod and a policy.
#[derive(Clone, Copy)]
struct Round {
    number: usize,
    order: Order,
    user: User,
    shape: usize,
}

#[derive(Debug, Clone, Copy)]
enum Order {
    PolicyFirst,
    PodFirst,
    Together,
    /// Deleted and made again while the pod comes.
    MadeAgain,
    /// It selects the pod from the beginning and lets nothing through.
    Widened,
    /// It lets everything through from the beginning and selects others.
    Turned,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum User {
    Editor,
    Creator,
    Unjudged,
}

impl Round {
    fn new(number: usize) -> Round {
        use Order::{MadeAgain, PodFirst, PolicyFirst, Together, Turned, Widened};
        let orders = [PolicyFirst, PodFirst, Together, MadeAgain, Widened, Turned];
        let users = [User::Editor, User::Creator, User::Unjudged];
        let all = orders.len() * users.len() * SHAPES.len();
        // Prime to their number, so that a few rounds have something of everything.
        let place = number * 37 % all;
        let (order, rest) = (place % orders.len(), place / orders.len());
        Round { number, order: orders[order], user: users[rest % users.len()], shape: rest / users.len() }
    }

    fn app(&self) -> String {
        format!("analysis-{}", self.name())
    }

    /// Tells by itself whether the webhook judged the policy.
    fn name(&self) -> String {
        format!("{}-{}", if self.user == User::Unjudged { UNJUDGED } else { "judged" }, self.number)
    }

    fn policy(&self, selector: Value, rules: &Value) -> Value {
        let mut spec = json!({"podSelector": selector, "policyTypes": ["Ingress", "Egress"]});
        spec.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": self.name()},
            "spec": spec})
    }

    fn pod(&self) -> Value {
        let mut pod = good_analysis(&self.name());
        pod["metadata"]["name"] = json!(self.name());
        pod["spec"]["terminationGracePeriodSeconds"] = json!(1);
        pod
    }
}

struct Lane {
    cluster: &'static ByService,
    namespace: &'static str,
    users: [Caller; 3],
}

impl Lane {
    async fn run(
        cluster: &'static ByService,
        namespace: &'static str,
        users: [Caller; 3],
        rounds: Vec<Round>,
    ) -> Recorded {
        let lane = Lane { cluster, namespace, users };
        lane.prepare().await;
        let pods = Recording::start(&cluster.admin, &lane.pods()).await;
        let policies = Recording::start(&cluster.admin, &lane.policies()).await;
        for (done, round) in rounds.iter().enumerate() {
            // The first lane has the leader replaced twice on the way.
            if namespace == LANES[0] && (done * 3 / rounds.len()) > (done.saturating_sub(1) * 3 / rounds.len()) {
                lane.hand_over(done).await;
            }
            lane.play(*round).await;
        }
        let last = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "last"},
            "spec": {"podSelector": {"matchLabels": {"app": "web"}}}});
        cluster.admin.create(&lane.policies(), &last).await.unwrap();
        wait_until("everything was recorded", PATIENCE, async || {
            let gone = pods.of(|_| true).iter().filter(|event| event.deleted).count();
            (gone == rounds.len() && !policies.of(|policy| policy["metadata"]["name"] == "last").is_empty())
                .then_some(())
        })
        .await;
        Recorded::new(pods.of(|_| true), policies.of(|_| true))
    }

    async fn prepare(&self) {
        let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings", self.namespace);
        self.cluster.admin.create(&bindings, &binding("edit")).await.unwrap();
        let account = format!("/api/v1/namespaces/{}/serviceaccounts/default", self.namespace);
        wait_until("the editor may edit", PATIENCE, async || self.users[0].get(&account).await.ok()).await;
    }

    /// Does the round's calls in its order, and sees the pod to its open gate and both to their end.
    async fn play(&self, round: Round) {
        let (selector, rules) = SHAPES[round.shape](&round.app());
        let wide = round.policy(selector.clone(), &rules);
        let make = || self.create(round.user, &wide);
        let pod = async { self.users[0].create(&self.pods(), &round.pod()).await.map(drop) };
        let (pod, answers) = match round.order {
            Order::PolicyFirst => {
                let answer = make().await;
                (pod.await, vec![answer])
            }
            Order::PodFirst => (pod.await, vec![make().await]),
            Order::Together => {
                let (pod, answer) = tokio::join!(pod, make());
                (pod, vec![answer])
            }
            Order::MadeAgain => {
                let first = make().await;
                let again = async {
                    // Where it was refused there is nothing to delete.
                    let _ = self.user(round.user).delete(&self.policy(round), None).await;
                    make().await
                };
                let (pod, second) = tokio::join!(pod, again);
                (pod, vec![first, second])
            }
            Order::Widened => {
                self.create(round.user, &round.policy(selector, &json!({}))).await.unwrap();
                let (pod, answer) = tokio::join!(pod, self.change(round, "/spec", &wide["spec"]));
                (pod, vec![answer])
            }
            Order::Turned => {
                let others = round.policy(json!({"matchLabels": {"app": "web"}}), &rules);
                self.create(round.user, &others).await.unwrap();
                let (pod, answer) = tokio::join!(pod, self.change(round, "/spec/podSelector", &selector));
                (pod, vec![answer])
            }
        };
        pod.unwrap();
        for answer in &answers {
            self.expect_answer(round, answer);
        }
        self.end(round).await;
    }

    fn expect_answer(&self, round: Round, answer: &Outcome) {
        match (round.user, answer) {
            (User::Unjudged, Ok(_)) => {}
            // A creator's policy for one analysis is narrowed; the recording shows how.
            (User::Creator, Ok(_)) => {}
            (User::Editor | User::Creator, Err(refusal)) if refusal.message.contains("\nnetwork-policy: ") => {}
            (user, answer) => panic!("{user:?} in round {}, {:?}: {answer:?}", round.number, round.order),
        }
    }

    async fn end(&self, round: Round) {
        let pod = format!("{}/{}", self.pods(), round.name());
        let open = async || {
            let pod = self.cluster.admin.get(&pod).await.ok()?;
            pod["spec"]["schedulingGates"].is_null().then_some(())
        };
        if round.user == User::Unjudged {
            wait_until("the guard has judged the pod", PATIENCE, async || match open().await {
                Some(()) => Some(()),
                None => self.cluster.said(&["gate stays closed", &named(&round.name())]).await.pop().map(drop),
            })
            .await;
            self.user(round.user).delete(&self.policy(round), None).await.unwrap();
        }
        wait_until(&format!("the gate of {pod} opens"), PATIENCE, open).await;
        // A refused one is not there.
        let _ = self.user(round.user).delete(&self.policy(round), None).await;
        self.users[0].delete(&pod, None).await.unwrap();
    }

    /// The leader goes as in a rollout, and another controller comes.
    async fn hand_over(&self, number: usize) {
        let lease = "/apis/coordination.k8s.io/v1/namespaces/flamewarden-system/leases/flamewarden-controller";
        let lease = self.cluster.admin.get(lease).await.unwrap();
        let leader = format!("controller-{}", lease["spec"]["holderIdentity"].as_str().unwrap());
        for controller in self.cluster.controllers.lock().await.iter_mut() {
            if controller.recipe().name == leader {
                controller.signal("TERM");
            }
        }
        self.cluster.add_controller(&format!("after-{number}")).await;
    }

    fn user(&self, user: User) -> &Caller {
        &self.users[user as usize]
    }

    async fn create(&self, user: User, policy: &Value) -> Outcome {
        self.user(user).create(&self.policies(), policy).await
    }

    async fn change(&self, round: Round, at: &str, value: &Value) -> Outcome {
        let patch = json!([{"op": "replace", "path": at, "value": value}]);
        self.user(round.user).patch(&self.policy(round), PatchKind::Json, &patch).await
    }

    fn pods(&self) -> String {
        format!("/api/v1/namespaces/{}/pods", self.namespace)
    }

    fn policies(&self) -> String {
        format!("/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies", self.namespace)
    }

    fn policy(&self, round: Round) -> String {
        format!("{}/{}", self.policies(), round.name())
    }
}

/// All that happened in one namespace.
struct Recorded {
    pods: Vec<Event>,
    policies: Vec<Event>,
}

/// By a pod's name, the version of the list of policies that its gate was lifted by.
type Lifts = BTreeMap<String, u64>;

impl Recorded {
    fn new(pods: Vec<Event>, policies: Vec<Event>) -> Recorded {
        Recorded { pods, policies }
    }

    /// Every pod without its gate while a stored policy gave it more than its own. Where the webhook did not judge
    /// the policy, what counts is the moment of the guard's list, which comes after the pod's own policy was stored.
    fn lifted_under_a_wide_union(&self, lifts: &Lifts) -> Vec<String> {
        let mut found = Vec::new();
        for (name, pod, lifted, gone) in self.lifted() {
            let listed = lifts.get(&name).copied().unwrap_or_default();
            let isolated = self.isolated(&name);
            if listed < isolated {
                found.push(format!("{name}: lifted by a list of {listed}, before its own policy of {isolated}"));
            }
            let moments: Vec<u64> = if name.starts_with(UNJUDGED) {
                vec![listed.max(isolated)]
            } else {
                let writes = self.policies.iter().map(|event| event.version);
                [lifted].into_iter().chain(writes.filter(|version| (lifted..gone).contains(version))).collect()
            };
            for moment in moments {
                let wide = self.wide(moment, pod);
                found.extend(wide.map(|policy| format!("{name}: open at {moment} under {policy}")));
            }
        }
        found
    }

    /// How often a wide policy came where nothing but admission can stop it.
    fn wide_between_list_and_lift(&self, lifts: &Lifts) -> usize {
        let lifted = self.lifted().into_iter();
        lifted
            .filter(|(name, pod, lifted, _)| lifts.contains_key(name) && self.wide(*lifted, pod).next().is_some())
            .count()
    }

    /// Name and object of each pod whose gate went, with the versions at which it went and at which the pod did.
    fn lifted(&self) -> Vec<(String, &Value, u64, u64)> {
        let mut lifted = BTreeMap::new();
        for event in &self.pods {
            let open = event.object["spec"]["schedulingGates"].is_null();
            let name = event.object["metadata"]["name"].as_str().unwrap().to_owned();
            if open && !event.deleted {
                lifted.entry(name).or_insert((&event.object, event.version, u64::MAX));
            } else if let Some((_, _, gone)) = lifted.get_mut(&name).filter(|_| event.deleted) {
                *gone = event.version;
            }
        }
        lifted.into_iter().map(|(name, (pod, lifted, gone))| (name, pod, lifted, gone)).collect()
    }

    /// The version at which the pod's own policy was stored.
    fn isolated(&self, pod: &str) -> u64 {
        let name = format!("flamewarden-analysis-{pod}");
        let own = self.policies.iter().find(|event| event.object["metadata"]["name"] == *name);
        own.map_or(u64::MAX, |event| event.version)
    }

    /// The names of the policies stored at a version that select a pod and let through what its own does not.
    fn wide<'a>(&'a self, version: u64, pod: &'a Value) -> impl Iterator<Item = String> + 'a {
        let mut stored = BTreeMap::new();
        for event in self.policies.iter().filter(|event| event.version <= version) {
            let name = event.object["metadata"]["name"].as_str().unwrap();
            match event.deleted {
                true => stored.remove(name),
                false => stored.insert(name, &event.object),
            };
        }
        let own = format!("flamewarden-{}", pod["metadata"]["labels"]["app"].as_str().unwrap());
        let own = stored.get(own.as_str()).map(|policy| policy["spec"].clone()).unwrap_or_default();
        let wide = move |policy: &Value| {
            let rules = |direction: &str| {
                let rules = &policy["spec"][direction];
                !rules.is_null() && *rules != own[direction]
            };
            selects(&policy["spec"]["podSelector"], &pod["metadata"]["labels"]) && (rules("ingress") || rules("egress"))
        };
        stored.into_iter().filter(move |(_, policy)| wide(policy)).map(|(name, _)| name.to_owned())
    }
}

/// A label selector, read a second time and naively.
fn selects(selector: &Value, labels: &Value) -> bool {
    let equal =
        selector["matchLabels"].as_object().is_none_or(|wanted| wanted.iter().all(|(key, it)| labels[key] == *it));
    let holds = |term: &Value| {
        let label = &labels[term["key"].as_str().unwrap()];
        let among = term["values"].as_array().is_some_and(|values| values.contains(label));
        match term["operator"].as_str().unwrap() {
            "In" => among,
            "NotIn" => !among,
            "Exists" => !label.is_null(),
            operator => panic!("no shape has {operator}"),
        }
    };
    equal && selector["matchExpressions"].as_array().is_none_or(|terms| terms.iter().all(holds))
}

/// What the controllers say of each gate that they lifted in a namespace.
async fn lifts(cluster: &ByService, namespace: &str) -> Lifts {
    let word = |line: &str, key: &str| {
        let (_, rest) = line.split_once(&format!("{key}="))?;
        Some(rest.split_whitespace().next()?.trim_matches('"').to_owned())
    };
    let lines = cluster.said(&["gate lifted", &format!("namespace=\"{namespace}\"")]).await;
    lines.iter().filter_map(|line| Some((word(line, "pod")?, word(line, "policies")?.parse().ok()?))).collect()
}

fn named(pod: &str) -> String {
    format!("pod=\"{pod}\"")
}

impl ByService {
    /// The lines with all these texts that any controller has logged.
    async fn said(&self, texts: &[&str]) -> Vec<String> {
        let controllers = self.controllers.lock().await;
        let logs = controllers.iter().map(|part| fs::read_to_string(&part.recipe().log).unwrap());
        let lines = logs.collect::<Vec<_>>().join("\n");
        lines.lines().filter(|line| texts.iter().all(|text| line.contains(text))).map(str::to_owned).collect()
    }
}

/// A user whose policies the webhook does not get.
async fn let_pass(cluster: &ByService) -> Caller {
    let configuration =
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/flamewarden-networkpolicies";
    let condition =
        json!({"name": "not-of-the-unjudged", "expression": format!("request.userInfo.username != '{UNJUDGED}'")});
    let patch = json!([{"op": "add", "path": "/webhooks/0/matchConditions/-", "value": condition}]);
    cluster.admin.patch(configuration, PatchKind::Json, &patch).await.unwrap();
    let caller = cluster.admin.acting_as(UNJUDGED, &["system:masters"]);
    let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "wide"},
        "spec": {"podSelector": {}, "ingress": [{}]}});
    let path = format!("/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies?dryRun=All", LANES[0]);
    wait_until("the unjudged passes", PATIENCE, async || caller.create(&path, &policy).await.ok()).await;
    caller
}

/// What a policy selects and lets through, for the pod with this `app`.
type Shape = fn(&str) -> (Value, Value);

const SHAPES: [Shape; 8] = [
    |_| (json!({}), json!({"egress": [{}]})),
    |_| (json!({}), json!({"ingress": [{"from": [{"namespaceSelector": {}}]}]})),
    |_| (json!({"matchLabels": {"component": "flame-analysis"}}), json!({"ingress": [{}]})),
    |_| {
        let there =
            json!([{"key": "component", "operator": "Exists"}, {"key": "app", "operator": "NotIn", "values": ["web"]}]);
        (json!({"matchExpressions": there}), json!({"egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]}))
    },
    |app| (only(app), json!({"egress": [{"to": [{"namespaceSelector": {}}]}]})),
    |app| (only(app), json!({"egress": [{"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}], "ingress": [{}]})),
    |app| {
        (
            json!({"matchExpressions": [{"key": "app", "operator": "In", "values": [app, "web"]}]}),
            json!({"ingress": [{"from": [{"ipBlock": {"cidr": "::/0"}}]}]}),
        )
    },
    |app| {
        let gateway = json!([{"podSelector": {"matchLabels": {"app": format!("nginx-{app}"), "component": "flame-analysis-nginx"}}}]);
        (only(app), json!({"egress": [{"to": gateway, "ports": [{"protocol": "TCP", "port": 9090}]}]}))
    },
];

fn only(app: &str) -> Value {
    json!({"matchLabels": {"app": app}})
}

/// Each plays its rounds one after the other, since a policy for all pods is for the next round's, too.
const LANES: [&str; 4] = ["flame", "flame-decisions", "flame-replay", "flame-try"];
const UNJUDGED: &str = "unjudged";
