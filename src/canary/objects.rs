//! The objects of one run: for each of three pods the network policy that holds it, and the pod.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Map, Value, json};

use crate::facts::Place;
use crate::install::CANARY;

/// One run of the canary.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Flamewarden's own namespace.
    pub(super) namespace: String,
    /// Flamewarden's own image.
    pub(super) image: String,
    /// What tells its objects from those of other runs.
    pub(super) id: String,
}

/// What a pod is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It is there to be reached.
    Listener,
    /// It may reach the listener and nothing else: where it cannot, the run says nothing.
    Open,
    /// It may reach nothing.
    Sealed,
}

/// What a pod is to do, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task<'a> {
    /// Takes connections.
    Listen,
    /// Connects to this address again and again, rather on this node than on another.
    ConnectNear(IpAddr, Option<&'a str>),
    /// The same on this node and no other.
    ConnectOn(IpAddr, &'a str),
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Role::Listener => "listener",
            Role::Open => "open",
            Role::Sealed => "sealed",
        }
    }
}

impl Run {
    /// Where the pod of a role stands, and its policy.
    pub(super) fn place(&self, role: Role) -> Place {
        Place { namespace: self.namespace.clone(), name: format!("{CANARY}-{}-{}", self.id, role.word()) }
    }

    /// The network policy of a role. The sealed pod is held by its own alone: the listener takes what comes from it.
    pub(super) fn policy(&self, role: Role) -> Value {
        let ports = json!([{"protocol": "TCP", "port": CANARY_PORT}]);
        let among = |role: Role| json!([{"podSelector": {"matchLabels": self.labels(role)}}]);
        let (ingress, egress) = match role {
            // From everybody: a network that learns late which pod an address is would drop the sealed pod's first packets
            // here, and they would count as held where they are to be held.
            Role::Listener => (json!([{"ports": ports}]), json!([])),
            Role::Open => (json!([]), json!([{"to": among(Role::Listener), "ports": ports}])),
            Role::Sealed => (json!([]), json!([])),
        };
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": self.metadata(role),
            "spec": {
                "podSelector": {"matchLabels": self.labels(role)},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": ingress,
                "egress": egress,
            },
        })
    }

    /// The pod of a role.
    pub(super) fn pod(&self, role: Role, task: &Task<'_>) -> Value {
        let mut arguments = vec!["canary".to_owned()];
        match task {
            Task::Listen => arguments.extend(["listen".to_owned(), format!("--port={CANARY_PORT}")]),
            Task::ConnectNear(to, _) | Task::ConnectOn(to, _) => {
                arguments.extend(["probe".to_owned(), format!("--to={}", SocketAddr::new(*to, CANARY_PORT))]);
            }
        }
        let mut spec = json!({
            "restartPolicy": "Never",
            "serviceAccountName": CANARY,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            // It ends by itself, also where nobody is left who would delete it.
            "activeDeadlineSeconds": DEADLINE,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": CONTAINER,
                "image": self.image,
                "args": arguments,
                "resources": {
                    "requests": {"cpu": "50m", "memory": "32Mi", "ephemeral-storage": "16Mi"},
                    "limits": {"cpu": "500m", "memory": "64Mi", "ephemeral-storage": "64Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "privileged": false,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        });
        let affinity = match task {
            Task::ConnectNear(_, Some(node)) => Some(json!({
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": is(node)}],
            })),
            Task::ConnectOn(_, node) => Some(json!({
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [is(node)]},
            })),
            Task::Listen | Task::ConnectNear(_, None) => None,
        };
        if let (Some(affinity), Some(spec)) = (affinity, spec.as_object_mut()) {
            spec.insert("affinity".to_owned(), json!({"nodeAffinity": affinity}));
        }
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": self.metadata(role), "spec": spec})
    }

    fn metadata(&self, role: Role) -> Value {
        let mut labels = self.labels(role);
        labels.insert("app.kubernetes.io/part-of".to_owned(), json!("flamewarden"));
        labels.insert(NAME.to_owned(), json!(CANARY));
        let Place { namespace, name } = self.place(role);
        json!({"name": name, "namespace": namespace, "labels": labels})
    }

    /// By which policies select: labels of no other run, so that nobody has handled them before.
    fn labels(&self, role: Role) -> Map<String, Value> {
        let labels = [("flamewarden.dev/canary-run", self.id.as_str()), ("flamewarden.dev/canary", role.word())];
        labels.into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect()
    }
}

/// What selects the objects of all runs.
pub(super) fn all_runs() -> String {
    format!("{NAME}={CANARY}")
}

fn is(node: &str) -> Value {
    json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]})
}

/// Where the listener takes connections.
pub const CANARY_PORT: u16 = 9445;
/// The one container.
pub(super) const CONTAINER: &str = "canary";
/// Longer than a run is waited for.
const DEADLINE: u32 = 300;
const NAME: &str = "app.kubernetes.io/name";

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str) -> Run {
        let image = format!("registry.example/flamewarden@sha256:{}", "0".repeat(64));
        Run { namespace: "flamewarden-system".to_owned(), image, id: id.to_owned() }
    }

    const TO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));

    #[test]
    fn a_sealed_pod_may_reach_nothing_and_an_open_one_the_listener_alone() {
        let run = run("a1");
        let of = |role: &str| json!({"flamewarden.dev/canary": role, "flamewarden.dev/canary-run": "a1"});
        let peer = |role: &str| json!({"podSelector": {"matchLabels": of(role)}});
        let ports = json!([{"protocol": "TCP", "port": 9445}]);
        for (role, word, ingress, egress) in [
            (Role::Sealed, "sealed", json!([]), json!([])),
            (Role::Open, "open", json!([]), json!([{"to": [peer("listener")], "ports": ports}])),
            (Role::Listener, "listener", json!([{"ports": ports}]), json!([])),
        ] {
            let policy = run.policy(role);
            let selected = json!({"matchLabels": of(word)});
            let wanted = json!({"podSelector": selected, "policyTypes": ["Ingress", "Egress"],
                "ingress": ingress, "egress": egress});
            assert_eq!(policy["spec"], wanted, "{word}");
            let pod = run.pod(role, &Task::Listen);
            for labels in [&policy["metadata"]["labels"], &pod["metadata"]["labels"]] {
                assert_eq!(labels["app.kubernetes.io/name"], "flamewarden-canary", "not one of Flamewarden's own pods");
                assert!(of(word).as_object().unwrap().iter().all(|(key, value)| labels[key] == *value), "{labels}");
            }
        }
    }

    #[test]
    fn every_pod_is_hardened_and_ends_by_itself() {
        for (role, task, arguments) in [
            (Role::Listener, Task::Listen, json!(["canary", "listen", "--port=9445"])),
            (Role::Open, Task::ConnectNear(TO, None), json!(["canary", "probe", "--to=10.0.0.7:9445"])),
            (
                Role::Sealed,
                Task::ConnectOn("fd00::7".parse().unwrap(), "n"),
                json!(["canary", "probe", "--to=[fd00::7]:9445"]),
            ),
        ] {
            let pod = run("a1").pod(role, &task);
            let container = &pod["spec"]["containers"][0];
            for (value, wanted) in [
                (&pod["spec"]["automountServiceAccountToken"], json!(false)),
                (&pod["spec"]["serviceAccountName"], json!("flamewarden-canary")),
                (&pod["spec"]["restartPolicy"], json!("Never")),
                (&pod["spec"]["activeDeadlineSeconds"], json!(300)),
                (&pod["spec"]["securityContext"]["runAsNonRoot"], json!(true)),
                (&pod["spec"]["securityContext"]["seccompProfile"]["type"], json!("RuntimeDefault")),
                (&container["securityContext"]["allowPrivilegeEscalation"], json!(false)),
                (&container["securityContext"]["readOnlyRootFilesystem"], json!(true)),
                (&container["securityContext"]["capabilities"], json!({"drop": ["ALL"]})),
                (&container["resources"]["limits"]["memory"], json!("64Mi")),
                (&container["args"], arguments),
            ] {
                assert_eq!(*value, wanted, "{role:?}");
            }
        }
    }

    #[test]
    fn the_sealed_pod_runs_where_the_open_one_ran_and_rather_where_the_network_failed_last() {
        let affinity = |task: Task<'_>| run("a1").pod(Role::Open, &task)["spec"]["affinity"]["nodeAffinity"].clone();
        let term = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]});
        assert_eq!(
            affinity(Task::ConnectOn(TO, "node-1")),
            json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}})
        );
        assert_eq!(
            affinity(Task::ConnectNear(TO, Some("node-1"))),
            json!({"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": term}]})
        );
        assert_eq!(affinity(Task::ConnectNear(TO, None)), Value::Null);
    }
}
