//! etcd, kube-apiserver, kube-controller-manager and kube-scheduler on free ports, in a folder of their own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use crate::caller::Caller;
use crate::part::{Janitor, Part, Recipe, write_file};
use crate::pki::{Authority, Leaf};
use crate::shared::wait_until;

/// A running control plane. Dropping it stops it; so does the end of the process, a killed one included.
pub(crate) struct ControlPlane {
    folder: PathBuf,
    authority: Authority,
    server: String,
    programs: PathBuf,
    /// In the order in which they stop: the API server before etcd, else it lingers and keeps its port.
    parts: Mutex<Vec<Part>>,
    _janitor: Janitor,
}

/// The parts, by the name that each has in messages.
pub(crate) const PARTS: [&str; 4] = ["kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"];

impl ControlPlane {
    /// Builds what is not built yet, starts everything and waits until the API server is ready.
    pub(crate) async fn start() -> ControlPlane {
        ControlPlane::start_in(tempfile::Builder::new().prefix("flamewarden-cluster.").tempdir().unwrap().keep()).await
    }

    /// The same in a folder that is there already, and is removed at the end.
    pub(crate) async fn start_in(folder: PathBuf) -> ControlPlane {
        let janitor = Janitor::of(&folder);
        let programs = build();
        let [etcd, peer, api, controllers, scheduler] = free_ports();
        let authority = Authority::new("test-cluster");
        let server = format!("https://127.0.0.1:{api}");
        write_keys(&folder, &authority);
        for (file, user, group) in IDENTITIES {
            write_file(&folder.join(file), &authority.kubeconfig(&server, &authority.user(user, group)));
        }
        let plane =
            ControlPlane { folder, authority, server, programs, parts: Mutex::new(Vec::new()), _janitor: janitor };
        plane.launch("etcd", etcd_arguments(&plane.folder, etcd, peer));
        plane.launch("kube-apiserver", api_arguments(&plane.folder, etcd, api));
        plane.ready().await;
        plane.launch("kube-controller-manager", controller_arguments(&plane.folder, controllers));
        plane.launch("kube-scheduler", scheduler_arguments(&plane.folder, scheduler));
        // Both end by themselves if the API server goes away while they are starting.
        let admin = plane.admin().await;
        wait_until("controllers and scheduler are at work", START, async || {
            plane.complain_of_the_dead();
            TcpStream::connect(("127.0.0.1", scheduler)).ok()?;
            admin.get("/api/v1/namespaces/default/serviceaccounts/default").await.ok()
        })
        .await;
        plane
    }

    /// The folder with certificates, kubeconfigs and one log for each part.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The administrator's kubeconfig file.
    pub(crate) fn admin_file(&self) -> PathBuf {
        self.folder.join(ADMIN)
    }

    /// The folder with the programs, kubectl among them.
    pub(crate) fn programs(&self) -> &Path {
        &self.programs
    }

    /// A kubeconfig file for anybody.
    pub(crate) fn kubeconfig(&self, name: &str, group: Option<&str>) -> PathBuf {
        let path = self.folder.join(format!("{}.kubeconfig", name.replace(':', "-")));
        write_file(&path, &self.kubeconfig_text(&self.authority.user(name, group)));
        path
    }

    /// The administrator.
    pub(crate) async fn admin(&self) -> Caller {
        Caller::new(&fs::read_to_string(self.admin_file()).unwrap()).await
    }

    /// Somebody, known by a certificate.
    pub(crate) async fn caller(&self, name: &str, group: Option<&str>) -> Caller {
        Caller::new(&self.kubeconfig_text(&self.authority.user(name, group))).await
    }

    /// A certificate to serve with, of the cluster's authority.
    pub(crate) fn serving(&self, names: &[&str]) -> Leaf {
        self.authority.serving(names)
    }

    /// Stops a part with a signal, `TERM` or `KILL`, and starts it again as it was.
    pub(crate) async fn restart(&self, name: &str, signal: &str) {
        let recipe = {
            let mut parts = self.parts.lock().unwrap();
            let place = parts.iter().position(|part| part.recipe().name == name).expect("no such part");
            let mut part = parts.remove(place);
            part.signal(signal);
            part.wait();
            part.recipe().clone()
        };
        self.insert(Part::start(recipe));
        self.ready().await;
    }

    /// Waits until the API server says that it is ready; names the part that ended meanwhile.
    pub(crate) async fn ready(&self) {
        let admin = self.admin().await;
        wait_until("the API server is ready", START, async || {
            self.complain_of_the_dead();
            admin.get("/readyz").await.is_ok().then_some(())
        })
        .await;
    }

    /// Fails with the log of a part that has ended by itself.
    pub(crate) fn complain_of_the_dead(&self) {
        // The guard is dropped before the panic, so that the parts can still be stopped.
        let dead: Vec<String> = {
            let mut parts = self.parts.lock().unwrap();
            let ended = parts.iter_mut().filter_map(|part| {
                let status = part.ended()?;
                Some(format!("{} ended ({status}); its log ends:\n{}", part.recipe().name, part.log_tail()))
            });
            ended.collect()
        };
        assert!(dead.is_empty(), "{}", dead.join("\n"));
    }

    fn kubeconfig_text(&self, leaf: &Leaf) -> String {
        self.authority.kubeconfig(&self.server, leaf)
    }

    fn launch(&self, name: &str, arguments: Vec<String>) {
        self.insert(Part::start(Recipe {
            name: name.to_owned(),
            program: self.programs.join(name),
            arguments,
            environment: Vec::new(),
            log: self.folder.join(format!("{name}.log")),
        }));
    }

    fn insert(&self, part: Part) {
        let mut parts = self.parts.lock().unwrap();
        parts.push(part);
        parts.sort_by_key(|part| PARTS.iter().position(|name| *name == part.recipe().name));
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // One after the other: a Vec drops its elements in order.
        self.parts.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
    }
}

const ADMIN: &str = "admin.kubeconfig";
const START: Duration = Duration::from_secs(120);

/// Kubeconfig file, user and group of those that every cluster has.
const IDENTITIES: [(&str, &str, Option<&str>); 3] = [
    (ADMIN, "admin", Some("system:masters")),
    ("controllers.kubeconfig", "system:kube-controller-manager", None),
    ("scheduler.kubeconfig", "system:kube-scheduler", None),
];

/// Builds the programs, or finds them built, and tells their folder.
fn build() -> PathBuf {
    let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/control-plane/build"))
        .output()
        .expect("cannot call control-plane/build");
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the control plane cannot be built:\n{problem}");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// Ports that are free now, never the same twice in one process. They lie below those that Linux gives to outgoing
/// connections, so that none of these takes one before its server has it.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    const FIRST: u32 = 12_000;
    const COUNT: u32 = 20_000;
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(97) % COUNT));
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let next = || u16::try_from(FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT).unwrap();
    [(); N].map(|()| std::iter::repeat_with(next).take(COUNT as usize).find(free).expect("no port is free"))
}

/// The API server's audit log has what admission never sees, as its operators would have it, and for the tests what audits
/// do.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [
    {"level": "Metadata", "verbs": ["get", "list", "watch"], "resources": [{"group": "", "resources": ["secrets", "pods/log"]}]},
    {"level": "Metadata", "resources": [{"group": "", "resources": ["nodes/proxy"]}]},
    {"level": "Metadata", "users": ["auditor"]},
    {"level": "Request", "verbs": ["create", "update", "patch", "delete"], "resources": [{"group": "openreports.io"}]},
    {"level": "None"}
]}"#;
/// In the control plane's folder.
pub(crate) const AUDIT_LOG: &str = "audit.log";

fn write_keys(folder: &Path, authority: &Authority) {
    let serving = authority.serving(&["127.0.0.1", "localhost", "kubernetes.default.svc"]);
    write_file(&folder.join("ca.crt"), &authority.certificate);
    write_file(&folder.join("audit-policy.yaml"), AUDIT_POLICY);
    write_file(&folder.join("serving.crt"), &serving.certificate);
    write_file(&folder.join("serving.key"), &serving.key);
    // The API server takes the public half from a certificate.
    let accounts = authority.user("accounts", None);
    write_file(&folder.join("accounts.crt"), &accounts.certificate);
    write_file(&folder.join("accounts.key"), &accounts.key);
}

fn etcd_arguments(folder: &Path, client: u16, peer: u16) -> Vec<String> {
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    let data = folder.join("etcd").display().to_string();
    listed(&[
        ("data-dir", &data),
        ("unsafe-no-fsync", "true"),
        ("log-level", "warn"),
        ("listen-client-urls", &client),
        ("advertise-client-urls", &client),
        ("listen-peer-urls", &peer),
        ("initial-advertise-peer-urls", &peer),
        ("initial-cluster", &format!("default={peer}")),
    ])
}

fn api_arguments(folder: &Path, etcd: u16, port: u16) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    listed(&[
        ("etcd-servers", &format!("http://127.0.0.1:{etcd}")),
        ("secure-port", &port.to_string()),
        ("bind-address", "127.0.0.1"),
        ("advertise-address", "127.0.0.1"),
        ("tls-cert-file", &file("serving.crt")),
        ("tls-private-key-file", &file("serving.key")),
        ("client-ca-file", &file("ca.crt")),
        ("service-account-key-file", &file("accounts.crt")),
        ("service-account-signing-key-file", &file("accounts.key")),
        ("service-account-issuer", "https://kubernetes.default.svc"),
        // Of this machine, so that who listens at a Service's address is that Service; another for each control plane.
        ("service-cluster-ip-range", &format!("127.{}.0.0/16", 64 + port % 64)),
        ("authorization-mode", "Node,RBAC"),
        ("enable-admission-plugins", "NodeRestriction"),
        ("enable-aggregator-routing", "true"),
        ("allow-privileged", "true"),
        ("kubelet-preferred-address-types", "InternalIP"),
        // Without it a stop waits a minute for the watches of the controllers.
        ("shutdown-send-retry-after", "true"),
        // A lost node gives up its pods within a test's patience.
        ("default-not-ready-toleration-seconds", "5"),
        ("default-unreachable-toleration-seconds", "5"),
        ("profiling", "false"),
        ("audit-policy-file", &file("audit-policy.yaml")),
        ("audit-log-path", &file(AUDIT_LOG)),
    ])
}

fn controller_arguments(folder: &Path, port: u16) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut arguments = component_arguments(&file("controllers.kubeconfig"), port);
    arguments.extend(listed(&[
        ("service-account-private-key-file", &file("accounts.key")),
        ("root-ca-file", &file("ca.crt")),
        ("use-service-account-credentials", "true"),
        ("node-monitor-period", "2s"),
        ("node-monitor-grace-period", "20s"),
    ]));
    arguments
}

fn scheduler_arguments(folder: &Path, port: u16) -> Vec<String> {
    component_arguments(&folder.join("scheduler.kubeconfig").display().to_string(), port)
}

fn component_arguments(kubeconfig: &str, port: u16) -> Vec<String> {
    listed(&[
        ("kubeconfig", kubeconfig),
        ("authentication-kubeconfig", kubeconfig),
        ("authorization-kubeconfig", kubeconfig),
        ("bind-address", "127.0.0.1"),
        ("secure-port", &port.to_string()),
        ("leader-elect", "false"),
        ("kube-api-qps", "500"),
        ("kube-api-burst", "1000"),
        ("profiling", "false"),
    ])
}

fn listed(flags: &[(&str, &str)]) -> Vec<String> {
    flags.iter().map(|(name, value)| format!("--{name}={value}")).collect()
}
