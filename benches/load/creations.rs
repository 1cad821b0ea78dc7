//! The rows that need a cluster: a controller that watches many pods, and how fast pods are created on a real API
//! server, with Flamewarden and without.

use std::process::Command;
use std::time::{Duration, Instant};

use flamewarden::isolation;
use flamewarden::policy::PolicySet;
use serde_json::{Value, json};

use crate::child::Child;
use crate::control_plane::ControlPlane;
use crate::flamewarden::{apply, controller_recipe, policy_files, prepare, settled, webhook_recipe, write_policies};
use crate::kubelet::{Kubelet, Order};
use crate::median::median;
use crate::part::Recipe;
use crate::reviews;
use crate::scanned::{pinned, scanned};
use crate::shared::{Cluster, wait_until};
use crate::stored::{callers, store};

/// Where pods are created: not guarded, and guarded without a controller, whose own calls would count too.
const PLACES: [&str; 2] = ["elsewhere", "flame-attacks"];
/// What the pods run.
const IMAGE: &str = "harbor.example/node/image:1";
/// Where the watched pods are.
const WATCHED: &str = "flame";

pub(crate) async fn rows(share: usize) {
    let plane = ControlPlane::start().await;
    let admin = plane.admin().await;
    let kubelet = Kubelet::start(&plane, "node-1").await;
    kubelet.order(WATCHED, Order::Wait);
    let cluster = Cluster { plane, admin, kubelet };
    cluster.namespace_named(PLACES[0]).await;
    let folder = cluster.plane.folder().join("flamewarden");
    let prepared = prepare(&cluster, &folder, &[]).await;
    write_policies(&folder.join("controller-policies"), &policy_files(&[PLACES[1]]));
    apply(&cluster, &prepared.rest).await;
    scanned(&cluster.plane, &prepared.files).await;

    let pods = PODS / share;
    store_pods(&cluster, pods).await;
    let webhook = child(webhook_recipe(&cluster, &folder, prepared.ports));
    let controller = child(controller_recipe(&cluster, &folder, "controller-policies", "controller"));
    let known = format!("flamewarden_guard_pods{{state=\"open\"}} {pods}");
    wait_until("the controller knows every pod", PATIENCE, async || {
        controller.told("/metrics").contains(&known).then_some(())
    })
    .await;
    // Twice as long as the guard takes to look again.
    wait_until("the controller rests", PATIENCE, async || {
        let before = controller.cpu();
        tokio::time::sleep(REST).await;
        (controller.cpu() - before < REST / 50).then_some(())
    })
    .await;
    println!(
        "| resident memory with {pods} pods of {ANALYSES} analyses watched | under 60 MB | controller {:.1} MB (at most {:.1} MB while it listed them); webhook, which watches scans alone, {:.1} MB | | |",
        controller.memory(),
        controller.most_memory(),
        webhook.memory(),
    );
    apply(&cluster, &prepared.configurations).await;
    settled(&cluster.admin).await;
    let [without, with] = rates(&cluster, share).await;
    println!(
        "| pods created a second on a real API server, {CALLERS} callers with kept-alive connections | | {with:.0} where guarded (two reviews each) = {:.2} × elsewhere | {without:.0} elsewhere, without Flamewarden | |",
        with / without,
    );
}

/// The state after a restart of the controller: pods that run on a node, each analysis with its policy.
async fn store_pods(cluster: &Cluster, pods: usize) {
    let files = policy_files(&[]);
    let policies = PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap();
    for number in 0..ANALYSES {
        let policy = isolation::policy(&app(number), WATCHED, &policies.analysis, &policies.gateway);
        let path = format!("/apis/networking.k8s.io/v1/namespaces/{WATCHED}/networkpolicies");
        cluster.admin.create(&path, &policy).await.unwrap();
    }
    let callers = callers(&cluster.plane, CALLERS).await;
    let bound: Vec<Value> = (0..ANALYSES).map(|number| bound(complete(&app(number)))).collect();
    store(&callers, &pods_of(WATCHED), pods, |number| named(bound[number % ANALYSES].clone(), number)).await;
}

/// The median rate of each place, in turns.
async fn rates(cluster: &Cluster, share: usize) -> [f64; 2] {
    let callers = callers(&cluster.plane, CALLERS).await;
    let mut rates = [(); 2].map(|()| Vec::new());
    for round in 0..ROUNDS {
        for (namespace, rates) in PLACES.iter().zip(&mut rates) {
            let pod = complete(&app(ANALYSES + round));
            let (count, begun) = (CREATED / share, Instant::now());
            store(&callers, &pods_of(namespace), count, |number| named(pod.clone(), number)).await;
            rates.push(count as f64 / begun.elapsed().as_secs_f64());
        }
    }
    rates.map(median)
}

/// A program of the installation as a child whose memory can be told.
fn child(recipe: Recipe) -> Child {
    let mut command = Command::new(recipe.program);
    command.args(recipe.arguments).envs(recipe.environment).arg("--log-format=json");
    Child::start(command)
}

fn pods_of(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

fn app(number: usize) -> String {
    format!("analysis-{number}")
}

/// A pod of 2 KB with all that admission would add, and without an owner, which does not exist here.
fn complete(app: &str) -> Value {
    let text = reviews::good(2048).replace("analysis-a", app);
    let review: Value = serde_json::from_str(&text).unwrap();
    let mut pod = review["request"]["object"].clone();
    // One that has passed: what waits for a verdict has the controller ask a registry that is not there.
    pod["spec"]["containers"][0]["image"] = json!(pinned(IMAGE));
    let metadata = pod["metadata"].as_object_mut().unwrap();
    metadata.remove("ownerReferences");
    metadata.remove("namespace");
    pod
}

/// The pod behind its gate, on its node.
fn bound(mut pod: Value) -> Value {
    let spec = pod["spec"].as_object_mut().unwrap();
    spec.remove("schedulingGates");
    spec.insert("nodeName".to_owned(), json!("node-1"));
    pod
}

fn named(mut pod: Value, number: usize) -> Value {
    let app = pod["metadata"]["labels"]["app"].as_str().unwrap();
    pod["metadata"]["name"] = json!(format!("{app}-{number}"));
    pod
}

const PODS: usize = 10_000;
const ANALYSES: usize = 100;
const CALLERS: usize = 8;
const ROUNDS: usize = 5;
const CREATED: usize = 400;
const PATIENCE: Duration = Duration::from_secs(180);
const REST: Duration = Duration::from_secs(5);
