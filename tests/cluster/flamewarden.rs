//! The real flamewarden program beside the test cluster, registered as its webhook by address.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::{Engine, engine::general_purpose::STANDARD};
use flamewarden::install::{Certificates, Endpoint, Settings, manifests};
use flamewarden::policy::PolicySet;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::caller::Caller;
use crate::control_plane::free_ports;
use crate::part::{Part, Recipe, write_file};
use crate::scanned::scanned;
use crate::shared::{Cluster, PATIENCE, cluster, wait_until};

#[path = "flamewarden/printed.rs"]
mod printed;
#[path = "flamewarden/realm.rs"]
pub(crate) mod realm;

pub(crate) use printed::{Beside, as_printed};
use realm::Realm;

/// The shared cluster with Flamewarden installed.
pub(crate) struct Guarded {
    pub(crate) cluster: &'static Cluster,
    /// May do everything in the guarded namespaces that RBAC can allow there, so that RBAC never answers for us.
    pub(crate) editor: Caller,
    pub(crate) webhook: Part,
    controller: Part,
    /// Where the REST API is answered.
    pub(crate) api: String,
}

/// The realm whose tokens the REST API accepts.
pub(crate) struct RealmSettings {
    /// Where its Keycloak is.
    pub(crate) keycloak: String,
    /// The file with the secret of the client that makes analyses' clients, where they get any.
    pub(crate) secret: Option<PathBuf>,
}

/// Namespaces that the installation guards, shared with other software. A test takes one for itself.
pub(crate) const SHARED: &[&str] = &[
    "flame",
    "flame-attacks",
    "flame-bulk",
    CRASH,
    "flame-decisions",
    "flame-foreign",
    MADE,
    "flame-replay",
    "flame-try",
];
/// Namespaces that the installation guards and that hold nothing but analyses.
pub(crate) const DEDICATED: &[&str] = &["analyses", "analyses-attacks"];
/// Where orchestrators of a test's own make analyses, and break off.
pub(crate) const CRASH: &str = "flame-crash";
/// Where Flamewarden itself makes analyses, next to the node's other services.
pub(crate) const MADE: &str = "flame-made";
/// The gateway's image of Flamewarden's own analyses.
pub(crate) const GATEWAY_IMAGE: &str =
    "registry.example/nginx-unprivileged@sha256:1111111111111111111111111111111111111111111111111111111111111111";
/// An analysis in `flame-decisions` from before the installation.
pub(crate) const BEFORE: &str = "before";
/// Guarded namespaces that the controller does not look after: there an attack has all the time that it wants
/// between a pod's creation and the lifting of its gate.
const UNATTENDED: &[&str] = &["flame-attacks", "analyses-attacks"];

/// The shared cluster with Flamewarden, installed by the first test that asks.
pub(crate) async fn guarded() -> &'static Guarded {
    static GUARDED: OnceCell<Guarded> = OnceCell::const_new();
    GUARDED.get_or_init(async || install(cluster().await, &Realm::of_tests(), &More::default()).await).await
}

/// What the controller has besides.
#[derive(Default)]
pub(crate) struct More {
    /// Policy files with their names.
    pub(crate) policies: Vec<(String, String)>,
    pub(crate) arguments: Vec<String>,
}

/// Installs Flamewarden with a REST API that accepts the tokens of that realm.
pub(crate) async fn install(cluster: &'static Cluster, realm: &RealmSettings, more: &More) -> Guarded {
    let folder = cluster.plane.folder().join("flamewarden");
    let prepared = prepare_for(cluster, &folder, &[], Some(realm)).await;
    write_policies(
        &folder.join("controller-policies"),
        &[with_api(policy_files(UNATTENDED), realm), more.policies.clone()].concat(),
    );
    for namespace in SHARED.iter().chain(DEDICATED) {
        let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings");
        for role in ["edit", ATTACKER] {
            cluster.admin.create(&bindings, &binding(role)).await.unwrap();
        }
    }
    for (path, object) in
        [("clusterroles", attacker()), ("clusterroles", of_scans()), ("clusterrolebindings", everywhere())]
    {
        cluster.admin.create(&format!("/apis/rbac.authorization.k8s.io/v1/{path}"), &object).await.unwrap();
    }
    cluster.admin.create("/apis/node.k8s.io/v1/runtimeclasses", &weaker_runtime()).await.unwrap();
    apply(cluster, &prepared.rest).await;
    scanned(&cluster.plane, &prepared.files).await;
    share_authority(cluster, &folder.join("certificates")).await;
    let mut before = good_analysis(BEFORE);
    before["metadata"]["name"] = json!(BEFORE);
    cluster.admin.create("/api/v1/namespaces/flame-decisions/pods", &before).await.unwrap();
    let mut webhook = Part::start(webhook_recipe(cluster, &folder, prepared.ports));
    let mut recipe = controller_recipe(cluster, &folder, "controller-policies", "controller");
    // The API server takes no loopback address as an endpoint of a Service.
    recipe.arguments.push(format!("--webhook-address=127.0.0.1:{}", prepared.ports[0]));
    let [api] = free_ports();
    recipe.arguments.push(format!("--api=127.0.0.1:{api}"));
    recipe.arguments.extend_from_slice(&more.arguments);
    recipe.arguments.extend(realm.secret.iter().map(|file| format!("--keycloak-secret={}", file.display())));
    let controller = Part::start(recipe);
    let editor = cluster.plane.caller("editor", None).await;
    answers(&mut webhook, prepared.ports[1]).await;
    apply(cluster, &prepared.configurations).await;
    let api = format!("http://127.0.0.1:{api}");
    let guarded = Guarded { cluster, editor, webhook, controller, api };
    guarded.settled().await;
    guarded
}

/// Gives the controller the authority that the webhook's certificate is of; by default it would make one of its own.
async fn share_authority(cluster: &Cluster, certificates: &Path) {
    let text = |file: &str| STANDARD.encode(fs::read(certificates.join(file)).unwrap());
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "flamewarden-authority"},
        "data": {"tls.crt": text("ca.crt"), "tls.key": text("ca.key")},
    });
    cluster.admin.create("/api/v1/namespaces/flamewarden-system/secrets", &secret).await.unwrap();
}

/// What an installation puts into a cluster, and where its webhook and its probes listen.
pub(crate) struct Prepared {
    pub(crate) files: Vec<(String, String)>,
    pub(crate) configurations: Vec<Value>,
    pub(crate) rest: Vec<Value>,
    pub(crate) ports: [u16; 2],
}

/// Makes policy files, certificates and the guarded namespaces but some; puts nothing else into the cluster yet.
pub(crate) async fn prepare(cluster: &Cluster, folder: &Path, but: &[&str]) -> Prepared {
    prepare_for(cluster, folder, but, None).await
}

/// The same for an installation with a REST API.
async fn prepare_for(cluster: &Cluster, folder: &Path, but: &[&str], realm: Option<&RealmSettings>) -> Prepared {
    let files = realm.map_or_else(|| policy_files(but), |realm| with_api(policy_files(but), realm));
    for namespace in SHARED.iter().chain(DEDICATED).filter(|name| !but.contains(name)) {
        cluster.namespace_named(namespace).await;
    }
    prepare_with(folder, files)
}

/// The same for these policies; makes no namespaces.
pub(crate) fn prepare_with(folder: &Path, files: Vec<(String, String)>) -> Prepared {
    write_policies(&folder.join("policies"), &files);
    let ca = certificates(&folder.join("certificates"));
    let ports = free_ports();
    let endpoint = Endpoint::Url { base: format!("https://127.0.0.1:{}", ports[0]), ca_bundle: ca };
    let (configurations, rest) = installation(files.clone(), endpoint)
        .into_iter()
        .partition(|object| object["kind"].as_str().unwrap().ends_with("WebhookConfiguration"));
    Prepared { files, configurations, rest, ports }
}

/// What `manifests` prints for these policies.
pub(crate) fn installation(files: Vec<(String, String)>, endpoint: Endpoint) -> Vec<Value> {
    let policies = PolicySet::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap();
    let settings = Settings {
        namespace: "flamewarden-system".to_owned(),
        image: format!("registry.example/flamewarden@sha256:{}", "0".repeat(64)),
        certificates: Certificates::Own,
        endpoint,
        files: files.into_iter().collect(),
    };
    manifests(&settings, &policies)
}

/// The Deployment of one of the programs as it is printed: the same for all policies.
fn deployment(name: &str) -> Value {
    let objects = installation(policy_files(&[]), Endpoint::Service).into_iter();
    let mut found = objects.filter(|object| object["kind"] == "Deployment" && object["metadata"]["name"] == *name);
    found.next().expect("it is printed")
}

/// Creates what stands for itself in the cluster.
pub(crate) async fn apply(cluster: &Cluster, objects: &[Value]) {
    for object in objects {
        if let Some(path) = collection(object) {
            cluster.admin.create(&path, object).await.unwrap_or_else(|refusal| panic!("{path}: {}", refusal.message));
        }
    }
}

impl Guarded {
    /// Waits until the controller has logged a line with both texts.
    pub(crate) async fn logged(&self, one: &str, other: &str) {
        wait_until(&format!("the controller logs {one} … {other}"), PATIENCE, async || {
            self.log().lines().find(|line| line.contains(one) && line.contains(other)).map(drop)
        })
        .await;
    }

    /// What the controller has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.controller.recipe().log).unwrap()
    }

    /// Waits until the API server has taken every configuration made so far, and every role.
    pub(crate) async fn settled(&self) {
        settled(&self.cluster.admin).await;
        wait_until("RBAC knows the editor", PATIENCE, async || {
            let last = DEDICATED.last().unwrap();
            self.editor.get(&format!("/api/v1/namespaces/{last}/pods")).await.ok()
        })
        .await;
    }
}

/// Waits until the program says that it is ready.
pub(crate) async fn answers(replica: &mut Part, probes: u16) {
    wait_until("flamewarden is ready", PATIENCE, async || {
        let ended = replica.ended();
        assert_eq!(ended, None, "flamewarden ended by itself:\n{}", replica.log_tail());
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", probes)).await.ok()?;
        tokio::io::AsyncWriteExt::write_all(&mut stream, READY).await.ok()?;
        let mut answer = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer).await.ok()?;
        (&answer == b"HTTP/1.1 200").then_some(())
    })
    .await;
}

/// Waits until the API server has taken every configuration made or deleted so far: it takes them in order, so a last
/// one that refuses by itself tells.
pub(crate) async fn settled(admin: &Caller) {
    for kind in ["Mutating", "Validating"] {
        let path = format!("/apis/admissionregistration.k8s.io/v1/{}webhookconfigurations", kind.to_lowercase());
        admin.create(&path, &canary(kind)).await.unwrap();
        let probe = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "canary", "labels": {"canary": kind.to_lowercase()}}});
        wait_until("webhook configurations are in force", PATIENCE, async || {
            admin.create("/api/v1/namespaces/default/configmaps?dryRun=All", &probe).await.err()
        })
        .await;
        admin.delete(&format!("{path}/canary"), None).await.unwrap();
    }
}

/// Where a printed object belongs; none for what stands for the program itself, which runs beside the cluster,
/// and for the optional policy that refuses without the webhook.
pub(crate) fn collection(object: &Value) -> Option<String> {
    let kind = object["kind"].as_str().unwrap();
    let (group, resource) = match kind {
        "Namespace" => ("/api/v1", "namespaces"),
        "ServiceAccount" => ("/api/v1", "serviceaccounts"),
        "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding" => {
            ("/apis/rbac.authorization.k8s.io/v1", &*format!("{}s", kind.to_lowercase()))
        }
        "CustomResourceDefinition" => ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            ("/apis/admissionregistration.k8s.io/v1", &*format!("{}s", kind.to_lowercase()))
        }
        _ => return None,
    };
    Some(match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{group}/namespaces/{namespace}/{resource}"),
        None => format!("{group}/{resource}"),
    })
}

/// An analysis that says no more than it must; Flamewarden fills in the rest.
pub(crate) fn good_analysis(id: &str) -> Value {
    let app = format!("analysis-{id}");
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"labels": {"component": "flame-analysis", "app": app}},
        "spec": {"containers": [{"name": app, "image": "harbor.example/node/image:1"}]},
    })
}

/// A configuration that nobody answers, for objects with its own label only.
fn canary(kind: &str) -> Value {
    let webhook = json!({
        "name": "canary.flamewarden.test", "admissionReviewVersions": ["v1"], "sideEffects": "None",
        "clientConfig": {"url": "https://127.0.0.1:1/"}, "failurePolicy": "Fail",
        "objectSelector": {"matchLabels": {"canary": kind.to_lowercase()}},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
    });
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": format!("{kind}WebhookConfiguration"),
        "metadata": {"name": "canary"}, "webhooks": [webhook]})
}

/// The shipped profiles, and an installation that guards the tests' namespaces but some.
pub(crate) fn policy_files(but: &[&str]) -> Vec<(String, String)> {
    let named = |names: &[&str], tenancy: &str| -> String {
        let guarded = names.iter().filter(|name| !but.contains(name));
        guarded.map(|name| format!("    - {{name: {name}, tenancy: {tenancy}}}\n")).collect()
    };
    let installation = format!(
        "apiVersion: flamewarden.dev/v1alpha1\nkind: Installation\nspec:\n  namespaces:\n{}{}\
         \x20 analysisRegistries: [harbor.example/node]\n\
         \x20 gatewayImages: [\"nginx:latest\", \"docker.io/library/nginx:1.29.8\", \"{GATEWAY_IMAGE}\"]\n\
         \x20 sidecarImages: [\"busybox:1.37\"]\n\
         \x20 creators: [{}]\n\
         \x20 knownComponents: [flame-message-broker]\n",
        named(SHARED, "shared"),
        named(DEDICATED, "dedicated"),
        CREATORS.map(|creator| format!("\"{creator}\"")).join(", "),
    );
    let shipped = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name));
    let mut files = vec![
        ("flame-analysis.yaml".to_owned(), shipped("flame-analysis.yaml").unwrap()),
        ("flame-gateway.yaml".to_owned(), shipped("flame-gateway.yaml").unwrap()),
        ("installation.yaml".to_owned(), installation),
        ("scanner.yaml".to_owned(), shipped("scanner.yaml.example").unwrap()),
    ];
    if !but.contains(&MADE) {
        files.push(("orchestrator.yaml".to_owned(), orchestrator()));
    }
    files
}

/// How analyses are made in the tests' cluster.
pub(crate) fn orchestrator() -> String {
    let upstream = |name: &str, service: &str, port: u16| {
        format!("    {name}: {{service: {service}, namespace: {MADE}, port: {port}}}\n")
    };
    let upstreams = [
        upstream("kong", "kong-proxy", 80),
        upstream("storage", "storage", 8080),
        upstream("hubAdapter", "hub-adapter", 5000),
        upstream("messageBroker", "message-broker", 80),
        upstream("orchestrator", "orchestrator", 8000),
    ];
    format!(
        "apiVersion: flamewarden.dev/v1alpha1\nkind: Orchestrator\nspec:\n  namespace: {MADE}\n  gatewayImage: {GATEWAY_IMAGE}\n  \
         upstreams:\n{}",
        upstreams.concat()
    )
}

/// The same policies with a REST API, which accepts the tokens of that realm.
pub(crate) fn with_api(mut files: Vec<(String, String)>, realm: &RealmSettings) -> Vec<(String, String)> {
    let RealmSettings { keycloak, secret } = realm;
    let mut api = format!(
        "  api:\n    keycloak: {keycloak}\n    administrators: {{clients: [hub-adapter], roles: [{{name: node-admin}}, {{client: node-ui, name: admin}}]}}\n"
    );
    if secret.is_some() {
        api += &format!("  tokens: {{keycloak: {keycloak}}}\n");
    }
    files.iter_mut().filter(|(name, _)| name == "orchestrator.yaml").for_each(|(_, text)| text.push_str(&api));
    files
}

/// The program under test. Cargo tells it to tests; to examples it does not.
pub(crate) fn program() -> PathBuf {
    let told = std::env::var_os("FLAMEWARDEN_PROGRAM").map(PathBuf::from);
    option_env!("CARGO_BIN_EXE_flamewarden").map(PathBuf::from).or(told).expect("FLAMEWARDEN_PROGRAM must be set")
}

pub(crate) fn write_policies(folder: &Path, files: &[(String, String)]) {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        write_file(&folder.join(name), text);
    }
}

/// Makes the serving certificate with the program's own command; gives its CA as a `caBundle`.
pub(crate) fn certificates(folder: &Path) -> String {
    fs::create_dir_all(folder).unwrap();
    let done = Command::new(program()).arg("certs").arg(folder).args(["--also", "127.0.0.1"]).output().unwrap();
    assert!(done.status.success(), "flamewarden certs: {}", String::from_utf8_lossy(&done.stderr));
    STANDARD.encode(fs::read(folder.join("ca.crt")).unwrap())
}

/// The webhook, as its own service account.
pub(crate) fn webhook_recipe(cluster: &Cluster, folder: &Path, [calls, probes]: [u16; 2]) -> Recipe {
    let beside = Beside {
        name: "flamewarden",
        pod: "webhook",
        kubeconfig: cluster.plane.kubeconfig(WEBHOOK, None),
        volumes: &[("policies", folder.join("policies")), ("certificates", folder.join("certificates"))],
        ports: &[("https", loopback(calls)), ("probes", loopback(probes))],
        folder,
    };
    as_printed(&deployment("flamewarden-webhook"), &beside)
}

/// The controller, as its own service account, under a name of its own in the election.
pub(crate) fn controller_recipe(cluster: &Cluster, folder: &Path, policies: &str, identity: &str) -> Recipe {
    let [probes, scans] = free_ports();
    let archive = folder.join(format!("archive-{identity}"));
    fs::create_dir_all(&archive).unwrap();
    let beside = Beside {
        name: &format!("flamewarden-{identity}"),
        pod: identity,
        kubeconfig: cluster.plane.kubeconfig(CONTROLLER, None),
        volumes: &[("policies", folder.join(policies)), ("archive", archive)],
        ports: &[("probes", loopback(probes)), ("scans", loopback(scans))],
        folder,
    };
    as_printed(&deployment("flamewarden-controller"), &beside)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Every verb on what the attacks touch, and on nothing else: a namespace's editor has less than this.
fn attacker() -> Value {
    let core = [
        "bindings",
        "pods",
        "pods/attach",
        "pods/binding",
        "pods/ephemeralcontainers",
        "pods/eviction",
        "pods/exec",
        "pods/log",
        "pods/portforward",
        "pods/proxy",
        "pods/resize",
        "pods/status",
        "services",
        "services/proxy",
        "services/status",
        "endpoints",
        "configmaps",
        "secrets",
        "podtemplates",
        "replicationcontrollers",
        "replicationcontrollers/status",
        "serviceaccounts",
        "serviceaccounts/token",
        "events",
    ];
    let groups =
        ["apps", "batch", "networking.k8s.io", "discovery.k8s.io", "policy", "coordination.k8s.io", "flamewarden.dev"];
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": ATTACKER}, "rules": [
        {"apiGroups": [""], "resources": core, "verbs": verbs},
        {"apiGroups": groups, "resources": ["*"], "verbs": verbs},
    ]})
}

/// The same for what is in no namespace.
fn of_scans() -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": SCANS}, "rules": [
        {"apiGroups": ["flamewarden.dev"], "resources": ["imagescans", "imagescans/status"], "verbs": ["*"]},
    ]})
}

fn everywhere() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": SCANS},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": SCANS},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "editor"}],
    })
}

/// Another runtime, which an attack may ask for.
fn weaker_runtime() -> Value {
    json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "weaker"}, "handler": "runc"})
}

pub(crate) fn binding(role: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": format!("editor-{role}")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "editor"}],
    })
}

/// Who may make gateways: FLAME's Pod Orchestrator, in each namespace where a test has one.
const CREATORS: [&str; 2] = ["system:serviceaccount:flame:flame-po", "system:serviceaccount:flame-replay:flame-po"];
/// The user that Flamewarden's controller is.
pub(crate) const CONTROLLER: &str = "system:serviceaccount:flamewarden-system:flamewarden-controller";
pub(crate) const WEBHOOK: &str = "system:serviceaccount:flamewarden-system:flamewarden-webhook";
const ATTACKER: &str = "test-attacker";
const SCANS: &str = "test-attacker-of-scans";
const READY: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// The purposes for which there is a mutating webhook configuration, and those for which a validating one.
pub(crate) const MUTATING: &[&str] = &["networkpolicies", "pods"];
pub(crate) const VALIDATING: &[&str] = &[
    "analyses",
    "configuration",
    "connect",
    "foreign-networkpolicies",
    "imagescans",
    "networkpolicies",
    "pod-requests",
    "pods",
    "services",
    "workloads",
];
