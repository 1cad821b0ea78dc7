//! Whatever the API server and the way to it do, what the guard knows is what a fresh list says.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use flamewarden::cluster::{self, Change, FEW_BYTES, Interest, Kind, kept};
use flamewarden::facts::Place;
use flamewarden::guard::Observer;
use flamewarden::policy::PolicySet;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::caller::{Caller, PatchKind};
use crate::faulty::{Asked, Fault, Faulty};
use crate::flamewarden::{CONTROLLER, WEBHOOK, good_analysis, policy_files};
use crate::lab::{GUARDED, Lab, collection};
use crate::part::Part;
use crate::probes::samples;
use crate::shared::{PATIENCE, run, wait_until};

/// Once each in the short form, five times with `FLAMEWARDEN_SOAK`.
#[test]
fn after_every_fault_of_the_api_server_the_facts_are_a_fresh_list() {
    run(async {
        let mut lab = Lab::start().await;
        let controller = lab.cluster.plane.caller(CONTROLLER, None).await;
        let way = Faulty::open(&controller).await;
        let kubeconfig = way.kubeconfig(lab.cluster.plane.folder());
        lab.lead_controller_by(&kubeconfig);
        let mut known = Known::follow(&kubeconfig).await;
        let mut traffic = Traffic { lab: &lab, controller, number: 0 };
        for _ in 0..4 * GUARDED.len() {
            traffic.goes_on().await;
        }
        known.are_a_fresh_list(&lab, "before any fault").await;
        let (times, mut slowest) = (if std::env::var_os("FLAMEWARDEN_SOAK").is_some() { 5 } else { 1 }, Duration::ZERO);
        for fault in (0..times).flat_map(|_| TROUBLES) {
            trouble(&lab, &way, fault).await;
            traffic.goes_on().await;
            traffic.goes_on().await;
            known.are_a_fresh_list(&lab, &format!("{fault:?}")).await;
            guard_counts_them_all(&lab).await;
            slowest = slowest.max(traffic.an_edited_policy_is_put_right().await);
            assert_eq!(way.to_answer(), 0, "{fault:?}: every answer was given");
        }
        println!(
            "{} faults: policies put right within {slowest:?}; WatchList asked for {} times",
            times * TROUBLES.len(),
            way.watch_lists()
        );
        assert!(slowest < REPAIR, "a policy was put right only after {slowest:?}");
    });
}

/// The webhook knows nothing in advance, so a fault is an answer of no and leaves nothing behind.
#[test]
fn what_the_webhook_cannot_read_is_refused_and_the_next_call_is_judged() {
    run(async {
        let mut lab = Lab::start().await;
        let way = Faulty::open(&lab.cluster.plane.caller(WEBHOOK, None).await).await;
        lab.answer_calls_by(&way.kubeconfig(lab.cluster.plane.folder()));
        let web = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
            "spec": {"containers": [{"name": "web", "image": "web:1"}]}});
        lab.create(GUARDED[0], &web).await;
        let exec = format!("{}/web/exec?command=id&stdout=true", collection(GUARDED[0], "Pod"));
        // Others' pods are nobody's business of ours; what then refuses is no webhook.
        let passes = async || {
            let refusal = lab.cluster.admin.create(&exec, &Value::Null).await.err();
            refusal.is_none_or(|refusal| !refusal.message.contains("webhook")).then_some(())
        };
        wait_until("the webhook answers again", PATIENCE, passes).await;
        for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::GONE, StatusCode::FORBIDDEN] {
            way.answers(Asked::Other, status, 1);
            let refusal = lab.cluster.admin.create(&exec, &Value::Null).await.unwrap_err();
            assert!(refusal.message.contains("denied the request: flamewarden"), "{status}: {}", refusal.message);
            assert_eq!((passes().await, way.to_answer()), (Some(()), 0), "after {status}");
        }
        lab.cluster.plane.restart("kube-apiserver", "KILL").await;
        wait_until("the webhook reads from the new API server", PATIENCE, passes).await;
    });
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Watches(Fault),
    /// The next calls of a sort are answered so, a few times in a row, when the watches have ended.
    Answers(Asked, StatusCode),
    /// The API server is killed or stopped, and comes again with the same store and port.
    Restart(&'static str),
}

const TROUBLES: [Trouble; 9] = [
    Trouble::Watches(Fault::Expired),
    Trouble::Watches(Fault::CutWithinEvent),
    Trouble::Watches(Fault::EndedWithinEvent),
    Trouble::Watches(Fault::Ended),
    Trouble::Answers(Asked::Watch, StatusCode::GONE),
    Trouble::Answers(Asked::Watch, StatusCode::INTERNAL_SERVER_ERROR),
    Trouble::Answers(Asked::List, StatusCode::INTERNAL_SERVER_ERROR),
    Trouble::Restart("KILL"),
    Trouble::Restart("TERM"),
];

async fn trouble(lab: &Lab, way: &Faulty, trouble: Trouble) {
    match trouble {
        Trouble::Watches(fault) => way.breaks(fault),
        Trouble::Answers(asked, status) => {
            way.answers(asked, status, 2 * WATCHES);
            way.breaks(if asked == Asked::List { Fault::Expired } else { Fault::EndedWithinEvent });
        }
        Trouble::Restart(signal) => lab.cluster.plane.restart("kube-apiserver", signal).await,
    }
}

/// The facts as the controller's own code knows them, by the same way, in this process.
struct Known {
    observer: Observer,
    changes: mpsc::Receiver<(Kind, String, Change)>,
    policies: PolicySet,
    _watches: JoinSet<()>,
}

impl Known {
    async fn follow(kubeconfig: &std::path::Path) -> Known {
        let files = policy_files(&[]);
        let policies = PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap();
        let api = cluster::Cluster::connect(Some(kubeconfig), "test").await.unwrap();
        let (sender, changes) = mpsc::channel(1024);
        let mut watches = JoinSet::new();
        for namespace in GUARDED {
            for (kind, selector) in [(Kind::Pod, ANALYSES), (Kind::NetworkPolicy, "")] {
                let (api, namespace, sender) = (api.clone(), namespace.to_owned(), sender.clone());
                watches.spawn(async move {
                    let interest = Interest { selector: selector.to_owned(), keep: kept(kind), most: FEW_BYTES };
                    cluster::watch(api, kind, namespace, interest, sender).await
                });
            }
        }
        Known { observer: Observer::default(), changes, policies, _watches: watches }
    }

    /// Waits until they are, while the guard goes on with its work.
    async fn are_a_fresh_list(&mut self, lab: &Lab, when: &str) {
        let begun = Instant::now();
        loop {
            while let Ok((kind, namespace, change)) = self.changes.try_recv() {
                self.observer.observe(kind, &namespace, change, &self.policies);
            }
            let fresh = self.listed(lab).await;
            if self.observer.facts() == fresh.facts() && !fresh.facts().pods.is_empty() {
                return;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{when}: known are\n{:#?}\nlisted are\n{:#?}",
                self.observer.facts(),
                fresh.facts()
            );
            // The changes that are missing, or the end of patience.
            let next = tokio::time::timeout(Duration::from_millis(50), self.changes.recv()).await;
            if let Ok(Some((kind, namespace, change))) = next {
                self.observer.observe(kind, &namespace, change, &self.policies);
            }
        }
    }

    async fn listed(&self, lab: &Lab) -> Observer {
        let mut fresh = Observer::default();
        for namespace in GUARDED {
            for kind in [Kind::Pod, Kind::NetworkPolicy] {
                let (_, name) = kind.type_names();
                let list = lab.cluster.admin.get(&collection(namespace, name)).await.unwrap();
                let mut told = vec![Change::Listing];
                told.extend(list["items"].as_array().unwrap().iter().map(|object| {
                    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                    Change::Seen(Place { namespace: namespace.to_owned(), name }, object.clone())
                }));
                told.push(Change::Listed);
                for change in told {
                    fresh.observe(kind, namespace, change, &self.policies);
                }
            }
        }
        fresh
    }
}

/// Pods and policies that come and go.
struct Traffic<'a> {
    lab: &'a Lab,
    controller: Caller,
    number: usize,
}

impl Traffic<'_> {
    /// In one namespace after the other: a pod goes, a policy is deleted, another is edited, a pod comes.
    async fn goes_on(&mut self) {
        self.number += 1;
        let namespace = namespace_of(self.number);
        let before = |ago: usize| self.number.checked_sub(ago * GUARDED.len()).filter(|number| *number > 0);
        if let Some(number) = before(3) {
            let path = format!("{}/t{number}", collection(namespace, "Pod"));
            self.lab.cluster.admin.delete(&path, None).await.unwrap();
        }
        if let Some(number) = before(2) {
            self.controller.delete(&policy(number), None).await.unwrap();
        }
        if let Some(number) = before(1) {
            self.widen(&policy(number)).await;
        }
        let id = format!("t{}", self.number);
        let mut pod = good_analysis(&id);
        pod["metadata"]["name"] = json!(id);
        pod["spec"]["terminationGracePeriodSeconds"] = json!(1);
        self.lab.create(namespace, &pod).await;
        // Scheduler and kubelet have connections of their own to mend, and take longer when that happens often.
        let open = |pod: &Value| pod["spec"]["schedulingGates"].is_null().then_some(());
        self.lab.cluster.read(&format!("{}/{id}", collection(namespace, "Pod")), open).await;
    }

    /// The guard's own identity stands for whoever found a way.
    async fn widen(&self, policy: &str) {
        let wide = json!({"spec": {"egress": [{}]}});
        self.controller.patch(policy, PatchKind::Merge, &wide).await.unwrap();
    }

    async fn an_edited_policy_is_put_right(&self) -> Duration {
        let policy = policy(self.number);
        let before = self.lab.cluster.admin.get(&policy).await.unwrap()["spec"].clone();
        let begun = Instant::now();
        self.widen(&policy).await;
        self.lab.cluster.read(&policy, |policy| (policy["spec"] == before).then_some(())).await;
        begun.elapsed()
    }
}

/// The guard's own count of pods, by its metric.
async fn guard_counts_them_all(lab: &Lab) {
    let guard: &Part = &lab.controllers[0];
    let counted = async || {
        let states = samples(guard, "flamewarden_guard_pods").await?;
        let mut listed = BTreeMap::from([("held", 0), ("open", 0), ("adopted", 0), ("not_conforming", 0)]);
        for namespace in GUARDED {
            let pods = format!("{}?labelSelector=component%3Dflame-analysis", collection(namespace, "Pod"));
            let list = lab.cluster.admin.get(&pods).await.ok()?;
            for pod in list["items"].as_array()? {
                let gated = |gates: &Value| gates.as_array().is_some();
                let state = if gated(&pod["spec"]["schedulingGates"]) { "held" } else { "open" };
                *listed.get_mut(state)? += 1;
            }
        }
        let listed: BTreeMap<String, u64> =
            listed.into_iter().map(|(state, count)| (state.to_owned(), count)).collect();
        (states == listed).then_some(())
    };
    wait_until("the guard counts all pods", PATIENCE, counted).await;
}

fn namespace_of(number: usize) -> &'static str {
    GUARDED[number % GUARDED.len()]
}

fn policy(number: usize) -> String {
    format!("{}/flamewarden-analysis-t{number}", collection(namespace_of(number), "NetworkPolicy"))
}

const ANALYSES: &str = "component=flame-analysis";
/// The guard's and the test's: two kinds in two namespaces each.
const WATCHES: usize = 8;
/// The two seconds of the promise, and as much again for a machine that is busy.
const REPAIR: Duration = Duration::from_secs(4);
