//! The tests' kubelet: registers a node, and does to the pods bound to it what a real one does, without containers.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::caller::{Caller, PatchKind};
use crate::control_plane::ControlPlane;

#[path = "kubelet/logs.rs"]
mod logs;
#[path = "kubelet/plan.rs"]
mod plan;

pub(crate) use plan::{Action, Order, plan};

/// A node. Dropping it silences it, as a node that is lost.
pub(crate) struct Kubelet {
    name: String,
    orders: Arc<Orders>,
    tasks: Vec<JoinHandle<()>>,
}

/// What tests have told the kubelet, and the bell that makes it look again; the pods that it knows.
#[derive(Default)]
struct Orders {
    texts: logs::Texts,
    pods: Mutex<HashMap<String, Value>>,
    namespaces: Mutex<HashMap<String, Order>>,
    endings: Mutex<HashMap<String, i32>>,
    bell: Notify,
}

impl Kubelet {
    /// Registers a node with room for everything and begins its work.
    pub(crate) async fn start(plane: &ControlPlane, name: &str) -> Kubelet {
        let caller = plane.caller(&format!("system:node:{name}"), Some("system:nodes")).await;
        let orders = Arc::new(Orders::default());
        let (port, told) = logs::listen(&plane.serving(&["127.0.0.1"]), Arc::clone(&orders)).await;
        caller.create("/api/v1/nodes", &node(name, port)).await.unwrap();
        let tasks = vec![
            tokio::spawn(told),
            tokio::spawn(heartbeat(caller.clone(), name.to_owned())),
            tokio::spawn(work(caller, name.to_owned(), Arc::clone(&orders))),
        ];
        Kubelet { name: name.to_owned(), orders, tasks }
    }

    /// The node's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// From now on the pods of a namespace get this done to them.
    pub(crate) fn order(&self, namespace: &str, order: Order) {
        self.orders.namespaces.lock().unwrap().insert(namespace.to_owned(), order);
        self.orders.bell.notify_one();
    }

    /// From now on containers of that name have written this.
    pub(crate) fn writes(&self, namespace: &str, container: &str, text: &str) {
        self.orders.texts.lock().unwrap().insert((namespace.to_owned(), container.to_owned()), text.to_owned());
    }

    /// The containers of a running pod end with this code.
    pub(crate) fn end(&self, namespace: &str, pod: &str, code: i32) {
        self.orders.endings.lock().unwrap().insert(format!("{namespace}/{pod}"), code);
        self.orders.bell.notify_one();
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Follows the pods bound to the node, and looks at all of them again when a test has given an order.
async fn work(caller: Caller, node: String, orders: Arc<Orders>) {
    let api: Api<Pod> = Api::all(caller.client());
    let mut events = watcher(api, Config::default().fields(&format!("spec.nodeName={node}"))).boxed();
    let mut removed = HashSet::new();
    loop {
        let changed = tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Apply(pod) | Event::InitApply(pod))) => {
                    let key = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
                    orders.pods.lock().unwrap().insert(key.clone(), serde_json::to_value(pod).unwrap());
                    vec![key]
                }
                Some(Ok(Event::Delete(pod))) => {
                    let key = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
                    orders.pods.lock().unwrap().remove(&key);
                    orders.endings.lock().unwrap().remove(&key);
                    continue;
                }
                // The watch takes itself up again; the API server may be restarting.
                Some(Ok(Event::Init | Event::InitDone) | Err(_)) => continue,
                None => return,
            },
            () = orders.bell.notified() => orders.pods.lock().unwrap().keys().cloned().collect(),
        };
        for key in changed {
            let Some(pod) = orders.pods.lock().unwrap().get(&key).cloned() else { continue };
            act(&caller, &pod, &key, &orders, &mut removed).await;
        }
    }
}

/// Does the one thing that is due for a pod.
async fn act(caller: &Caller, pod: &Value, key: &str, orders: &Orders, removed: &mut HashSet<String>) {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap();
    let order = orders.namespaces.lock().unwrap().get(namespace).copied().unwrap_or(Order::Run);
    let ending = orders.endings.lock().unwrap().get(key).copied();
    let name = pod["metadata"]["name"].as_str().unwrap();
    let uid = pod["metadata"]["uid"].as_str().unwrap();
    let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
    // What the API server answers is no concern of a test's: a real kubelet, too, would only try again.
    match plan(pod, order, ending, &Timestamp::now().to_string()) {
        Action::Nothing => {}
        Action::Status(status) => {
            let patch = json!({"metadata": {"uid": uid}, "status": status});
            let _ = caller.patch(&format!("{path}/status"), PatchKind::Strategic, &patch).await;
        }
        Action::Restart(status) => {
            orders.endings.lock().unwrap().remove(key);
            let patch = json!({"metadata": {"uid": uid}, "status": status});
            let _ = caller.patch(&format!("{path}/status"), PatchKind::Strategic, &patch).await;
        }
        Action::Remove => {
            if removed.insert(uid.to_owned()) {
                let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}});
                let caller = caller.clone();
                // The API server checks a node's deletions against its own watch, which may not know the pod's
                // node yet; a real kubelet tries again, and so does this one.
                tokio::spawn(async move {
                    for _ in 0..REMOVALS {
                        match caller.delete(&path, Some(&options)).await {
                            Err(refusal) if refusal.code == 403 => tokio::time::sleep(HEARTBEAT / 10).await,
                            _ => return,
                        }
                    }
                });
            }
        }
    }
}

/// Renews the node's lease, by which the node controllers know that it lives.
async fn heartbeat(caller: Caller, name: String) {
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    let mut pace = tokio::time::interval(HEARTBEAT);
    loop {
        pace.tick().await;
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": format!("{:.6}", Timestamp::now())},
        });
        let renewed = caller.patch(&format!("{leases}/{name}"), PatchKind::Merge, &lease).await;
        if renewed.is_err() {
            let _ = caller.create(leases, &lease).await;
        }
    }
}

/// A node as a kubelet registers it: with its status, so that it is ready at once, and the port where it is asked for
/// logs.
fn node(name: &str, port: u16) -> Value {
    let room = json!({"cpu": "10000", "memory": "100Ti", "ephemeral-storage": "100Ti", "pods": "10000"});
    let now = Timestamp::now().to_string();
    let condition = |kind: &str, status: &str| {
        json!({"type": kind, "status": status, "reason": "TestKubelet", "message": "as the test says",
               "lastHeartbeatTime": now, "lastTransitionTime": now})
    };
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
            // It comes with the binding into the labels of each pod.
            "topology.kubernetes.io/zone": "zone-1",
        }},
        "status": {
            "capacity": room, "allocatable": room,
            "addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": "127.0.0.1"}],
            "conditions": [
                condition("MemoryPressure", "False"), condition("DiskPressure", "False"),
                condition("PIDPressure", "False"), condition("Ready", "True"),
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "nodeInfo": {
                "architecture": "amd64", "bootID": "test", "containerRuntimeVersion": "test://1", "kernelVersion": "6",
                "kubeProxyVersion": "", "kubeletVersion": "v1.36.3", "machineID": "test", "operatingSystem": "linux",
                "osImage": "test", "systemUUID": "test",
            },
        },
    })
}

const REMOVALS: usize = 50;
const HEARTBEAT: Duration = Duration::from_secs(4);
