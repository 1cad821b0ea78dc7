//! A cluster of its own that reaches Flamewarden by its Service: two webhook replicas and a controller, which makes
//! their certificate and registers it. The tests do what kubelet and endpoint controller would.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

use crate::caller::{Caller, PatchKind};
use crate::control_plane::{ControlPlane, free_ports};
use crate::flamewarden::{
    Beside, CONTROLLER, DEDICATED, SHARED, WEBHOOK, as_printed, binding, good_analysis, policy_files, program,
    write_policies,
};
use crate::mounted_secret::mount;
use crate::part::{Part, Recipe, write_file};
use crate::scanned::scanned;
use crate::shared::{PATIENCE, wait_until};

/// The cluster.
pub(crate) struct ByService {
    pub(crate) plane: ControlPlane,
    pub(crate) admin: Caller,
    pub(crate) folder: PathBuf,
    more: Vec<&'static str>,
    controller_policies: &'static str,
    /// Who has them may stop them.
    pub(crate) controllers: Mutex<Vec<Part>>,
    /// Who has them may replace and kill them: one test at a time.
    pub(crate) replicas: Mutex<Vec<Replica>>,
}

/// One replica of the webhook, and the EndpointSlice by which it is found.
pub(crate) struct Replica {
    pub(crate) part: Part,
    number: u16,
    probes: u16,
    port: u16,
}

/// Guarded, and not looked after by the controller, so that gates stay.
pub(crate) const NAMESPACE: &str = "flame-attacks";

/// The cluster, made by the first test that asks.
pub(crate) async fn by_service() -> &'static ByService {
    static CLUSTER: OnceCell<ByService> = OnceCell::const_new();
    CLUSTER.get_or_init(|| ByService::install("controller-policies")).await
}

impl ByService {
    /// Another such cluster, installed with nothing said; the controllers have the policies of that folder.
    pub(crate) async fn install(controllers: &'static str) -> ByService {
        let cluster = ByService::prepare(&[], controllers).await;
        cluster.apply(&image('0'));
        cluster.start().await;
        cluster
    }

    /// A cluster to install in by `apply` and `start`, with these options of `manifests`.
    pub(crate) async fn prepare(more: &[&'static str], controllers: &'static str) -> ByService {
        let plane = ControlPlane::start().await;
        let admin = plane.admin().await;
        let folder = plane.folder().join("flamewarden");
        write_policies(&folder.join("policies"), &policy_files(&[]));
        write_policies(&folder.join("controller-policies"), &policy_files(&[NAMESPACE]));
        for namespace in SHARED.iter().chain(DEDICATED) {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            admin.create("/api/v1/namespaces", &namespace).await.unwrap();
        }
        let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings");
        admin.create(&bindings, &binding("edit")).await.unwrap();
        ByService {
            plane,
            admin,
            folder,
            more: more.to_vec(),
            controller_policies: controllers,
            controllers: Mutex::default(),
            replicas: Mutex::default(),
        }
    }

    /// Starts what stands in for the pods: a controller and two replicas of the webhook.
    pub(crate) async fn start(&self) {
        mount(
            self.admin.clone(),
            format!("/api/v1/namespaces/{SYSTEM}/secrets/flamewarden-webhook-tls"),
            self.folder.join("certificates"),
        );
        self.add_controller("first").await;
        self.begin().await;
    }

    /// Prints with that image and applies, as README says.
    pub(crate) fn apply(&self, image: &str) {
        let mut print = Command::new(program());
        print.arg("manifests").arg("--policies").arg(self.folder.join("policies")).args(["--image", image]);
        let printed = text(print.args(&self.more).output().unwrap());
        // No pod runs here, so none may be found; see `Replica::slice`.
        let selector = "    targetPort: https\n  selector:\n    app.kubernetes.io/instance: flamewarden-webhook\n";
        assert_eq!(printed.matches(selector).count(), 1);
        write_file(&self.folder.join(PRINTED), &printed.replace(selector, "    targetPort: https\n"));
        self.kubectl(&["apply", "-f"]);
    }

    /// What kubectl says to a command that ends with what was printed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let printed = self.folder.join(PRINTED).display().to_string();
        self.kubectl_alone(&[arguments, &[&printed]].concat())
    }

    /// What kubectl says to a command.
    pub(crate) fn kubectl_alone(&self, arguments: &[&str]) -> String {
        let mut kubectl = Command::new(self.plane.programs().join("kubectl"));
        text(kubectl.arg("--kubeconfig").arg(self.plane.admin_file()).args(arguments).output().unwrap())
    }

    /// What `flamewarden release` says.
    pub(crate) fn release(&self) -> String {
        text(Command::new(program()).arg("release").arg("--kubeconfig").arg(self.plane.admin_file()).output().unwrap())
    }

    async fn begin(&self) {
        for number in 1..=2 {
            let replica = self.replica(number).await;
            self.replicas.lock().await.push(replica);
        }
        scanned(&self.plane, &policy_files(&[])).await;
        let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All");
        let mut pod = good_analysis("first");
        pod["metadata"]["name"] = json!("first");
        // Until the API server has configurations and authority, pods come unmended or are refused.
        wait_until("pods are mended", PATIENCE, async || {
            let stored = self.admin.create(&pods, &pod).await.ok()?;
            stored["spec"]["schedulingGates"].is_array().then_some(())
        })
        .await;
        let editor = self.plane.caller("editor", None).await;
        wait_until("RBAC knows the editor", PATIENCE, async || editor.get(&pods).await.ok()).await;
    }

    /// Starts a replica of the controller under a name of its own in the election.
    pub(crate) async fn add_controller(&self, identity: &str) {
        let [probes, scans, pages] = free_ports();
        let archive = self.folder.join("archive");
        fs::create_dir_all(&archive).unwrap();
        let auditor = fs::read_to_string(self.folder.join(self.controller_policies).join("auditor.yaml"));
        let has_pages = auditor.is_ok_and(|auditor| auditor.contains("pages:"));
        let mut ports = vec![("probes", loopback(probes)), ("scans", loopback(scans))];
        ports.extend(has_pages.then(|| ("pages", loopback(pages))));
        let beside = Beside {
            name: &format!("controller-{identity}"),
            pod: identity,
            kubeconfig: self.plane.kubeconfig(CONTROLLER, None),
            volumes: &[("policies", self.folder.join(self.controller_policies)), ("archive", archive)],
            ports: &ports,
            folder: &self.folder,
        };
        let recipe = self.as_installed("flamewarden-controller", &beside).await;
        self.controllers.lock().await.push(Part::start(recipe));
    }

    /// Starts a program by the Deployment that is in the cluster.
    async fn as_installed(&self, deployment: &str, beside: &Beside<'_>) -> Recipe {
        let path = format!("/apis/apps/v1/namespaces/{SYSTEM}/deployments/{deployment}");
        as_printed(&self.admin.get(&path).await.unwrap(), beside)
    }

    /// Starts a replica, waits until it is ready, and adds it to the Service.
    pub(crate) async fn replica(&self, number: u16) -> Replica {
        self.replica_with(number, &program(), "policies", &[]).await
    }

    /// Puts policy files where replicas can be started with them.
    pub(crate) fn add_policies(&self, folder: &str, files: &[(String, String)]) {
        write_policies(&self.folder.join(folder), files);
    }

    /// Starts a replica of another program or with other policies.
    pub(crate) async fn replica_with(&self, number: u16, program: &Path, policies: &str, more: &[&str]) -> Replica {
        let certificates = self.folder.join("certificates");
        wait_until("the controller has made a certificate", PATIENCE, async || {
            fs::read(certificates.join("tls.crt")).ok()
        })
        .await;
        let [port, probes] = free_ports();
        let name = format!("webhook-{number}");
        let beside = Beside {
            name: &name,
            pod: &name,
            kubeconfig: self.plane.kubeconfig(WEBHOOK, None),
            volumes: &[("policies", self.folder.join(policies)), ("certificates", certificates)],
            ports: &[("https", own_address(port)), ("probes", loopback(probes))],
            folder: &self.folder,
        };
        let mut recipe = self.as_installed("flamewarden-webhook", &beside).await;
        program.clone_into(&mut recipe.program);
        recipe.arguments.extend(more.iter().map(|&one| one.to_owned()));
        let part = Part::start(recipe);
        let mut replica = Replica { part, number, probes, port };
        replica.ready().await;
        self.admin.create(SLICES, &replica.slice()).await.unwrap();
        replica
    }

    /// Says that a replica is on its way out, as the endpoint controller does when a pod is being deleted.
    pub(crate) async fn take_out(&self, replica: &Replica) {
        let endpoints = json!({"endpoints": [{"addresses": [own_address(0).ip().to_string()],
            "conditions": {"ready": false, "serving": true, "terminating": true}}]});
        self.admin.patch(&format!("{SLICES}/{}", replica.name()), PatchKind::Merge, &endpoints).await.unwrap();
    }

    /// Takes a replica's slice away, as when its pod is gone.
    pub(crate) async fn forget(&self, replica: &Replica) {
        self.admin.delete(&format!("{SLICES}/{}", replica.name()), None).await.unwrap();
    }

    /// Has the serving certificate made anew, and waits until these replicas serve it.
    pub(crate) async fn renew(&self, replicas: &[Replica]) {
        let taken = || replicas.iter().map(Replica::certificates).collect::<Vec<_>>();
        let before = taken();
        let secret = format!("/api/v1/namespaces/{SYSTEM}/secrets/flamewarden-webhook-tls");
        self.admin.delete(&secret, None).await.unwrap();
        wait_until("every replica serves a new certificate", PATIENCE, async || {
            taken().iter().zip(&before).all(|(now, before)| now > before).then_some(())
        })
        .await;
    }
}

impl Replica {
    /// Kills it, starts it again as it was, and tells how long it took from its start until it was ready.
    pub(crate) async fn killed(&mut self) -> Duration {
        self.part.signal("KILL");
        self.part.wait();
        let recipe = self.part.recipe().clone();
        let begun = Instant::now();
        self.part = Part::start(recipe);
        self.ready().await;
        begun.elapsed()
    }

    /// Waits until it says that it is ready.
    async fn ready(&mut self) {
        wait_until("the replica is ready", PATIENCE, async || {
            assert_eq!(self.part.ended(), None, "it ended by itself:\n{}", self.part.log_tail());
            (self.readiness().await? == *b"HTTP/1.1 200").then_some(())
        })
        .await;
    }

    /// Waits until it says that it is not ready any more.
    pub(crate) async fn unready(&self) {
        wait_until("the replica is not ready", PATIENCE, async || {
            (self.readiness().await? == *b"HTTP/1.1 503").then_some(())
        })
        .await;
    }

    async fn readiness(&self) -> Option<[u8; 12]> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.probes)).await.ok()?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.ok()?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.ok()?;
        Some(answer)
    }

    /// How many certificates it has taken so far.
    pub(crate) fn certificates(&self) -> usize {
        fs::read_to_string(&self.part.recipe().log).unwrap().matches("certificate in force").count()
    }

    fn name(&self) -> String {
        format!("webhook-{}", self.number)
    }

    /// All replicas have one address, and each has its own port; so each has its own slice.
    fn slice(&self) -> Value {
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": self.name(), "labels": {"kubernetes.io/service-name": "flamewarden-webhook"}},
            "ports": [{"name": "https", "port": self.port, "protocol": "TCP"}],
            "endpoints": [{"addresses": [own_address(0).ip().to_string()], "conditions": {"ready": true}}],
        })
    }
}

/// The address of this machine towards others: endpoints may not be loopback addresses.
fn own_address(port: u16) -> SocketAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // Chooses a route and sends nothing; the address is one of those for documentation.
    socket.connect("198.51.100.1:9").expect("this machine has no address but loopback ones");
    SocketAddr::new(socket.local_addr().unwrap().ip(), port)
}

/// What a command printed; it must have succeeded.
fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An image by a digest of the same digit throughout.
pub(crate) fn image(digit: char) -> String {
    format!("registry.example/flamewarden@sha256:{}", digit.to_string().repeat(64))
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

const PRINTED: &str = "flamewarden.yaml";
pub(crate) const SYSTEM: &str = "flamewarden-system";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/flamewarden-system/endpointslices";
