//! A cluster of its own with Flamewarden installed, for tests that stop, change or remove what others rely on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use flamewarden::install::{Certificates, Endpoint, Settings, manifests};
use flamewarden::policy::PolicySet;
use serde_json::Value;

use crate::caller::PatchKind;
use crate::control_plane::{ControlPlane, free_ports};
use crate::flamewarden::{
    DEDICATED, SHARED, answers, apply, controller_recipe, policy_files, prepare, settled, webhook_recipe,
    write_policies,
};
use crate::kubelet::Kubelet;
use crate::part::Part;
use crate::scanned::scanned;
use crate::shared::{Cluster, PATIENCE, wait_until};

/// The installation. Its fields are dropped in order: the programs before the cluster.
pub(crate) struct Lab {
    /// None while no webhook answers.
    pub(crate) webhook: Option<Part>,
    /// Every replica of the controller.
    pub(crate) controllers: Vec<Part>,
    pub(crate) cluster: Cluster,
    folder: PathBuf,
}

/// The guarded namespaces of every such cluster, both shared with other software.
pub(crate) const GUARDED: [&str; 2] = ["flame", "flame-try"];

impl Lab {
    /// Starts the cluster and installs one webhook and one controller.
    pub(crate) async fn start() -> Lab {
        let plane = ControlPlane::start().await;
        let admin = plane.admin().await;
        let kubelet = Kubelet::start(&plane, "node-1").await;
        let cluster = Cluster { plane, admin, kubelet };
        let folder = cluster.plane.folder().join("flamewarden");
        let prepared = prepare(&cluster, &folder, &unguarded()).await;
        apply(&cluster, &prepared.rest).await;
        scanned(&cluster.plane, &prepared.files).await;
        let mut webhook = Part::start(webhook_recipe(&cluster, &folder, prepared.ports));
        answers(&mut webhook, prepared.ports[1]).await;
        apply(&cluster, &prepared.configurations).await;
        settled(&cluster.admin).await;
        let mut lab = Lab { webhook: Some(webhook), controllers: Vec::new(), cluster, folder };
        lab.add_controller("first");
        lab
    }

    /// Starts another replica of the controller.
    pub(crate) fn add_controller(&mut self, identity: &str) {
        self.controllers.push(Part::start(controller_recipe(&self.cluster, &self.folder, "policies", identity)));
    }

    /// Starts another webhook, with policies and a name of its own; gives where it listens.
    pub(crate) async fn add_webhook(&self, name: &str, files: &[(String, String)]) -> (Part, String) {
        let (folder, ports) = (self.folder.join(name), free_ports());
        write_policies(&folder.join("policies"), files);
        symlink(self.folder.join("certificates"), folder.join("certificates")).unwrap();
        let mut webhook = Part::start(webhook_recipe(&self.cluster, &folder, ports));
        answers(&mut webhook, ports[1]).await;
        (webhook, format!("https://127.0.0.1:{}", ports[0]))
    }

    /// Has the first replica of the controller reach the API server by this kubeconfig from now on.
    pub(crate) fn lead_controller_by(&mut self, kubeconfig: &Path) {
        let controller = self.controllers.remove(0);
        self.controllers.insert(0, started_by(controller, "TERM", kubeconfig));
    }

    /// The same for the webhook, which is killed, since it would go on for a while.
    pub(crate) fn answer_calls_by(&mut self, kubeconfig: &Path) {
        let webhook = self.webhook.take().expect("a webhook");
        self.webhook = Some(started_by(webhook, "KILL", kubeconfig));
    }

    /// Guards one more of the tests' namespaces, as README says: the manifests are printed and applied again, and the
    /// policies change, which every program takes without a restart.
    pub(crate) async fn guard_also(&self, namespace: &str) {
        let files = policy_files(&unguarded().into_iter().filter(|name| *name != namespace).collect::<Vec<_>>());
        self.install_again(&files).await;
    }

    /// Prints these policies and applies what is printed, and puts them in force.
    pub(crate) async fn install_again(&self, files: &[(String, String)]) {
        let policies = PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap();
        let certificate = fs::read(self.folder.join("certificates/ca.crt")).unwrap();
        let webhook = &self.webhook.as_ref().expect("a webhook").recipe().arguments;
        let listen = webhook.iter().find_map(|argument| argument.strip_prefix("--listen=")).unwrap();
        let settings = Settings {
            namespace: "flamewarden-system".to_owned(),
            image: format!("registry.example/flamewarden@sha256:{}", "0".repeat(64)),
            certificates: Certificates::Own,
            endpoint: Endpoint::Url { base: format!("https://{listen}"), ca_bundle: STANDARD.encode(certificate) },
            files: files.iter().cloned().collect(),
        };
        for object in manifests(&settings, &policies) {
            if let Some(path) = crate::flamewarden::collection(&object) {
                let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
                self.cluster.admin.patch(&path, PatchKind::Apply, &object).await.unwrap();
            }
        }
        settled(&self.cluster.admin).await;
        self.put_in_force(files).await;
    }

    /// Changes the text of the analyses' profile, and waits until every program has taken it without a restart.
    pub(crate) async fn change_profile(&self, changes: &[(&str, &str)]) {
        let mut files = policy_files(&unguarded());
        for (from, to) in changes {
            assert!(files[0].1.contains(from), "the profile says {from}");
            files[0].1 = files[0].1.replace(from, to);
        }
        self.put_in_force(&files).await;
    }

    async fn put_in_force(&self, files: &[(String, String)]) {
        let changes = |part: &Part| log(part).matches("changed policies in force").count();
        let parts: Vec<(&Part, usize)> =
            self.webhook.iter().chain(&self.controllers).map(|part| (part, changes(part))).collect();
        write_policies(&self.folder.join("policies"), files);
        for (part, before) in parts {
            wait_until("the changed policies are in force", PATIENCE, async || (changes(part) > before).then_some(()))
                .await;
        }
    }

    /// Creates a namespaced object where its kind belongs.
    pub(crate) async fn create(&self, namespace: &str, object: &Value) -> Value {
        let path = collection(namespace, object["kind"].as_str().unwrap());
        self.cluster.admin.create(&path, object).await.unwrap_or_else(|refusal| panic!("{path}: {}", refusal.message))
    }

    /// Waits until an `app` has as many pods as said, all bound and running; gives their names.
    pub(crate) async fn running(&self, namespace: &str, app: &str, count: usize) -> Vec<String> {
        let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{app}");
        let names = self.cluster.read(&path, |list| {
            let pods = list["items"].as_array()?;
            let runs =
                |pod: &&Value| pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null();
            let names = pods.iter().filter(runs).map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned());
            let names: Vec<String> = names.collect();
            (names.len() == count && pods.len() == count).then_some(names)
        });
        names.await
    }
}

fn started_by(mut part: Part, signal: &str, kubeconfig: &Path) -> Part {
    part.signal(signal);
    part.wait();
    let mut recipe = part.recipe().clone();
    let told = recipe.environment.iter_mut().find(|(name, _)| name == "KUBECONFIG").unwrap();
    told.1 = kubeconfig.display().to_string();
    Part::start(recipe)
}

/// The collection of a kind in a namespace.
pub(crate) fn collection(namespace: &str, kind: &str) -> String {
    let group = match kind {
        "Deployment" => "/apis/apps/v1",
        "Job" => "/apis/batch/v1",
        "NetworkPolicy" => return format!("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"),
        _ => "/api/v1",
    };
    format!("{group}/namespaces/{namespace}/{}s", kind.to_lowercase())
}

/// All that a program has said.
pub(crate) fn log(part: &Part) -> String {
    fs::read_to_string(&part.recipe().log).unwrap()
}

/// The namespaces that the installation of such a cluster leaves out.
pub(crate) fn unguarded() -> Vec<&'static str> {
    SHARED.iter().chain(DEDICATED).filter(|name| !GUARDED.contains(name)).copied().collect()
}

#[expect(clippy::print_stderr, reason = "what the programs said is gone with the cluster's folder otherwise")]
impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self
                .webhook
                .iter()
                .chain(&self.controllers)
                .map(|part| format!("{}:\n{}", part.recipe().name, part.log_tail()));
            eprintln!("{}", said.collect::<Vec<_>>().join("\n"));
        }
    }
}
