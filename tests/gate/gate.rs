//! Flamewarden with its gate shut: a registry, a database, a webhook and a controller that scans by child processes.

use std::fs;
use std::path::{Path, PathBuf};

use flamewarden::install::{Certificates, Endpoint, Settings, manifests};
use flamewarden::policy::PolicySet;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::advisories::advisories;
use crate::caller::Refusal;
use crate::control_plane::free_ports;
use crate::flamewarden::{
    CONTROLLER, answers, apply, certificates, controller_recipe, settled, webhook_recipe, write_policies,
};
use crate::grype::{database, programs};
use crate::image::Image;
use crate::part::Part;
use crate::registry::Registry;
use crate::samples::{RELEASE, openssl};
use crate::shared::{Cluster, PATIENCE, cluster, wait_until};

/// The installation.
pub(crate) struct Gate {
    pub(crate) cluster: &'static Cluster,
    pub(crate) registry: Registry,
    pub(crate) webhook: Part,
    pub(crate) controller: Part,
    folder: PathBuf,
    _databases: TempDir,
}

/// The guarded namespaces; a test takes one for itself.
pub(crate) const NAMESPACES: [&str; 8] =
    ["gate-a", "gate-b", "gate-c", "gate-d", "gate-e", "gate-f", "gate-g", "gate-h"];
/// Who makes gateways and has images scanned.
pub(crate) const CREATOR: &str = "system:serviceaccount:gate-a:flame-po";

/// The gate that tests share.
pub(crate) async fn gate() -> &'static Gate {
    static GATE: OnceCell<Gate> = OnceCell::const_new();
    GATE.get_or_init(Gate::start).await
}

impl Gate {
    async fn start() -> Gate {
        let cluster = cluster().await;
        let registry = Registry::start().await;
        let databases = database(&advisories(SignedDuration::from_hours(1)));
        let folder = cluster.plane.folder().join("gate");
        let files = policy_files(&registry.host);
        write_policies(&folder.join("policies"), &files);
        for namespace in NAMESPACES {
            cluster.namespace_named(namespace).await;
        }
        let ca = certificates(&folder.join("certificates"));
        let ports = free_ports();
        let endpoint = Endpoint::Url { base: format!("https://127.0.0.1:{}", ports[0]), ca_bundle: ca };
        let (configurations, rest): (Vec<Value>, Vec<Value>) = printed(&files, endpoint)
            .into_iter()
            .partition(|object| object["kind"].as_str().unwrap().ends_with("WebhookConfiguration"));
        apply(cluster, &rest).await;
        let mut webhook = Part::start(webhook_recipe(cluster, &folder, ports));
        let controller = Part::start(scanning(cluster, &folder, databases.path()));
        answers(&mut webhook, ports[1]).await;
        apply(cluster, &configurations).await;
        settled(&cluster.admin).await;
        Gate { cluster, registry, webhook, controller, folder, _databases: databases }
    }

    /// Pushes Debian with this version of OpenSSL; before 3.0.12-1 it has a critical hole with a fix.
    pub(crate) async fn debian(&self, repository: &str, version: &str) -> String {
        let list = openssl(version);
        let image = Image::of("linux/amd64", &[RELEASE, ("var/lib/dpkg/status", &list)]);
        self.registry.push(&format!("node/{repository}"), &image).await
    }

    /// What is stored of an image's scan, once it is as a test wants it.
    pub(crate) async fn scan<T>(&self, image: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        self.cluster.read(&path(image), wanted).await
    }

    /// Waits until an image's verdict is this one, under every limits.
    pub(crate) async fn judged(&self, image: &str, outcome: &str) -> Value {
        self.scan(image, |scan| {
            let verdicts = scan["status"]["verdicts"].as_array()?;
            let all = verdicts.iter().all(|verdict| verdict["outcome"] == *outcome);
            (!verdicts.is_empty() && all).then(|| scan.clone())
        })
        .await
    }

    /// Makes an analysis's pod.
    pub(crate) async fn pod(&self, namespace: &str, id: &str, image: &str) -> Result<Value, Refusal> {
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        self.cluster.admin.create(&path, &analysis(id, image)).await
    }

    /// Makes an analysis's Deployment.
    pub(crate) async fn deployment(&self, namespace: &str, id: &str, image: &str) -> Result<Value, Refusal> {
        let pod = analysis(id, image);
        let labels = pod["metadata"]["labels"].clone();
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("analysis-{id}")},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod["spec"]}},
        });
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
        self.cluster.admin.create(&path, &deployment).await
    }

    /// Waits until an analysis has a pod that runs, and gives it.
    pub(crate) async fn runs(&self, namespace: &str, id: &str) -> Value {
        let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector=app%3Danalysis-{id}");
        let runs =
            |list: &Value| list["items"].as_array()?.iter().find(|pod| pod["status"]["phase"] == "Running").cloned();
        self.cluster.read(&path, runs).await
    }

    /// Waits until the controller has logged a line with both texts.
    pub(crate) async fn logged(&self, one: &str, other: &str) {
        wait_until(&format!("the controller logs {one} … {other}"), PATIENCE, async || {
            let log = fs::read_to_string(&self.controller.recipe().log).unwrap();
            log.lines().any(|line| line.contains(one) && line.contains(other)).then_some(())
        })
        .await;
    }
}

/// An analysis's pod.
pub(crate) fn analysis(id: &str, image: &str) -> Value {
    let app = format!("analysis-{id}");
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": app, "labels": {"component": "flame-analysis", "app": app}},
        "spec": {"containers": [{"name": app, "image": image}]},
    })
}

/// Where the scan of an image is stored that is named by digest.
pub(crate) fn path(image: &str) -> String {
    let digits = image.split_once("@sha256:").expect("a digest").1;
    format!("/apis/flamewarden.dev/v1alpha1/imagescans/sha256-{digits}")
}

/// The controller, with Grype.
fn scanning(cluster: &Cluster, folder: &Path, databases: &Path) -> crate::part::Recipe {
    let mut recipe = controller_recipe(cluster, folder, "policies", "gate");
    recipe.arguments.extend([
        format!("--grype={}", programs().join("grype").display()),
        format!("--grype-database={}", databases.display()),
        format!("--scan-folder={}", folder.join("scans").display()),
    ]);
    recipe
}

/// The shipped profiles with verdicts asked for, and an installation with that registry.
fn policy_files(registry: &str) -> Vec<(String, String)> {
    let shipped = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name));
    let asking = |name: &str| {
        let text = shipped(name).unwrap();
        if text.contains("verdict: required") { text } else { text + "  scan:\n    verdict: required\n" }
    };
    let namespaces = NAMESPACES.map(|name| format!("{{name: {name}, tenancy: shared}}")).join(", ");
    let installation = format!(
        "apiVersion: flamewarden.dev/v1alpha1\nkind: Installation\nspec:\n  namespaces: [{namespaces}]\n\
         \x20 analysisRegistries: ['{registry}/node']\n  gatewayImages: ['{registry}/gateways/']\n\
         \x20 creators: ['{CREATOR}']\n---\n\
         apiVersion: flamewarden.dev/v1alpha1\nkind: Scanner\nspec:\n  insecureRegistries: ['{registry}']\n\
         \x20 timeoutSeconds: 60\n  administrators: [security]\n"
    );
    vec![
        ("flame-analysis.yaml".to_owned(), asking("flame-analysis.yaml")),
        ("flame-gateway.yaml".to_owned(), asking("flame-gateway.yaml")),
        ("installation.yaml".to_owned(), installation),
    ]
}

fn printed(files: &[(String, String)], endpoint: Endpoint) -> Vec<Value> {
    let policies = PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap();
    let settings = Settings {
        namespace: "flamewarden-system".to_owned(),
        image: format!("registry.example/flamewarden@sha256:{}", "0".repeat(64)),
        certificates: Certificates::Own,
        endpoint,
        files: files.iter().cloned().collect(),
    };
    manifests(&settings, &policies)
}

/// The user that Flamewarden's controller is.
pub(crate) const WRITER: &str = CONTROLLER;
