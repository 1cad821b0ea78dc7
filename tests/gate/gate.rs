//! Flamewarden with its gate shut: a registry, a database, a webhook and a controller that scans by child processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flamewarden::policy::FieldNames;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Mutex, OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::advisories::advisories;
use crate::caller::Refusal;
use crate::control_plane::free_ports;
use crate::flamewarden::realm::Realm;
use crate::flamewarden::{
    CONTROLLER, GATEWAY_IMAGE, MADE, answers, apply, controller_recipe, orchestrator, prepare_with, settled,
    webhook_recipe, with_api, write_policies,
};
use crate::grype::{database, programs};
use crate::hub::{CLIENT, Hub, SECRET};
use crate::image::Image;
use crate::node::services;
use crate::part::{Part, Recipe};
use crate::registry::{Access, Registry};
use crate::samples::{RELEASE, openssl};
use crate::shared::{Cluster, PATIENCE, cluster, wait_until};

/// The installation.
pub(crate) struct Gate {
    pub(crate) cluster: &'static Cluster,
    pub(crate) registry: Registry,
    /// One for those who have its password.
    pub(crate) private: Registry,
    /// One with TLS, by an authority that nobody knows.
    pub(crate) secure: Registry,
    /// What gateways run, by its digest.
    pub(crate) gateway: String,
    /// Where the REST API is answered.
    pub(crate) api: String,
    /// The Hub that is asked where a profile says so.
    pub(crate) hub: Hub,
    pub(crate) webhook: Part,
    pub(crate) controller: Mutex<Part>,
    /// What the controller logs.
    log: PathBuf,
    /// The controller's archive.
    pub(crate) archive: PathBuf,
    folder: PathBuf,
    databases: TempDir,
    /// What the section `scan` says more than usual.
    turn: RwLock<String>,
}

/// The guarded namespaces; a test takes one for itself.
pub(crate) const NAMESPACES: [&str; 10] =
    ["gate-a", "gate-b", "gate-c", "gate-d", "gate-e", "gate-f", "gate-g", "gate-h", FLAME, MADE];
/// A version of OpenSSL that none of the tests' databases knows a hole in.
pub(crate) const SOUND: &str = "3.0.13-1";
/// Where FLAME's own orchestrator makes analyses.
pub(crate) const FLAME: &str = "gate-flame";
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
        // What this leaves behind at the end goes with the cluster's folder.
        let _ = tempfile::env::override_temp_dir(cluster.plane.folder());
        let (registry, private) = (Registry::start().await, Registry::with(Access::Private).await);
        let secure = Registry::with_tls().await;
        let databases = database(&advisories(SignedDuration::from_hours(1)));
        let folder = cluster.plane.folder().join("gate");
        let gateway = registry.push("gateways/nginx", &debian("gateways/nginx", SOUND)).await;
        let files = policy_files([&registry, &private, &secure], &gateway);
        for namespace in NAMESPACES {
            cluster.namespace_named(namespace).await;
        }
        let prepared = prepare_with(&folder, files);
        apply(cluster, &prepared.rest).await;
        let mut webhook = Part::start(webhook_recipe(cluster, &folder, prepared.ports));
        services(cluster, MADE).await;
        let [api] = free_ports();
        let controller = Part::start(scanning(cluster, &folder, databases.path(), api));
        answers(&mut webhook, prepared.ports[1]).await;
        apply(cluster, &prepared.configurations).await;
        settled(&cluster.admin).await;
        let (log, controller, turn) = (controller.recipe().log.clone(), Mutex::new(controller), RwLock::default());
        let (api, archive) = (format!("http://127.0.0.1:{api}"), folder.join("archive-gate/archive.db"));
        let hub = Hub::start(FieldNames::Camel).await;
        Gate {
            cluster,
            registry,
            private,
            secure,
            gateway,
            api,
            hub,
            webhook,
            controller,
            log,
            archive,
            folder,
            databases,
            turn,
        }
    }

    /// For tests that are content with the policies as they are installed.
    pub(crate) async fn unchanged(&self) -> RwLockReadGuard<'_, String> {
        loop {
            let turn = self.turn.read().await;
            if turn.is_empty() {
                return turn;
            }
            // A test that has failed left them.
            drop(turn);
            drop(self.changed("").await);
        }
    }

    /// For tests that want all to themselves: with this in the section `scan` of both profiles.
    pub(crate) async fn changed(&self, scan: &str) -> RwLockWriteGuard<'_, String> {
        let mut turn = self.turn.write().await;
        for file in ["wait", "other"] {
            let _ = fs::remove_file(self.databases.path().join(file));
        }
        if *turn != scan {
            scan.clone_into(&mut turn);
            self.put_in_force(scan).await;
        }
        turn
    }

    async fn put_in_force(&self, scan: &str) {
        let logs = [&self.webhook.recipe().log, &self.log];
        let changes = |log: &PathBuf| fs::read_to_string(log).unwrap().matches("changed policies in force").count();
        let before = logs.map(changes);
        let mut files = policy_files([&self.registry, &self.private, &self.secure], &self.gateway);
        // What is more than the section `scan` is said of analyses alone.
        let profiles = if scan.starts_with("    ") { 2 } else { 1 };
        for (_, text) in &mut files[..profiles] {
            *text = text.replace("    verdict: required\n", &format!("    verdict: required\n{scan}"));
        }
        if scan.contains("contentHash") {
            let hub = self.hub.address.as_str();
            let section = format!("  hub: {{core: '{hub}', auth: '{hub}', client: {CLIENT}}}\n");
            files
                .iter_mut()
                .filter(|(name, _)| name == "orchestrator.yaml")
                .for_each(|(_, text)| text.push_str(&section));
        }
        write_policies(&self.policies(), &files);
        for (log, before) in logs.into_iter().zip(before) {
            wait_until("the changed policies are in force", PATIENCE, async || (changes(log) > before).then_some(()))
                .await;
        }
    }

    /// Keeps Grype from beginning until the file that is given is gone.
    pub(crate) fn grype_waits(&self) -> PathBuf {
        let file = self.databases.path().join("wait");
        fs::write(&file, "").unwrap();
        file
    }

    /// Has Grype scan this image whatever it is asked for, until the file that is given is gone.
    pub(crate) fn grype_scans_only(&self, image: &str) -> PathBuf {
        let file = self.databases.path().join("other");
        fs::write(&file, image).unwrap();
        file
    }

    /// Where the policies stand.
    pub(crate) fn policies(&self) -> PathBuf {
        self.folder.join("policies")
    }

    /// Where Grype's database is.
    pub(crate) fn databases(&self) -> &Path {
        self.databases.path()
    }

    /// Replaces the database by one with other advisories.
    pub(crate) fn know(&self, advisories: &Value) {
        let newer = database(advisories);
        let (from, to) = (newer.path().join("6"), self.databases.path().join("6"));
        for file in fs::read_dir(&from).unwrap() {
            let file = file.unwrap();
            let beside = to.join("newer");
            fs::copy(file.path(), &beside).unwrap();
            fs::rename(beside, to.join(file.file_name())).unwrap();
        }
    }

    /// Kills the controller as a node that fails does, and starts it again.
    pub(crate) async fn kill_controller(&self) {
        let mut controller = self.controller.lock().await;
        controller.signal("KILL");
        controller.wait();
        let recipe = controller.recipe().clone();
        *controller = Part::start(recipe);
    }

    /// Pushes Debian with this version of OpenSSL; before 3.0.12-1 it has a critical hole with a fix.
    pub(crate) async fn debian(&self, repository: &str, version: &str) -> String {
        self.registry.push(&format!("node/{repository}"), &debian(repository, version)).await
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

    /// Pushes Debian with this version of OpenSSL under a tag, from which it takes another's away.
    pub(crate) async fn tagged(&self, repository: &str, tag: &str, version: &str) -> (String, String) {
        let image = debian(repository, version);
        let by_digest = self.registry.push(&format!("node/{repository}"), &image).await;
        (self.registry.tag(&format!("node/{repository}"), tag, &image.manifest).await, by_digest)
    }

    /// Makes an analysis's pod.
    pub(crate) async fn pod(&self, namespace: &str, id: &str, image: &str) -> Result<Value, Refusal> {
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        self.cluster.admin.create(&path, &analysis(id, image)).await
    }

    /// Waits until an analysis's pod is let in: the webhook hears of a verdict a moment after it is stored.
    pub(crate) async fn admitted(&self, namespace: &str, id: &str, image: &str) -> Value {
        wait_until(&format!("{image} is let in"), PATIENCE, async || self.pod(namespace, id, image).await.ok()).await
    }

    /// Waits until an analysis's pod is refused for this; gives the whole message.
    pub(crate) async fn refused(&self, namespace: &str, id: &str, image: &str, told: &str) -> String {
        wait_until(&format!("{image} is refused: {told}"), PATIENCE, async || {
            let refused = self.pod(namespace, id, image).await.err()?;
            refused.message.contains(told).then_some(refused.message)
        })
        .await
    }

    /// Makes an analysis's Deployment.
    pub(crate) async fn deployment(&self, namespace: &str, id: &str, image: &str) -> Result<Value, Refusal> {
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
        self.cluster.admin.create(&path, &deployment(id, image)).await
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
        let what = format!("the controller logs {one} … {other}");
        wait_until(&what, PATIENCE, async || self.has_logged(one, other).then_some(())).await;
    }

    /// Whether the controller has logged a line with both texts.
    pub(crate) fn has_logged(&self, one: &str, other: &str) -> bool {
        let log = fs::read_to_string(&self.log).unwrap();
        log.lines().any(|line| line.contains(one) && line.contains(other))
    }
}

/// No other repository has the same bytes, which would be scanned already.
pub(crate) fn debian(repository: &str, version: &str) -> Image {
    debian_for("linux/amd64", repository, version)
}

/// The same for another platform.
pub(crate) fn debian_for(platform: &str, repository: &str, version: &str) -> Image {
    let list = openssl(version);
    Image::of(platform, &[RELEASE, ("var/lib/dpkg/status", &list), ("etc/motd", repository)])
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

/// Its Deployment.
pub(crate) fn deployment(id: &str, image: &str) -> Value {
    let pod = analysis(id, image);
    let labels = pod["metadata"]["labels"].clone();
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("analysis-{id}")},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod["spec"]}},
    })
}

/// Where the scan of an image is stored that is named by digest.
pub(crate) fn path(image: &str) -> String {
    let digits = image.split_once("@sha256:").expect("a digest").1;
    format!("/apis/flamewarden.dev/v1alpha1/imagescans/sha256-{digits}")
}

/// The controller, with Grype and the REST API.
fn scanning(cluster: &Cluster, folder: &Path, databases: &Path, api: u16) -> Recipe {
    let mut recipe = controller_recipe(cluster, folder, "policies", "gate");
    // Beside the databases, which Grype may read: that and little else.
    let (real, grype) = (databases.join("grype"), databases.join("grype.sh"));
    fs::copy(programs().join("grype"), &real).unwrap();
    let place = databases.display();
    let script = format!(
        "#!/bin/sh\nwhile [ -e {place}/wait ]; do sleep 0.1; done\n\
         if [ -e {place}/other ]; then shift; read -r other < {place}/other; set -- \"registry:$other\" \"$@\"; fi\n\
         exec {} \"$@\"\n",
        real.display()
    );
    fs::write(&grype, script).unwrap();
    for program in [&real, &grype] {
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let secret = folder.join("hub-secret");
    fs::write(&secret, SECRET).unwrap();
    recipe.arguments.extend([
        format!("--api=127.0.0.1:{api}"),
        format!("--hub-secret={}", secret.display()),
        format!("--grype={}", grype.display()),
        format!("--grype-database={}", databases.display()),
        format!("--scan-folder={}", folder.join("scans").display()),
    ]);
    recipe
}

/// The shipped profiles, an installation with those registries, and how analyses are made with that gateway.
fn policy_files(registries: [&Registry; 3], gateway: &str) -> Vec<(String, String)> {
    let [registry, private, secure] = registries.map(|registry| registry.host.as_str());
    let authorities = json!(registries[2].authority);
    let shipped = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name));
    let namespaces = NAMESPACES.map(|name| format!("{{name: {name}, tenancy: shared}}")).join(", ");
    let installation = format!(
        "apiVersion: flamewarden.dev/v1alpha1\nkind: Installation\nspec:\n  namespaces: [{namespaces}]\n\
         \x20 analysisRegistries: ['{registry}/node', '{private}/node', '{secure}/node']\n  gatewayImages: ['{registry}/gateways/']\n\
         \x20 creators: ['{CREATOR}', 'system:serviceaccount:{FLAME}:flame-po']\n---\n\
         apiVersion: flamewarden.dev/v1alpha1\nkind: Scanner\nspec:\n  insecureRegistries: ['{registry}', '{private}']\n\
         \x20 registries: [{{host: '{secure}', authorities: {authorities}}}]\n\
         \x20 timeoutSeconds: 60\n  tagSeconds: 6\n  administrators: [security]\n"
    );
    let files = vec![
        ("flame-analysis.yaml".to_owned(), shipped("flame-analysis.yaml").unwrap()),
        ("flame-gateway.yaml".to_owned(), shipped("flame-gateway.yaml").unwrap()),
        ("installation.yaml".to_owned(), installation),
        ("orchestrator.yaml".to_owned(), orchestrator().replace(GATEWAY_IMAGE, gateway)),
    ];
    with_api(files, &Realm::of_tests())
}

/// The user that Flamewarden's controller is.
pub(crate) const WRITER: &str = CONTROLLER;
